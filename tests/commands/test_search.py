"""`python -m harness.search` as a user meets it: real Ray, real MLflow, real files."""

import json
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, Result, lines, run
from tests.support.faulty_network import BROKEN
from tests.support.trial_records import comparable_trials, trial_records

SMALL = ("--space", "label_lr.yaml", "--set", "epochs=3", "--set", "width=32")


@dataclass(frozen=True)
class Swept:
    """A finished sweep of nine small trials."""

    runs: Path
    result: Result
    address: str

    @property
    def folder(self) -> Path:
        return self.runs / "label_lr"

    @property
    def summary(self) -> dict[str, Any]:
        return read(self.folder)

    def search(self, *arguments: str) -> Result:
        return run("harness.search", *SMALL, "--address", self.address, "--runs-dir", str(self.runs), *arguments)


def read(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Swept:
    runs = tmp_path_factory.mktemp("runs")
    arguments = (*SMALL, "--trials", "9", "--address", ray_address, "--runs-dir", str(runs))
    return Swept(runs, run("harness.search", *arguments), ray_address)


def test_a_sweep_ends_with_a_table_and_the_next_commands(swept: Swept) -> None:
    out = swept.result.out
    assert swept.result.code == 0, swept.result.all
    assert swept.result.err == ""
    assert out.startswith("label_lr: 9 trials of learned, one_hot, label_smoothing → ")
    for arm in ("learned", "one_hot", "label_smoothing"):
        assert re.search(rf"^{arm} +3 +0\.\d\d\d ", out, re.MULTILINE), out
    assert re.search(r"the best baseline, \w+, on 250 validation\s+images of one seed", out), out
    assert "-m harness.search --space label_lr.yaml" in out
    assert "harness.ui" in out
    assert "\x1b" not in out, "no terminal codes into a pipe"
    assert not re.search(r" $", out, re.MULTILINE), "no blanks at the ends of lines"
    assert all(len(line) <= 80 for line in out.split("go on:")[0].splitlines() if "→" not in line)


def test_the_summary_holds_states_arms_and_the_best(swept: Swept) -> None:
    summary = swept.summary
    assert summary["name"] == "label_lr"
    assert sum(summary["states"].values()) == 9
    assert set(summary["states"]) == {"complete", "pruned", "failed"}
    assert {name: arm["trials"] for name, arm in summary["arms"].items()} == {
        "learned": 3,
        "one_hot": 3,
        "label_smoothing": 3,
    }
    best = summary["best"]
    assert best["val_accuracy"] == max(arm["val_accuracy"] for arm in summary["arms"].values())
    assert best["params"] == summary["arms"][best["arm"]]["params"]
    assert 0.59 < summary["arms"]["one_hot"]["label_accuracy"] < 0.61, "40 % of the labels are wrong, and stay so"
    assert summary["trial_seconds"] > 0
    assert summary["wall_seconds"] > 0
    assert summary["mlflow"]["tracking_uri"] == f"sqlite:///{swept.runs}/mlflow.db"


def test_the_folder_holds_what_was_promised(swept: Swept) -> None:
    names = {path.name for path in swept.folder.iterdir()}
    assert {"space.yaml", "provenance.json", "study.journal", "spool", "trials", "summary.json", "report.html"} <= names
    provenance = json.loads((swept.folder / "provenance.json").read_text())
    assert len(provenance["git"]["commit"]) == 40
    number = swept.summary["arms"]["learned"]["trial"]
    labels = np.load(swept.folder / "trials" / str(number) / "labels.npz")
    assert labels["labels"].shape == (len(labels["truth"]), 10)
    np.testing.assert_allclose(labels["labels"].sum(axis=1), 1, atol=1e-5)
    history = np.load(swept.folder / "trials" / str(number) / "label_history.npz")
    assert history["epochs"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(history["largest"][0], labels["given"])
    np.testing.assert_array_equal(history["largest"][-1], labels["labels"].argmax(1))
    baseline = swept.folder / "trials" / str(swept.summary["arms"]["one_hot"]["trial"])
    assert not (baseline / "label_history.npz").exists(), "a baseline's labels go nowhere"
    leftovers = [path.name for path in (swept.folder / "trials").iterdir() if not path.name.isdecimal()]
    assert leftovers == [], "nothing of Ray's own stays"


def test_mlflow_shows_one_parent_and_a_child_a_trial(swept: Swept) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    sweep = MlflowReader(swept.summary["mlflow"]["tracking_uri"]).sweep("label_lr")
    assert sweep.run_id == swept.summary["mlflow"]["run_id"]
    trials = sweep.trials()
    assert sorted(trials["trial"]) == list(range(9))
    by_state = trials["state"].value_counts().to_dict()
    assert by_state == {state: count for state, count in swept.summary["states"].items() if count}
    for name in ("lr", "epochs", "noise_rate", "method", "seed"):
        assert trials[f"params.{name}"].notna().all(), f"{name} is logged flat, in every run"
    learned = trials["params.method"] == "learned"
    for name in ("label_lr", "meta_interval"):
        assert (trials[f"params.{name}"].notna() == learned).all(), f"{name} is logged in the runs of its method alone"
    commit = json.loads((swept.folder / "provenance.json").read_text())["git"]["commit"]
    wanted = {"arm": "learned", "study": "label_lr", "state": "complete", "seed": "0", "commit": commit}
    query = " and ".join(f"tags.{name} = '{value}'" for name, value in wanted.items())
    found = sweep.client.search_runs([sweep.experiment_id], query)
    assert swept.summary["arms"]["learned"]["trial"] in [int(run.data.tags["trial"]) for run in found]
    every = sweep.client.search_runs([sweep.experiment_id], "tags.trial != ''")
    names = {(run.data.params["method"], frozenset(run.data.params)) for run in every}
    assert len(names) == 3, "the same parameters in every run of a method"
    assert all("." in run.data.params["lr"] for run in every), "and of the same type"
    curves = sweep.curves(["val_accuracy"])
    for trial, curve in curves.groupby("trial"):
        assert list(curve["step"]) == list(range(1, len(curve) + 1)), f"one point an epoch in trial {trial}"
    arm = swept.summary["arms"]["learned"]
    row = trials.set_index("trial").loc[arm["trial"]]
    files = {file.path for file in sweep.client.list_artifacts(row["run_id"])}
    assert files == {"labels.npz", "label_history.npz"}
    assert row["metrics.val_accuracy"] == pytest.approx(arm["val_accuracy"])
    inputs = {
        each.tags[0].value: (each.dataset.name, json.loads(each.dataset.profile)["images"])
        for each in sweep.client.get_run(sweep.run_id).inputs.dataset_inputs
    }
    assert inputs == {"train": ("digits", 1038), "meta": ("digits", 150), "validation": ("digits", 250)}
    with sqlite3.connect(swept.runs / "mlflow.db") as database:
        statuses = [status for (status,) in database.execute("select status from runs")]
    assert "RUNNING" not in statuses
    assert len(statuses) == 10


def test_the_same_command_again_runs_nothing_and_says_the_same(swept: Swept) -> None:
    before = swept.summary
    again = swept.search("--trials", "9")
    assert again.code == 0, again.all
    assert "first result" not in again.out
    assert swept.summary["arms"] == before["arms"]
    assert swept.summary["states"] == before["states"]


def test_a_larger_budget_runs_only_what_is_missing(swept: Swept) -> None:
    journal = (swept.folder / "study.journal").read_bytes()
    longer = swept.search("--trials", "12")
    assert longer.code == 0, longer.all
    assert sum(swept.summary["states"].values()) == 12
    assert (swept.folder / "study.journal").read_bytes().startswith(journal), "what was known stays as it was"


def test_the_same_name_with_another_space_is_refused_with_the_difference(swept: Swept) -> None:
    before = (swept.folder / "summary.json").read_bytes()
    other = swept.search("--set", "noise_rate=0.2")
    assert other.code == 2
    assert re.search(r"noise_rate: 0\.4 → 0\.2", other.err), other.err
    assert "--name" in other.err
    assert (swept.folder / "summary.json").read_bytes() == before


def test_a_warm_start_begins_with_the_best_of_an_earlier_sweep_and_goes_on_with_the_same_words(swept: Swept) -> None:
    best = {name: arm["params"] for name, arm in swept.summary["arms"].items()}
    words = ("--name", "warmed", "--warm-start", "label_lr:1", "--trials", "3")
    first = swept.search(*words)
    assert first.code == 0, first.all
    assert "warm start from label_lr: 1 of learned, 1 of one_hot, 1 of label_smoothing first" in first.out
    assert "--name warmed --warm-start label_lr:1" in first.out, "what goes on with it says so too"
    warmed = swept.runs / "warmed"
    assert {name: arm["params"] for name, arm in read(warmed)["arms"].items()} == best
    facts = json.loads((warmed / "provenance.json").read_text())["warm_start"]
    assert (facts["sweep"], facts["best"]) == ("label_lr", 1)
    again = swept.search(*words)
    assert again.code == 0, again.all
    other = swept.search("--name", "warmed", "--trials", "3")
    assert other.code == 2
    assert re.search(r"arms.learned.points: \[.*\] → nothing", other.err), other.err
    assert json.loads((warmed / "provenance.json").read_text())["warm_start"] == facts


def test_a_trial_of_several_seeds_is_their_mean_and_tagged_as_such(tmp_path: Path, ray_address: str) -> None:
    several = ("--trials", "3", "--set", "seeds_per_trial=3", "--address", ray_address, "--runs-dir", str(tmp_path))
    result = run("harness.search", *SMALL, *several)
    assert result.code == 0, result.all
    assert result.out.startswith("label_lr: 3 trials, 3 seeds each, of learned")
    assert "accuracy," in result.out
    assert re.search(r"^one_hot +1 +0\.\d\d\d ± 0\.\d\d\d ", result.out, re.MULTILINE), result.out
    assert re.search(r"on 250\s+validation\s+images\s+of\s+each\s+of\s+3\s+seeds", result.out), result.out
    assert all(len(line) <= 80 for line in result.out.split("go on:")[0].splitlines() if "→" not in line)
    summary = read(tmp_path / "label_lr")
    assert summary["seeds_per_trial"] == 3
    again = run("harness.train", "--from", str(tmp_path / "label_lr"), "--trial", "0")
    assert again.code == 0, again.all
    assert "seed 0 to 2, means over 3" in again.out
    assert "equal to what was recorded, bit for bit, in all 3 epochs" in again.out

    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    trials = MlflowReader(f"sqlite:///{tmp_path}/mlflow.db").sweep("label_lr").trials()
    assert trials["metrics.val_accuracy_std"].notna().all()
    best = summary["arms"]["learned"]
    row = trials.set_index("trial").loc[best["trial"]]
    assert row["metrics.val_accuracy_std"] == pytest.approx(best["val_accuracy_std"])


def test_a_relative_place_of_data_starts_where_the_user_stands(tmp_path: Path, ray_address: str) -> None:
    """Ray gives each worker a folder of its own to stand in."""
    rng = np.random.default_rng(0)
    images = {"x_train": rng.random((400, 8, 8), dtype=np.float32), "y_train": np.arange(400) % 10}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "mine.npz", **images)
    space = str(ROOT / "search_spaces" / "label_lr.yaml")
    own = ("--set", "dataset=npz:data/mine.npz", "--set", "epochs=2", "--set", "width=16", "--trials", "3")
    sizes = ("--set", "meta_size=80", "--set", "val_size=80", "--set", "search.pruner=none")
    result = run("harness.search", "--space", space, *own, *sizes, "--address", ray_address, cwd=tmp_path)
    assert result.code == 0, result.all
    assert read(tmp_path / "runs" / "label_lr")["states"]["complete"] == 3
    confirmed = run("harness.confirm", "label_lr", "--seeds", "2", "--address", ray_address, cwd=tmp_path)
    assert confirmed.code == 0, confirmed.all


def test_a_diverging_trial_is_failed_with_its_reason_and_the_sweep_goes_on(tmp_path: Path, ray_address: str) -> None:
    arguments = ("--set", "parameters.lr={type: categorical, choices: [1.0e+30, 0.05]}", "--set", "search.sampler=grid")
    arguments += ("--set", "arms.learned.parameters={}", "--set", "baselines={}", "--set", "search.trials=2")
    result = run(
        "harness.search", *SMALL, *arguments, "--address", ray_address, "--runs-dir", str(tmp_path), "--name", "bad"
    )
    assert result.code == 0, result.all
    summary = read(tmp_path / "bad")
    assert summary["states"] == {"complete": 1, "pruned": 0, "failed": 1}
    assert "failed: diverged: " in result.out
    assert next(iter(summary["failures"].values())).startswith("diverged: ")


def test_no_trial_completed_is_exit_code_one(tmp_path: Path, ray_address: str) -> None:
    result = run(
        "harness.search", *SMALL, "--set", "lr=1.0e+30", "--trials", "3",
        "--address", ray_address, "--runs-dir", str(tmp_path),
    )  # fmt: skip
    assert result.code == 1, result.all
    assert read(tmp_path / "label_lr")["best"] is None
    assert "no trial completed" in result.out


@pytest.mark.slow
@pytest.mark.alone
def test_an_extra_trial_costs_under_a_fifth_of_a_second_beyond_its_own_computing(
    tmp_path: Path, ray_address: str
) -> None:
    arguments = ("--set", "epochs=1", "--set", "width=8", "--trials", "24", "--concurrency", "1")
    result = run("harness.search", *SMALL, *arguments, "--address", ray_address, "--runs-dir", str(tmp_path))
    assert result.code == 0, result.all

    from harness.tracking.spool import event_log, events

    ends = {
        record.trial: record.time / 1000
        for record, _ in event_log.read_events(tmp_path / "label_lr" / "spool")
        if isinstance(record, events.TrialEnded)
    }
    computing = {entry.number: entry.seconds for entry in trial_records(tmp_path / "label_lr")}
    extra = [ends[n] - ends[n - 1] - computing[n] for n in range(1, 24)]
    assert sorted(extra)[len(extra) // 2] < 0.2, extra


@pytest.mark.slow
def test_models_and_the_load_of_the_machine_are_there_where_they_were_asked_for(
    tmp_path: Path, ray_address: str
) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
    from harness.training.config.run_config import RunConfig
    from harness.training.data.splits import load_splits

    arguments = ("--set", "epochs=60", "--trials", "3", "--log-models", "--system-metrics")
    result = run(
        "harness.search",
        *("--space", "label_lr.yaml", *arguments, "--address", ray_address, "--runs-dir", str(tmp_path)),
        MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.2",
    )
    assert (result.code, result.err) == (0, ""), result.all
    summary = read(tmp_path / "label_lr")
    sweep = MlflowReader(summary["mlflow"]["tracking_uri"]).sweep("label_lr")
    assert "system/cpu_utilization_percentage" in sweep.metrics
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    assert run("harness.sync", "label_lr", "--runs-dir", str(tmp_path), "--tracking-uri", elsewhere).code == 0
    assert machine(elsewhere) == machine(summary["mlflow"]["tracking_uri"]) != []
    best = {arm["trial"] for arm in summary["arms"].values()}
    weights = {int(path.parent.name) for path in (tmp_path / "label_lr" / "trials").glob("*/model.pt")}
    assert best <= weights
    val = load_splits(RunConfig(noise="symmetric", noise_rate=0.4)).val
    trials = sweep.trials().set_index("trial")
    for number in best:
        model = mlflow_model(sweep.artifact("model", tmp_path, trials.loc[number, "run_id"]))
        right = (model(val.pixels.stored[val.index]).argmax(1) == val.targets).float().mean()
        assert float(right) == pytest.approx(trials.loc[number, "metrics.val_accuracy"], abs=1e-6)


def machine(uri: str) -> list[tuple[int, float]]:
    """What a server shows of the driver's processor."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'label_lr'")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`harness.kind` = 'sweep'")
    points = client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    return [(point.step, point.value) for point in points]


def mlflow_model(path: Path) -> Any:
    import mlflow.pytorch

    return mlflow.pytorch.load_model(str(path))


def test_models_are_not_kept_unless_they_are_asked_for(swept: Swept) -> None:
    assert not list((swept.folder / "trials").glob("*/model*"))


def test_a_trial_can_be_run_again_alone(swept: Swept) -> None:
    result = run("harness.train", "--from", str(swept.folder), "--trial", "0")
    assert result.code == 0, result.all
    assert "equal to what was recorded, bit for bit" in result.out
    missing = run("harness.train", "--from", str(swept.folder), "--trial", "1000")
    assert missing.code == 2
    assert "expected a trial of" in missing.err


@pytest.mark.slow
def test_one_at_a_time_the_same_seed_gives_the_same_sweep(tmp_path: Path, ray_address: str) -> None:
    arguments = (*SMALL, "--trials", "9", "--concurrency", "1", "--seed", "3")
    arguments += ("--set", "search.sampler={type: tpe, startup_trials: 1}", "--address", ray_address)
    for runs in ("one", "other"):
        assert run("harness.search", *arguments, "--runs-dir", str(tmp_path / runs)).code == 0
    assert comparable_trials(tmp_path / "one" / "label_lr") == comparable_trials(tmp_path / "other" / "label_lr")


def test_failed_trials_are_retried_under_their_numbers(tmp_path: Path, ray_address: str, worker_cache: Path) -> None:
    """A failure that is not the trial's fault, and that is repaired."""
    network = ("--set", "model=tests.support.faulty_network:network", "--set", f"width={BROKEN}")
    arguments = (*SMALL, *network, "--trials", "3", "--address", ray_address, "--runs-dir", str(tmp_path))
    (worker_cache / "broken").touch()
    broken = run("harness.search", *arguments)
    assert broken.code == 1, broken.all
    assert f"failed: OSError: the disk is not there; traceback: {tmp_path}/label_lr/trials/" in " ".join(
        broken.out.split()
    )
    assert read(tmp_path / "label_lr")["states"] == {"complete": 0, "pruned": 0, "failed": 3}
    (worker_cache / "broken").unlink()
    again = run("harness.search", *arguments, "--retry-failed")
    assert again.code == 0, again.all
    states = read(tmp_path / "label_lr")["states"]
    assert (states["failed"], sum(states.values())) == (0, 3)
    assert [record.number for record in trial_records(tmp_path / "label_lr")] == [0, 1, 2]


@pytest.mark.slow
def test_a_time_budget_ends_the_sweep(tmp_path: Path, ray_address: str) -> None:
    long = ("--space", "label_lr.yaml", "--set", "epochs=400", "--set", "search.pruner=none", "--set", "width=64")
    command = (*long, "--trials", "40", "--concurrency", "1", "--address", ray_address, "--runs-dir", str(tmp_path))
    result = run("harness.search", *command, "--time-budget", "9")
    assert result.code in (0, 1), result.all
    assert sum(read(tmp_path / "label_lr")["states"].values()) < 40
    assert "go on:" in result.out


BAD = {
    "--trials": ("0", "expected a whole number from 1 up"),
    "--time-budget": ("-3", "expected a number of seconds above 0"),
    "--concurrency": ("two", "expected a whole number from 1 up"),
    "--seed": ("-1", "expected a whole number from 0 up"),
    "--address": ("127.0.0.1:1", "expected a Ray cluster"),
    "--tracking-uri": ("http://127.0.0.1:1", "expected"),
    "--name": ("../elsewhere", "expected letters, digits"),
    "--set": ("label_rl=0.1", "label_lr"),
    "--set ": ("dataset=npz:nowhere.npz", "expected an npz file, got nothing at nowhere.npz"),
    "--space": ("label_lt.yaml", "label_lr"),
}


@pytest.mark.parametrize("option", BAD)
def test_bad_input_is_reported_in_words_and_creates_nothing(tmp_path: Path, option: str) -> None:
    value, words = BAD[option]
    space = () if option == "--space" else ("--space", "label_lr.yaml")
    result = run("harness.search", *space, option.strip(), value, "--runs-dir", str(tmp_path / "runs"))
    assert result.code == 2, result.all
    assert words in result.err
    assert "Traceback" not in result.all
    assert list(tmp_path.iterdir()) == []


def test_every_problem_of_a_space_file_is_reported_at_once(tmp_path: Path) -> None:
    text = (ROOT / "search_spaces" / "label_lr.yaml").read_text()
    text = text.replace("noise_rate: 0.4", "noise_rate: '0.4'").replace(
        "low: 0.02, high: 0.3", "low: 0.3, high: 0.02", 1
    )
    file = tmp_path / "bad.yaml"
    file.write_text(text.replace("dataset: digits", "dataset: digit") + "surprise: 1\n")
    result = run("harness.search", "--space", str(file), "--runs-dir", str(tmp_path / "runs"))
    assert result.code == 2
    problems = result.err.splitlines()
    assert len(problems) == 4, result.err
    assert all(re.match(r".*bad\.yaml:\d+: .+: expected .+, got .+; .+", line) for line in problems), result.err
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_shows_the_plan_and_creates_nothing(tmp_path: Path) -> None:
    result = run("harness.search", "--space", "label_lr.yaml", "--dry-run", "--runs-dir", str(tmp_path / "runs"))
    assert result.code == 0, result.all
    assert "learned (arm, learned)" in result.out
    assert re.search(r"label_lr +0\.\d+ … \d+.* \(log\)", result.out)
    first = re.search(r"first suggestions\n((?:  .+\n)+)", result.out)
    assert first is not None
    assert [line.split()[0] for line in lines(first[1])][:3] == ["learned-0", "one_hot-1", "label_smoothing-2"]
    assert len(lines(first[1])) == 5
    pattern = r"60 trials, \d+ at a time on \d+ cores here: about \d+ (s|min), \d+ (s|min) if none were stopped"
    assert re.search(pattern, result.out)
    assert list(tmp_path.iterdir()) == []


def test_the_plan_s_first_suggestion_is_the_sweep_s(swept: Swept) -> None:
    plan = run("harness.search", *SMALL, "--dry-run")
    number = re.search(r"learned-0 +label_lr (\S+),", plan.out)
    assert number is not None, plan.out
    assert float(number[1]) == pytest.approx(trial_records(swept.runs / "label_lr")[0].params["label_lr"], rel=0.01)


def test_the_notebook_reads_the_sweep_back_from_mlflow(swept: Swept, tmp_path: Path) -> None:
    uri = swept.summary["mlflow"]["tracking_uri"]
    out = tmp_path / "label_lr.ipynb"
    result = run("analysis.execute", "analysis/label_lr.ipynb", "--out", str(out), "--tracking-uri", uri)
    assert result.code == 0, result.all
    cells = json.loads(out.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert any("learned" in str(output.get("data", {}).get("text/plain", "")) for output in outputs)
