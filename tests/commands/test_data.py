"""Data as a sweep meets them: said, kept, compared when it goes on; and data that no trial can use."""

from pathlib import Path

import numpy as np
import pytest

from harness.report import render
from harness.results import Confirmation
from harness.results.sweep_data import SweepData
from tests.conftest import Result, run
from tests.training import data_files as files

SPACE = """
study: mine
fixed: {{dataset: "npz:{file}", meta_size: 20, val_size: 20, width: 8, epochs: 1, noise: symmetric, noise_rate: 0.25}}
arms: {{learned: {{method: learned, parameters: {{label_lr: {{type: float, low: 0.02, high: 0.3}}}}}}}}
baselines: {{one_hot: {{method: one_hot, parameters: {{lr: {{type: float, low: 0.02, high: 0.3}}}}}}}}
search: {{trials: 2, sampler: random, concurrency: 1}}
"""


class Sweep:
    """A small sweep over the data of a file, and the commands on it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.file, self.runs, self.address = folder / "mine.npz", folder / "runs", address
        self.space = folder / "mine.yaml"
        self.space.write_text(SPACE.format(file=self.file))
        self.write_data(100)

    def write_data(self, images: int) -> None:
        np.savez(self.file, x_train=files.pictures(images, 6, 6), y_train=files.classes(images, 4))

    def search(self, *arguments: str) -> Result:
        return self.command("harness.search", "--space", str(self.space), *arguments)

    def command(self, module: str, *arguments: str) -> Result:
        where = () if module == "harness.semantics" else ("--address", self.address)
        return run(module, *arguments, *where, "--runs-dir", str(self.runs))

    def content(self) -> dict[str, int]:
        """When each file under the runs folder was last written, without locks and logs of processes."""
        found = self.runs.rglob("*")
        return {str(file): file.stat().st_mtime_ns for file in found if file.is_file() and file.suffix != ".lock"}


@pytest.fixture
def sweep(tmp_path: Path, ray_address: str) -> Sweep:
    return Sweep(tmp_path, ray_address)


@pytest.mark.slow
def test_what_was_read_is_said_kept_and_compared_whenever_a_sweep_goes_on(sweep: Sweep) -> None:
    searched = sweep.search()
    assert searched.code == 0, searched.all
    kept = SweepData.load(sweep.runs / "mine")
    assert kept.text in searched.out
    assert "100 images · a fifth of them is the test part · 4 classes (0, 1, 2, 3)" in " ".join(kept.text.split())
    page = (sweep.runs / "mine" / "report.html").read_text()
    assert kept.data_sets[0].digest in page
    before = sweep.content()
    sweep.write_data(90)
    commands = {
        "harness.search": ("--space", str(sweep.space), "--trials", "4"),
        "harness.confirm": ("mine", "--seeds", "1"),
        "harness.distill": ("mine", "--seeds", "1"),
        "harness.semantics": ("mine",),
    }
    for module, arguments in commands.items():
        refused = sweep.command(module, *arguments)
        assert refused.code == 2, refused.all
        assert "mine: expected the data that this sweep began with, got other ones; restore them, or " in refused.err
        assert "training images: 100, now 90" in refused.err
    repeated = run("harness.train", "--from", str(sweep.runs / "mine"), "--trial", "0")
    assert (repeated.code, "training images: 100, now 90" in repeated.err) == (2, True), repeated.all
    assert sweep.content() == before, "nothing was changed"
    sweep.write_data(100)
    confirmed = sweep.command("harness.confirm", "mine", "--seeds", "1")
    assert confirmed.code == 0, confirmed.all
    assert kept.text in confirmed.out


@pytest.mark.slow
def test_where_every_trial_is_right_intervals_end_at_one_and_test_labels_of_others_make_the_verdict_doubtful(
    sweep: Sweep,
) -> None:
    classes = files.classes(160, 4)
    images = files.pictures(160, 6, 6) // 6
    images[np.arange(160), :, classes] += 200  # a bright column for each class
    np.savez(
        sweep.file,
        x_train=images[:100],
        y_train=classes[:100],
        x_test=images[100:],
        y_test=(classes[100:] + 1) % 4,
    )
    easy = ("--set", "epochs=12", "--set", "batch_size=8", "--set", "noise=none", "--set", "lr=0.1")
    assert sweep.search(*easy).code == 0
    confirmed = sweep.command("harness.confirm", "mine", "--seeds", "2")
    assert confirmed.code == 0, confirmed.all
    found = Confirmation.load(sweep.runs / "mine")
    results = [one for _, _, one in found.ranked()]
    assert [(one.val_accuracy_mean, one.test_accuracy_mean) for one in results] == [(1.0, 0.0)] * 2
    assert all(one.ci95 is not None and (one.ci95.low or 0.0) >= 0 for one in results)
    words = "doubtful: test accuracy is far below validation accuracy (learned-0 0.000 beside 1.000"
    assert words in " ".join(confirmed.out.split())
    assert words in found.verdict
    assert words in render(sweep.runs / "mine"), "a figure whose layout does not fit would be an error here"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("meta_size=90", "meta_size 90 + val_size 20: "),
        ("model=tests.training.own_models:of_one_logit", "expected logits [2, 4] for two images, got [2, 1]"),
    ],
    ids=["too large a meta set", "a model of other classes"],
)
def test_what_no_trial_can_use_leaves_nothing_behind(sweep: Sweep, setting: str, words: str) -> None:
    refused = sweep.search("--set", setting, "--trials", "20")
    assert refused.code == 2, refused.all
    assert words in refused.err
    assert not sweep.runs.exists()


def test_data_that_cannot_be_read_are_refused_before_anything_starts(sweep: Sweep) -> None:
    np.savez(sweep.file, x_train=np.zeros((100, 6, 6, 3, 2), np.uint8), y_train=files.classes(100, 4))
    refused = sweep.search()
    assert (refused.code, "expected images [N, height, width]" in refused.err) == (2, True), refused.all
    assert not sweep.runs.exists()


@pytest.mark.slow
def test_a_sweep_whose_first_trials_fail_for_one_reason_stops_and_is_run_again_after_the_mend(
    sweep: Sweep, tmp_path: Path
) -> None:
    module = tmp_path / "own_network.py"
    module.write_text(
        "from harness.training.models.small_networks import mlp\n"
        "def fail(model, inputs):\n"
        "    if model.training: 1 / 0\n"
        "def network(*arguments):\n"
        "    model = mlp(*arguments)\n"
        "    model.register_forward_pre_hook(fail)\n"
        "    return model\n"
    )
    arguments = ("--space", str(sweep.space), "--set", "model=own_network:network", "--set", "search.trials=20")
    where = ("--address", sweep.address, "--runs-dir", str(sweep.runs))
    stopped = run("harness.search", *arguments, *where, cwd=tmp_path)
    assert stopped.code == 1, stopped.all
    assert "the first 3 trials (learned-0, one_hot-1, learned-2) failed for one reason" in stopped.err
    traceback = sweep.runs / "mine" / "trials" / "0" / "error.txt"
    words = f"division by zero; its traceback is in {traceback}; mend it, and the same command with --retry-failed"
    assert words in stopped.err
    assert "in fail" in traceback.read_text()
    module.write_text("from harness.training.models.small_networks import mlp as network\n")
    again = run("harness.search", *arguments, "--set", "search.trials=4", "--retry-failed", *where, cwd=tmp_path)
    assert again.code == 0, again.all
    assert "4/4 trials · 0 running · 0 failed" in again.out
