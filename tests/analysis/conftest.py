"""Studies to analyse: recorded, sent to a real SQLite store, and read back."""

import pytest

from analysis import style
from analysis.study import Study, load
from tests.analysis.sweeps import searched, sent
from tests.tracking.conftest import empty_database, runs, store

__all__ = ["empty_database", "runs", "store"]


@pytest.fixture
def study(runs, store) -> Study:  # type: ignore[no-untyped-def]
    sent(store, runs, searched())
    style.apply()
    return load({"TRACKING_URI": store, "STUDY": "label_lr"})
