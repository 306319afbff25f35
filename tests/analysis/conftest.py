"""Studies to analyse: recorded, sent to a real SQLite store, and read back."""

import pytest

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame, load, read
from harness.tracking.spool.spooled_sweep import SpooledSweep
from tests.analysis.sweeps import recorded, searched, sent
from tests.tracking.conftest import empty_database, runs, store

__all__ = ["empty_database", "runs", "store"]


@pytest.fixture
def study(runs, store) -> SweepFrame:  # type: ignore[no-untyped-def]
    sent(store, runs, searched())
    style.apply()
    return load({"TRACKING_URI": store, "STUDY": "label_lr"})


@pytest.fixture(scope="session")
def as_recorded(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """The same study from its own folder, without a store: quicker, for figures that do not care."""
    style.apply()
    folder = tmp_path_factory.mktemp("recorded") / "label_lr"
    recorded(folder, searched())
    return read(SpooledSweep.read(folder))
