"""A clock that is set forth and back by an hour, every two seconds, under a sweep's driver."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import ROOT, run

SET_BY_AN_HOUR = '''
"""Python runs this at its start, in the driver and in what feeds MLflow."""

import time

true_time, began = time.time, time.monotonic()

def time_that_jumps():
    return true_time() + (3600 if (time.monotonic() - began) // 2 % 2 else -3600)

time.time = time_that_jumps
'''


@pytest.mark.slow
def test_a_clock_that_jumps_moves_no_budget_and_loses_no_point(tmp_path: Path, ray_address: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(SET_BY_AN_HOUR)
    runs = tmp_path / "runs"
    words = ("--space", "label_lr.yaml", "--set", "epochs=20", "--set", "width=32", "--trials", "6")
    words += ("--set", "search.pruner=none", "--set", "search.stop_when={no_gain_trials: 6}", "--time-budget", "600")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    result = run("harness.search", *words, "--address", ray_address, "--runs-dir", str(runs), PYTHONPATH=path)
    assert result.code == 0, result.all
    assert "Traceback" not in result.all
    summary = json.loads((runs / "label_lr" / "summary.json").read_text())
    assert summary["states"] == {"complete": 6, "pruned": 0, "failed": 0}

    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    sweep = MlflowReader(f"sqlite:///{runs}/mlflow.db").sweep("label_lr")
    assert set(sweep.trials()["state"]) == {"complete"}
    steps = sweep.curves(["val_accuracy"]).groupby("trial")["step"].agg(list).to_dict()
    assert steps == {
        number: list(range(1, epochs + 1))
        for number, epochs in sweep.trials().set_index("trial")["params.epochs"].items()
    }
