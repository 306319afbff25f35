"""A sweep whose tracking server goes away soon after the start, and stays away."""

import json
from pathlib import Path

import pytest

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from tests.conftest import finish, run, start
from tests.support.kills import ended, wait_for_file
from tests.tracking.conftest import free_port, mlflow_server


@pytest.mark.slow
def test_nothing_is_lost_and_one_command_sends_it_when_the_server_is_back(
    tmp_path: Path, ray_address: str, empty_database: Path
) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    port, runs = free_port(), tmp_path / "runs"
    small = ("--space", "label_lr.yaml", "--set", "epochs=2", "--set", "width=16", "--trials", "12")
    with mlflow_server(tmp_path, port) as url:
        where = ("--address", ray_address, "--runs-dir", str(runs), "--tracking-uri", url)
        process = start("harness.search", *small, *where)
        wait_for_file(runs, "label_lr/trials/*/labels.npz", process)
    with ended(process):
        result = finish(process)
    assert result.code == 0, result.all
    assert "12/12 trials" in result.out
    assert "MLflow has not taken" in result.all
    assert "harness.sync label_lr" in result.all
    summary = json.loads((runs / "label_lr" / "summary.json").read_text())
    with mlflow_server(tmp_path, port) as url:
        sent = run("harness.sync", "label_lr", "--runs-dir", str(runs), "--tracking-uri", url)
        assert sent.code == 0, sent.all
        sweep = MlflowReader(url).sweep("label_lr")
        trials, curves = sweep.trials(), sweep.curves(["val_accuracy"])
    assert sorted(trials["trial"]) == list(range(12))
    assert trials["state"].value_counts().to_dict() == {k: n for k, n in summary["states"].items() if n}
    assert not curves.duplicated(["trial", "step"]).any()
    assert set(curves["trial"]) == set(range(12))
