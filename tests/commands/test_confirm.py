"""`python -m harness.confirm` as a user meets it: real Ray, real MLflow, real files."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.results import Confirmation
from harness.tracking.spool import event_log
from harness.tracking.spool.events import DatasetUsed
from tests.conftest import ROOT, Result, finish, run, start
from tests.support.kills import OFTEN, ended, wait_for_file, wait_until, workers
from tests.support.ray_clusters import head

SMALL = ("epochs=3", "width=32")
CONFIRMED = ("--top", "2", "--seeds", "2")

RECORDER = '''
"""Python runs this at its start, in every process: each opening of the test part adds a line to a file."""

import os, sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "harness.training.data.pool":
            return None
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module
        def execute_and_patch(module):
            execute(module)
            load_test = module.load_test
            def recorded(config):
                with open(os.environ["OPENED"], "a") as file:
                    file.write(f"{config.seed}\\n")
                return load_test(config)
            module.load_test = recorded
        spec.loader.exec_module = execute_and_patch
        return spec

sys.meta_path.insert(0, Finder())
'''


@dataclass(frozen=True)
class Sweep:
    """A sweep under `runs`, and the cluster to confirm it on."""

    runs: Path
    address: str

    @property
    def folder(self) -> Path:
        return self.runs / "label_lr"

    @property
    def found(self) -> Confirmation:
        return Confirmation.load(self.folder)

    def command(self, *arguments: str) -> list[str]:
        """With one worker: runs are so short here that a second one costs more than it brings."""
        return ["label_lr", "--runs-dir", str(self.runs), "--address", self.address, "--concurrency", "1", *arguments]

    def confirm(self, *arguments: str) -> Result:
        return run("harness.confirm", *self.command(*arguments))

    def results(self) -> dict[str, tuple[int, str]]:
        """When each result was written, in nanoseconds, and what it says."""
        files = sorted((self.folder / "confirm").glob("*/*/result.json"))
        return {str(file): (file.stat().st_mtime_ns, file.read_text()) for file in files}


@dataclass(frozen=True)
class Confirmed(Sweep):
    """A sweep that was searched and confirmed, and what the confirmation printed."""

    result: Result


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Confirmed:
    runs = tmp_path_factory.mktemp("runs")
    overrides = [argument for change in SMALL for argument in ("--set", change)]
    shared = ("--runs-dir", str(runs), "--address", ray_address)
    searched = run("harness.search", "--space", "label_lr.yaml", *overrides, "--trials", "6", *shared)
    assert searched.code == 0, searched.all
    result = run("harness.confirm", "label_lr", *CONFIRMED, *shared)
    assert result.code == 0, result.all
    return Confirmed(runs, ray_address, result)


def pretended(
    runs: Path, address: str, *overrides: str, values: Callable[[str, int], float | None] = lambda arm, place: 0.9
) -> Sweep:
    """A sweep whose journal says that its trials ended with these values; None: failed. Nothing was trained."""
    from harness.common.atomic_files import write_text
    from harness.space import dump, load
    from harness.tuning.storage.sweep_folder import SweepFolder
    from harness.tuning.study.sweep_study import SweepStudy

    space = load("label_lr.yaml", [*SMALL, "search.trials=3", "search.sampler=random", *overrides])
    with SweepFolder(runs / "label_lr") as folder:
        write_text(folder.space, dump(space))
        study = SweepStudy(folder.journal, space)
        while (trial := study.next()) is not None:
            value = values(trial.arm, trial.number)
            if value is None:
                study.fail(trial.number, "diverged: train_loss is nan after epoch 1")
                continue
            study.report(trial.number, trial.config.epochs, {"val_accuracy": value, "val_loss": 1 - value})
            study.complete(trial.number)
    return Sweep(runs, address)


def copied(confirmed: Confirmed, runs: Path, *, results: bool = False) -> Sweep:
    """The searched sweep in another runs folder, with the results of its confirmation or without."""
    leave = shutil.ignore_patterns(*([] if results else ["confirm", "confirm.json"]), "cursor-*")
    shutil.copytree(confirmed.folder, runs / "label_lr", ignore=leave)
    return Sweep(runs, confirmed.address)


def test_it_ends_with_a_table_a_verdict_and_the_next_commands(confirmed: Confirmed) -> None:
    out = confirmed.result.out
    assert confirmed.result.err == ""
    names = [name for arm in confirmed.found.arms.values() for name in arm.configurations]
    assert len(names) == 4, "two of the arm, one of each of two baselines"
    for name in names:
        row = rf"^{name} +2 +0\.\d\d\d +0\.\d\d\d +\[-?\d\.\d\d\d, \d\.\d\d\d\] +\d+ %$"
        assert re.search(row, out, re.MULTILINE), out
    assert confirmed.found.verdict in " ".join(out.split())
    assert f"all numbers: {confirmed.folder}/confirm.json" in out
    assert "-m harness.ui" in out
    assert "\x1b" not in out, "no terminal codes into a pipe"
    assert not re.search(r" $", out, re.MULTILINE), "no blanks at the ends of lines"
    table = out.split("all numbers:")[0].splitlines()
    assert all(len(line) <= 80 for line in table if "→" not in line and "-m harness" not in line), out


def test_the_search_never_opens_the_test_part_and_a_confirmation_once_a_run(confirmed: Confirmed) -> None:
    """By what workers say of the data they open; tests/tuning/test_closed_test_part.py watches them do it."""
    records = [record for record, _ in event_log.read_events(confirmed.folder / "spool")]
    used = [
        (record.trial, part["context"])
        for record in records
        if isinstance(record, DatasetUsed)
        for part in record.parts
    ]
    opened = [trial for trial, context in used if context == "test"]
    assert len(set(opened)) == len(opened) == 8
    assert min(opened) >= 1_000_000, "runs of the confirmation"


@pytest.mark.slow
def test_no_process_of_a_search_opens_the_test_part_and_each_run_of_a_confirmation_once(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    opened = tmp_path / "opened"
    opened.touch()
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "OPENED": str(opened)}
    with head(environment, num_cpus=2) as address:
        shared = ("--runs-dir", str(tmp_path / "runs"), "--address", address)
        overrides = [argument for change in SMALL for argument in ("--set", change)]
        searched = run(
            "harness.search", "--space", "label_lr.yaml", *overrides, "--trials", "3", *shared, **environment
        )
        assert searched.code == 0, searched.all
        assert opened.read_text() == ""
        confirmed = run("harness.confirm", "label_lr", "--top", "1", "--seeds", "2", *shared, **environment)
        assert confirmed.code == 0, confirmed.all
    seeds = Confirmation.load(tmp_path / "runs" / "label_lr").arms["learned"].best.seeds
    assert sorted(map(int, opened.read_text().split())) == sorted([*seeds] * 3), "of an arm and two baselines"


def test_every_configuration_ran_on_the_same_fresh_seeds(confirmed: Confirmed) -> None:
    from harness.space import load

    configurations = [one for arm in confirmed.found.arms.values() for one in arm.configurations.values()]
    assert {tuple(one.seeds) for one in configurations} == {tuple(confirmed.found.arms["learned"].best.seeds)}
    searched = {arm.fixed["seed"] for arm in load(confirmed.folder / "space.yaml").arms}
    assert searched.isdisjoint(configurations[0].seeds)


def test_the_numbers_are_those_of_the_final_model_on_the_test_part(confirmed: Confirmed) -> None:
    import torch

    from harness.space import load
    from harness.training.data.pool import load_test
    from harness.training.metrics import evaluate
    from harness.training.run import Run

    torch.set_num_threads(1)
    arm = confirmed.found.arms["learned"].best
    config = load(confirmed.folder / "space.yaml").arm("learned").config(arm.params)
    own = Run(config.model_copy(update={"seed": arm.seeds[0]}))
    while not own.done:
        metrics = own.train_epoch()
    assert metrics["val_accuracy"] == arm.val_accuracy[0]
    test = evaluate(own.model, load_test(config).to(own.device), "test")
    assert test["test_accuracy"] == arm.test_accuracy[0]


def test_the_file_says_what_was_compared_how_and_on_which_data(confirmed: Confirmed) -> None:
    found = confirmed.found
    assert (found.n, found.rule.n_comparisons, found.sequential) == (2, 2, False)
    arm = found.arms["learned"].best
    mean = sum(arm.test_accuracy) / 2
    assert arm.test_accuracy_mean == pytest.approx(mean)
    low, high = arm.ci95
    assert low < mean < high
    assert found.arms["one_hot"].best.label_accuracy_mean == pytest.approx(0.6, abs=0.01), "40 % stay wrong"
    assert 0.6 < arm.label_accuracy_mean < 1
    pairs = {(row.arm, row.trial, row.baseline) for row in found.comparisons}
    assert len(pairs) == len(found.comparisons) == 4
    for row in found.comparisons:
        ours = found.arms["learned"].configurations[f"learned-{row.trial}"].test_accuracy
        theirs = found.arms[row.baseline].best.test_accuracy
        assert row.mean_difference == pytest.approx(sum(ours) / 2 - sum(theirs) / 2)
        assert 0 <= row.p_value <= 1
        assert row.n == 2
    assert found.verdict.startswith("no difference shown: "), "two seeds do not show less than everything"
    for number in ("search_value", "val_accuracy", "test_accuracy", "ci95", "p_value"):
        assert "part" in found.data_used[number] or "seeds" in found.data_used[number]


def test_mlflow_has_the_runs_apart_from_the_search_s_and_the_verdict_on_the_sweep(confirmed: Confirmed) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    sweep = MlflowReader(f"sqlite:///{confirmed.runs}/mlflow.db").sweep("label_lr")
    assert sweep.tags["verdict"] == confirmed.found.verdict
    assert sweep.state == "complete", "the search's own state is as it was"
    assert sorted(sweep.trials()["trial"]) == list(range(6))
    runs = sweep.trials("confirmation")
    assert len(runs) == 8
    assert set(runs["state"]) == {"complete"}
    assert runs["trial"].min() >= 1_000_000
    assert set(runs["params.seed"]) == set(confirmed.found.arms["learned"].best.seeds)
    mine = runs[runs["name"] == f"learned-{confirmed.found.arms['learned'].best.trial} seed 1"].iloc[0]
    assert mine["metrics.test_accuracy"] == pytest.approx(confirmed.found.arms["learned"].best.test_accuracy[0])
    assert list(sweep.curves(["val_accuracy"], runs.loc[[mine.name]])["step"]) == [1, 2, 3]
    inputs = {run: inputs_of(sweep.client.get_run(run)) for run in runs["run_id"]}
    assert all(set(parts) == {"train", "meta", "validation", "test"} for parts in inputs.values())
    assert len({parts["test"] for parts in inputs.values()}) == 1, "the test part is the same for every seed"
    assert len({parts["train"] for parts in inputs.values()}) == 2, "a split for each seed, the same for every arm"


def inputs_of(run: Any) -> dict[str, str]:
    """The digest of the data of each context."""
    return {each.tags[0].value: each.dataset.digest for each in run.inputs.dataset_inputs}


def test_the_same_command_again_runs_nothing_and_says_the_same(confirmed: Confirmed, tmp_path: Path) -> None:
    sweep = copied(confirmed, tmp_path, results=True)
    before, found = sweep.results(), sweep.found
    again = sweep.confirm(*CONFIRMED)
    assert again.code == 0, again.all
    assert "first result" not in again.out
    assert sweep.results() == before
    per_session = "provenance"  # command and time of the latest session
    assert sweep.found.model_dump(exclude={per_session}) == found.model_dump(exclude={per_session})


def test_more_seeds_extend_results_and_a_second_evaluation_is_noted(confirmed: Confirmed, tmp_path: Path) -> None:
    sweep = copied(confirmed, tmp_path, results=True)
    before = sweep.results()
    more = sweep.confirm("--top", "2", "--seeds", "3")
    assert more.code == 0, more.all
    after = sweep.results()
    assert len(after) == 12
    assert {file: after[file] for file in before} == before
    assert sweep.found.arms["learned"].best.seeds[:2] == confirmed.found.arms["learned"].best.seeds
    assert [each.n for each in sweep.found.evaluations] == [2, 3]
    assert sweep.found.notes[-1].startswith("judged before at n = 2: with a chance of up to 10 %, not 5 %")
    fewer = sweep.confirm("--top", "2", "--seeds", "1")
    assert fewer.code == 0
    assert sweep.found.n == 3, "seeds that were run are not left out"


def wait_for_results(sweep: Sweep, count: int) -> None:
    wait_until(lambda: len(sweep.results()) >= count)


def test_a_killed_driver_loses_and_repeats_nothing(confirmed: Confirmed, tmp_path: Path) -> None:
    sweep = copied(confirmed, tmp_path)
    process = start("harness.confirm", *sweep.command(*CONFIRMED))
    wait_for_results(sweep, 3)
    os.killpg(process.pid, signal.SIGKILL)
    finish(process, timeout=30)
    before = sweep.results()
    assert 3 <= len(before) < 8
    resumed = sweep.confirm(*CONFIRMED)
    assert resumed.code == 0, resumed.all
    after = sweep.results()
    assert {file: after[file] for file in before} == before
    assert sweep.found.arms == confirmed.found.arms

    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    runs = MlflowReader(f"sqlite:///{tmp_path}/mlflow.db").sweep("label_lr").trials("confirmation")
    assert len(runs) == 8
    assert set(runs["state"]) == {"complete"}


@pytest.mark.slow
def test_interrupts_keep_the_results_and_the_same_command_goes_on(confirmed: Confirmed, tmp_path: Path) -> None:
    sweep = copied(confirmed, tmp_path)
    for signal_sent, results in ((signal.SIGINT, 2), (signal.SIGTERM, 5)):
        process = start("harness.confirm", *sweep.command(*CONFIRMED))
        wait_for_results(sweep, results)
        process.send_signal(signal_sent)
        interrupted = finish(process, timeout=60)
        assert interrupted.code == 130, interrupted.all
        assert "the same command goes on" in interrupted.err
        assert "Traceback" not in interrupted.all
        assert not (sweep.folder / "confirm.json").exists()
    assert sweep.confirm(*CONFIRMED).code == 0
    assert sweep.found.arms == confirmed.found.arms


@pytest.mark.slow
def test_a_killed_worker_s_run_ends_as_if_it_had_not_been(tmp_path: Path, ray_address: str) -> None:
    one = ("baselines={}", "epochs=150", "label_lr=0.1", "meta_interval=1", "search.trials=1", "width=64", OFTEN[1])
    undisturbed, killed = (pretended(tmp_path / name, ray_address, *one) for name in ("undisturbed", "killed"))
    assert undisturbed.confirm("--seeds", "1").code == 0
    with ended(start("harness.confirm", *killed.command("--seeds", "1"))) as process:
        wait_for_file(killed.folder / "confirm", "*/*/checkpoint.pt", process)
        (worker,) = workers(r"\w*Trainable")
        worker.kill()
        result = finish(process)
    assert result.code == 0, result.all
    assert killed.found.arms == undisturbed.found.arms


def test_a_sequence_ends_as_soon_as_the_difference_is_clear(tmp_path: Path, ray_address: str) -> None:
    hopeless = ("baselines.label_smoothing=null", "arms.learned.fixed.lr=1.0e-05", "arms.learned.parameters={}")
    sweep = pretended(tmp_path, ray_address, *hopeless, "baselines={one_hot: {method: one_hot, fixed: {lr: 0.2}}}")
    result = sweep.confirm("--sequential", "--budget", "60")
    assert result.code == 0, result.all
    found = sweep.found
    assert found.outcome == "worse"
    assert found.verdict.startswith("the best baseline (one_hot-")
    assert 4 <= found.n < 12, "of the 30 that the budget allows"
    assert found.rule.name == "any number of looks"
    again = sweep.confirm("--sequential", "--budget", "60")
    assert "first result" not in again.out
    assert sweep.found.gain == found.gain


@pytest.mark.slow
def test_a_budget_ends_a_sequence_without_a_difference(tmp_path: Path, ray_address: str) -> None:
    twins = (
        "arms={ours: {method: one_hot, fixed: {lr: 0.2}}}",
        "baselines={theirs: {method: one_hot, fixed: {lr: 0.2}}}",
    )
    sweep = pretended(tmp_path, ray_address, *twins, "train_on_meta=true")
    result = sweep.confirm("--sequential", "--budget", "11")
    assert result.code == 0, result.all
    assert (sweep.found.outcome, sweep.found.n) == ("undecided", 5)
    assert sweep.found.gain.mean_difference == 0.0, "the same settings on the same seeds"
    assert "--sequential --seeds 50" in result.out


def test_configurations_that_diverge_confirm_nothing_and_what_is_missing_is_named(
    tmp_path: Path, ray_address: str
) -> None:
    diverging = ("arms.learned.fixed.lr=1.0e+30", "arms.learned.parameters={}")
    sweep = pretended(
        tmp_path, ray_address, *diverging, values=lambda arm, place: None if arm == "label_smoothing" else 0.9
    )
    result = sweep.confirm("--seeds", "2")
    assert result.code == 1, result.all
    found = sweep.found
    assert found.outcome == "not compared"
    assert "nothing is confirmed" in result.out
    assert found.notes == [
        "label_smoothing has no complete trial to confirm: it is not among what was compared",
        "learned-0 diverged on 2 of 2 seeds: it is not chosen",
    ]
    assert [one and one.n for one in (found.arms[arm].best for arm in ("learned", "one_hot", "label_smoothing"))] == [
        0,
        2,
        None,
    ]
    assert found.comparisons == []
    before = sweep.results()
    again = sweep.confirm("--seeds", "2", "--retry-failed")
    assert again.code == 1, again.all
    renewed = {file for file, written in sweep.results().items() if written != before[file]}
    assert renewed == {file for file in before if "learned-0" in file}


def test_an_arm_without_a_complete_trial_leaves_nothing_to_confirm(tmp_path: Path, ray_address: str) -> None:
    sweep = pretended(tmp_path, ray_address, values=lambda arm, place: None)
    result = sweep.confirm()
    assert result.code == 1
    assert "no arm has a complete trial yet" in result.err
    assert not (sweep.folder / "confirm").exists()


def test_a_sweep_that_is_being_run_is_left_alone(tmp_path: Path, ray_address: str) -> None:
    from harness.tuning.storage.sweep_folder import SweepFolder

    sweep = pretended(tmp_path, ray_address)
    with SweepFolder(sweep.folder):
        result = sweep.confirm()
    assert result.code == 2
    assert f"process {os.getpid()} on " in result.err
    assert not (sweep.folder / "confirm").exists()


BAD = {
    "--seeds": ("0", "expected a whole number from 1 up"),
    "--top": ("none", "expected a whole number from 1 up"),
    "--budget": ("2", "expected at least 3 runs"),
    "--margin": ("-1", "expected a number of points above 0, 100 at most"),
    "--concurrency": ("0", "expected a whole number from 1 up"),
    "--address": ("127.0.0.1:1", "expected a Ray cluster"),
    "--tracking-uri": ("http://127.0.0.1:1", "expected"),
}


@pytest.mark.parametrize("option", BAD)
def test_bad_input_is_reported_in_words_and_changes_nothing(tmp_path: Path, ray_address: str, option: str) -> None:
    value, words = BAD[option]
    sweep = pretended(tmp_path, ray_address)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run("harness.confirm", "label_lr", "--runs-dir", str(tmp_path), option, value)
    assert result.code == 2, result.all
    assert words in result.err
    assert "Traceback" not in result.all
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (sweep.folder / "confirm").exists()


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path, ray_address: str) -> None:
    pretended(tmp_path, ray_address)
    result = run("harness.confirm", "lable_lr", "--runs-dir", str(tmp_path))
    assert result.code == 2
    assert "did you mean label_lr?" in result.err
    nowhere = run("harness.confirm", "../label_lr", "--runs-dir", str(tmp_path / "empty"))
    assert nowhere.code == 2
    assert "it holds none" in nowhere.err
