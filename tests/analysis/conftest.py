"""Sweeps to analyse: recorded in a folder, or also sent to a real SQLite store."""

import pytest

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame, load
from tests.analysis.sweeps import record, record_and_send, search_events
from tests.tracking.conftest import empty_database, runs, store

__all__ = ["empty_database", "runs", "store"]


@pytest.fixture
def tracked(runs, store) -> SweepFrame:  # type: ignore[no-untyped-def]
    """Read back from MLflow."""
    record_and_send(store, runs, search_events())
    return load({"TRACKING_URI": store, "STUDY": "label_lr"})


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """The same sweep, read from its own folder."""
    style.apply()
    return record(tmp_path_factory.mktemp("recorded") / "label_lr", search_events())
