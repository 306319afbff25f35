"""Real sweeps, confirmed, in all that a person opens them with: the notebooks, MLflow's pages, Optuna's dashboard."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader, MlflowSweep
from tests.analysis.test_notebook import FOLDER, outputs, printed
from tests.conftest import ROOT, run, start
from tests.support.browser import visit
from tests.tracking.conftest import free_port

pytestmark = pytest.mark.slow

OF_ITS_OWN = "/ajax-api/2.0/mlflow/users/current"
"""What MLflow's pages ask any server for, and note as an error where it has no users."""


@dataclass(frozen=True)
class Swept:
    """A runs folder with two confirmed sweeps: `label_lr` of noisy instance labels, and `classes` of class labels."""

    runs: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.runs / 'mlflow.db'}"

    def sweep(self, name: str = "label_lr") -> MlflowSweep:
        return MlflowReader(self.uri).sweep(name)


@pytest.fixture(scope="module")
def swept(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    runs = tmp_path_factory.mktemp("pages") / "runs"
    shared = ("--runs-dir", str(runs), "--address", ray_address)
    small = ("--space", "label_lr.yaml", "--set", "width=32", "--set", "epochs=6", "--set", "search.pruner=none")
    for name, more in (("label_lr", ()), ("classes", ("--set", "arms.learned.fixed.labels=class"))):
        searched = run("harness.search", *small, *more, "--name", name, "--trials", "12", *shared)
        assert searched.code == 0, searched.all
        confirmed = run("harness.confirm", name, "--top", "1", "--seeds", "3", *shared)
        assert confirmed.code == 0, confirmed.all
    return Swept(runs)


# Notebooks


@pytest.mark.parametrize(
    ("notebook", "study", "expected"),
    [
        ("label_lr", "label_lr", ["label_lr: complete, 12 trials"]),
        ("noise_correction", "label_lr", ["wrong labels put right", "Over 3 fresh seeds: precision from"]),
        ("label_semantics", "classes", ["% of a class label lies on other classes", "over 3 fresh seeds"]),
        ("label_semantics", "label_lr", ["this sweep has no class labels"]),
        ("confirm", "label_lr", ["n = 3"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_notebook_runs_on_a_real_sweep(
    notebook: str, study: str, expected: list[str], swept: Swept, tmp_path: Path
) -> None:
    out = tmp_path / f"{notebook}.ipynb"
    done = run(
        "analysis.execute", str(FOLDER / f"{notebook}.ipynb"), "--out", str(out),
        TRACKING_URI=swept.uri, STUDY=study,
    )  # fmt: skip
    assert done.code == 0, done.all
    said = printed(out)
    assert all(words in said for words in expected), said
    assert any("image/png" in output.get("data", {}) for output in outputs(out))


# MLflow


@contextmanager
def served(command: list[str], address: str, **environment: str) -> Iterator[None]:
    """A server that answers at `address`, started by `command`, gone with its children at the end."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(address, process)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at {address}")


@pytest.fixture(scope="module")
def ui(swept: Swept) -> Iterator[str]:
    """MLflow's pages, by the very command of `make ui`."""
    port = free_port()
    told = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/installed", "--no-print-directory", "ui", f"PORT={port}",
         f"CURDIR={swept.runs.parent}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(swept.runs / "mlflow.db") in told.stdout
    words = shlex.split(told.stdout)
    settings = dict(word.split("=", 1) for word in words if word.startswith("MLFLOW_"))
    command = [sys.executable, *words[words.index(".venv/bin/python") + 1 :]]
    address = f"http://127.0.0.1:{port}"
    with served(command, f"{address}/health", **settings):
        yield address


def errors(told: list[str]) -> list[str]:
    return [line for line in told if OF_ITS_OWN not in line]


COMPARE = """
const tab = [...document.querySelectorAll("[role=tab]")].find((each) => each.textContent.includes("Scatter"));
if (!tab) return null;
if (tab.getAttribute("aria-selected") !== "true") {
  tab.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, button: 0 }));
  tab.click();
  return null;
}
const points = document.querySelector(".js-plotly-plot")?.data?.[0]?.x?.length;
return points ? { points, text: document.body.innerText } : null;
"""


def test_mlflow_compares_the_trials_of_a_sweep(swept: Swept, ui: str, tmp_path: Path) -> None:
    sweep = swept.sweep()
    trials = sweep.trials()
    runs, experiments = (quote(json.dumps(ids)) for ids in (list(trials["run_id"]), [sweep.experiment_id]))
    seen = visit(f"{ui}/#/compare-runs?runs={runs}&experiments={experiments}", COMPARE, tmp_path / "compare.png")
    assert seen.found, "the page came to show no chart"
    assert errors(seen.errors) == []
    assert seen.found["points"] == 12, "a point a run"
    text = seen.found["text"]
    assert "Comparing 12 Runs from 1 Experiment" in text
    for words in (*trials["name"], "label_lr", "meta_interval", "val_accuracy", "noisy_labels_corrected"):
        assert words in text


def test_mlflow_shows_the_sweep_where_the_search_said(swept: Swept, ui: str, tmp_path: Path) -> None:
    sweep = swept.sweep()
    wait = "const text = document.body.innerText; return text.includes('confirm_gain') ? text : null;"
    page = f"{ui}/#/experiments/{sweep.experiment_id}/runs/{sweep.run_id}"
    seen = visit(page, wait, tmp_path / "sweep.png")
    assert seen.found, "the page came to show no metrics"
    assert errors(seen.errors) == []
    for words in ("label_lr", "Finished", "trials_complete", "verdict", "learned-"):
        assert words in seen.found


CHARTS = "return document.querySelectorAll('.js-plotly-plot').length > 3 ? document.body.innerText : null;"


def test_mlflow_draws_the_metrics_of_its_runs(swept: Swept, ui: str, tmp_path: Path) -> None:
    page = f"{ui}/#/experiments/{swept.sweep().experiment_id}/runs?compareRunsMode=CHART"
    seen = visit(page, CHARTS, tmp_path / "charts.png")
    assert seen.found, "the page came to show no charts"
    assert errors(seen.errors) == []
    assert "best_val_accuracy" in seen.found


# Optuna


def test_optunas_dashboard_shows_every_arm_and_its_trials(swept: Swept, tmp_path: Path) -> None:
    journal = swept.runs / "label_lr" / "study.journal"
    before, port = journal.read_bytes(), free_port()
    dashboard = start("harness.dashboard", "label_lr", "--runs-dir", str(swept.runs), "--port", str(port))
    address = f"http://127.0.0.1:{port}/dashboard"
    try:
        _wait_for(f"{address}/", dashboard)
        wait = "const text = document.body.innerText; return text.includes('one_hot') ? text : null;"
        seen = visit(address, wait, tmp_path / "dashboard.png")
        assert seen.found
        assert seen.errors == []
        for arm in ("learned", "one_hot", "label_smoothing"):
            assert arm in seen.found
        history = """
        const plots = [...document.querySelectorAll(".js-plotly-plot")];
        const lines = plots.find((plot) => plot.id === "plot-history")?.data?.map((line) => line.x?.length ?? 0);
        return lines?.some((points) => points) ? { lines, text: document.body.innerText } : null;
        """
        seen = visit(f"{address}/studies/0", history, tmp_path / "dashboard-study.png")
        assert seen.found, "the page came to show no history"
        assert seen.errors == []
        assert 4 in seen.found["lines"], "a point a trial of the arm"
        assert "learned" in seen.found["text"]
        assert "Best Trial" in seen.found["text"]
    finally:
        os.killpg(dashboard.pid, signal.SIGINT)
        out, _ = dashboard.communicate(timeout=30)
    assert out.startswith(f"label_lr: {address}/ (read-only")
    assert dashboard.returncode == 0
    assert journal.read_bytes() == before
