"""Real sweeps, confirmed, as the notebooks, MLflow's pages and Optuna's dashboard show them."""

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

CURRENT_USER = "/ajax-api/2.0/mlflow/users/current"
"""MLflow's pages ask any server for this, and log an error where it has no users."""


@dataclass(frozen=True)
class RealSweeps:
    """A runs folder with two confirmed sweeps: `label_lr` of noisy instance labels, and `classes` of class labels."""

    runs: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.runs / 'mlflow.db'}"

    def sweep(self, name: str = "label_lr") -> MlflowSweep:
        return MlflowReader(self.uri).sweep(name)


@pytest.fixture(scope="module")
def real_sweeps(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> RealSweeps:
    runs = tmp_path_factory.mktemp("pages") / "runs"
    shared = ("--runs-dir", str(runs), "--address", ray_address)
    small = ("--space", "label_lr.yaml", "--set", "width=32", "--set", "epochs=6", "--set", "search.pruner=none")
    of_classes = ("--set", "arms.learned.fixed.labels=class", "--trials", "6")
    for name, more in (("label_lr", ("--trials", "12")), ("classes", of_classes)):
        searched = run("harness.search", *small, *more, "--name", name, *shared)
        assert searched.code == 0, searched.all
        confirmed = run("harness.confirm", name, "--top", "1", "--seeds", "3", *shared)
        assert confirmed.code == 0, confirmed.all
    return RealSweeps(runs)


# Notebooks


TABLE, PICTURE = "text/html", "image/png"


@pytest.mark.parametrize(
    ("notebook", "study", "expected", "kinds"),
    [
        ("label_lr", "label_lr", ["label_lr: complete, 12 trials"], [TABLE, *[PICTURE] * 6, *[TABLE] * 2, PICTURE]),
        (
            "noise_correction",
            "label_lr",
            ["wrong labels put right", "Average precision", "Over 3 fresh seeds: precision from"],
            [PICTURE, PICTURE, TABLE, PICTURE],
        ),
        (
            "label_semantics",
            "classes",
            ["% of a class label lies on other classes", "over 3 fresh seeds"],
            [PICTURE, TABLE, PICTURE, PICTURE, TABLE],
        ),
        ("confirm", "label_lr", ["n = 3"], [PICTURE, PICTURE, TABLE]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_notebook_shows_its_tables_and_figures_of_a_real_sweep(
    notebook: str, study: str, expected: list[str], kinds: list[str], real_sweeps: RealSweeps, tmp_path: Path
) -> None:
    out = tmp_path / f"{notebook}.ipynb"
    done = run(
        "analysis.execute", str(FOLDER / f"{notebook}.ipynb"), "--out", str(out),
        TRACKING_URI=real_sweeps.uri, STUDY=study,
    )  # fmt: skip
    assert done.code == 0, done.all
    text = printed(out)
    assert all(words in text for words in expected), text
    assert [kind for output in outputs(out) for kind in output.get("data", {}) if kind != "text/plain"] == kinds


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
def ui(real_sweeps: RealSweeps) -> Iterator[str]:
    """MLflow's pages, by the very command of `make ui`."""
    port = free_port()
    dry_run = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/installed", "--no-print-directory", "ui", f"PORT={port}",
         f"RUNS={real_sweeps.runs}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = shlex.split(dry_run.stdout)
    command = [sys.executable, *words[words.index(".venv/bin/python") + 1 :]]
    address = f"http://127.0.0.1:{port}"
    with served(command, f"{address}/health"):
        yield address


def errors(console: list[str]) -> list[str]:
    return [line for line in console if CURRENT_USER not in line]


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


def test_mlflow_compares_the_trials_of_a_sweep(real_sweeps: RealSweeps, ui: str, tmp_path: Path) -> None:
    sweep = real_sweeps.sweep()
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


def test_mlflow_shows_the_sweep_where_the_search_said(real_sweeps: RealSweeps, ui: str, tmp_path: Path) -> None:
    sweep = real_sweeps.sweep()
    wait = "const text = document.body.innerText; return text.includes('confirm_gain') ? text : null;"
    page = f"{ui}/#/experiments/{sweep.experiment_id}/runs/{sweep.run_id}"
    seen = visit(page, wait, tmp_path / "sweep.png")
    assert seen.found, "the page came to show no metrics"
    assert errors(seen.errors) == []
    for words in ("label_lr", "Finished", "trials_complete", "verdict", "learned-"):
        assert words in seen.found


CHARTS = "return document.querySelectorAll('.js-plotly-plot').length > 3 ? document.body.innerText : null;"


def test_mlflow_draws_the_metrics_of_its_runs(real_sweeps: RealSweeps, ui: str, tmp_path: Path) -> None:
    page = f"{ui}/#/experiments/{real_sweeps.sweep().experiment_id}/runs?compareRunsMode=CHART"
    seen = visit(page, CHARTS, tmp_path / "charts.png")
    assert seen.found, "the page came to show no charts"
    assert errors(seen.errors) == []
    assert "best_val_accuracy" in seen.found


# Optuna


def test_optunas_dashboard_shows_every_arm_and_its_trials(real_sweeps: RealSweeps, tmp_path: Path) -> None:
    journal = real_sweeps.runs / "label_lr" / "study.journal"
    before, port = journal.read_bytes(), free_port()
    dashboard = start("harness.dashboard", "label_lr", "--runs-dir", str(real_sweeps.runs), "--port", str(port))
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
