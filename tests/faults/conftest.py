"""An undisturbed sweep, which fault tests compare theirs with."""

from pathlib import Path

import pytest

from tests.conftest import run
from tests.support.kills import OFTEN
from tests.support.trial_records import comparable_trials

EPOCHS = 150
LONG = (
    *("--space", "label_lr.yaml", "--set", f"epochs={EPOCHS}", "--set", "width=64", "--set", "search.pruner=none"),
    *("--set", "baselines={}", "--set", "search.sampler=random", "--concurrency", "1", *OFTEN),
)
"""Trials of one arm, one after the other, each long enough to be disturbed behind a checkpoint."""


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Path:
    """Folder of a sweep of two trials of `LONG`."""
    runs = tmp_path_factory.mktemp("undisturbed")
    result = run("harness.search", *LONG, "--trials", "2", "--address", ray_address, "--runs-dir", str(runs))
    assert result.code == 0, result.all
    assert [len(curve) for *_, curve in comparable_trials(runs / "label_lr")] == [EPOCHS, EPOCHS]
    return runs / "label_lr"
