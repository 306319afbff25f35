"""Sweeps to analyse: recorded in a folder, or also sent to a real SQLite store."""

import pytest

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame, load, read
from harness.tracking.spool.spooled_sweep import SpooledSweep
from tests.analysis.sweeps import recorded, searched, sent
from tests.tracking.conftest import empty_database, runs, store

__all__ = ["empty_database", "runs", "store"]


@pytest.fixture
def tracked(runs, store) -> SweepFrame:  # type: ignore[no-untyped-def]
    """Read back from MLflow."""
    sent(store, runs, searched())
    return load({"TRACKING_URI": store, "STUDY": "label_lr"})


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """The same sweep, read from its own folder."""
    style.apply()
    folder = tmp_path_factory.mktemp("recorded") / "label_lr"
    recorded(folder, searched())
    return read(SpooledSweep.read(folder))
