"""Confident learning as a method: folds, predictions out of them, what cleanlab finds, and the training on the rest."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from cleanlab.filter import find_label_issues

from harness.training.config.checks import check_config
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.methods.baselines.confident_learning import ConfidentLearning
from harness.training.run import Run
from tests.training.run_helpers import assert_resumes, epochs

QUICK: dict[str, Any] = {
    "method": "confident_learning",
    "noise": "asymmetric",
    "noise_rate": 0.3,
    "width": 32,
    "meta_size": 50,
    "train_size": 400,
    "epochs": 12,
    "cl_folds": 3,
    "lr": 0.1,
}


def run_of(**settings: Any) -> tuple[Run, ConfidentLearning]:
    run = Run(RunConfig(**{**QUICK, **settings}))
    assert isinstance(run.method, ConfidentLearning)
    return run, run.method


@pytest.mark.parametrize("train_on_meta", [False, True])
def test_each_fold_is_left_out_once_and_the_epochs_add_up(train_on_meta: bool) -> None:
    run, _ = run_of(train_on_meta=train_on_meta)
    *folds, last = run.phases
    assert [(phase.epochs, phase.fresh_model) for phase in run.phases] == [(2, False), (2, True), (2, True), (6, True)]
    assert len(last.images) == 400 + (50 if train_on_meta else 0)
    left_out = [set(last.images.tolist()) - set(phase.images.tolist()) for phase in folds]
    assert set.union(*left_out) == set(range(400))
    assert sum(map(len, left_out)) == 400  # none twice, and none of the meta set
    given = run.task.given
    for fold in left_out:  # annotated classes evenly, to one image
        counts = given[sorted(fold)].bincount(minlength=10)
        assert (counts - given[:400].bincount(minlength=10) / 3).abs().max() <= 1


def test_predictions_are_of_a_model_that_has_not_seen_the_image() -> None:
    run, method = run_of()
    left_out = sorted(set(range(400)) - set(run.phases[0].images.tolist()))
    epochs(run, 1)
    assert method.predictions.abs().sum() == 0
    epochs(run, 1)
    assert (method.predictions.sum(1) > 0).nonzero().flatten().tolist() == left_out
    run.model.eval()
    with torch.no_grad():
        expected = run.model(run.images.batch(torch.tensor(left_out))).softmax(1)
    torch.testing.assert_close(method.predictions[left_out], expected)


@pytest.mark.parametrize("rule", ["prune_by_noise_rate", "both"])
def test_it_trains_on_what_cleanlab_leaves(rule: str) -> None:
    settings = {"cl_filter": rule, "noise": "symmetric", "train_size": 0, "width": 64, "epochs": 24}
    run, method = run_of(**settings)
    curve, images = epochs(run, 12), len(run.splits.train)
    issues = find_label_issues(
        labels=run.task.given[:images].numpy(),
        pred_probs=method.predictions[:images].numpy(),
        filter_by=rule,
        n_jobs=1,
    )
    assert images // 10 < issues.sum() < images // 2
    assert run.phases[-1].images.tolist() == (~torch.as_tensor(issues)).nonzero().flatten().tolist()
    curve += epochs(run, 12)
    wrong = (run.task.given[:images] != run.splits.train.targets).numpy()
    assert wrong[issues].mean() > 2 * wrong.mean()  # of what is left out, most is wrong
    assert curve[-1]["label_accuracy"] > curve[0]["label_accuracy"]
    assert run.done


def test_the_meta_set_is_never_left_out() -> None:
    run, method = run_of(train_on_meta=True)
    epochs(run, 6)
    assert method.kept[400:].all()
    assert not method.kept.all()


@pytest.mark.parametrize("stopped", [1, 4, 6, 9])
def test_a_stopped_run_goes_on_bit_for_bit(stopped: int) -> None:
    assert_resumes(RunConfig(**QUICK), 12, stopped)


def test_fewer_epochs_than_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"epochs: expected more than cl_folds 3, one for each fold .*, got 3; raise"):
        run_of(epochs=3)
    assert [phase.epochs for phase in run_of(epochs=4)[0].phases] == [1, 1, 1, 1]


def test_without_cleanlab_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "cleanlab" else True)
    (problem,) = check_config(RunConfig(**QUICK))
    assert problem.startswith("method: expected the package cleanlab, which confident_learning needs, got none; pip ")


def test_a_check_imports_neither_torch_nor_cleanlab() -> None:
    code = (
        "import sys; from harness.training.config.run_config import RunConfig; "
        "from harness.training.config.checks import check_config; "
        "assert check_config(RunConfig(method='confident_learning')) == []; "
        "assert not {'torch', 'cleanlab', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
