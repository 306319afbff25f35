"""The parts of `benchmarks.tracking`, on a handful of results."""

import math
import statistics
from pathlib import Path

import pytest

from benchmarks import tracking


def test_the_interval_of_ratios_is_students_over_their_logarithms() -> None:
    mean, low, high = tracking.interval([1.0, 1.1, 1.21])
    assert mean == pytest.approx(1.1)
    half = 4.302653 * math.log(1.1) / math.sqrt(3)  # the 97.5 % point of Student's t with two degrees of freedom
    assert (low, high) == (pytest.approx(1.1 * math.exp(-half)), pytest.approx(1.1 * math.exp(half)))


@pytest.mark.alone
def test_tracking_a_result_takes_less_than_a_millisecond_while_the_server_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "OURS", 40)
    monkeypatch.setattr(tracking.Tracker, "start", lambda self: None)
    monkeypatch.setattr(tracking.Tracker, "finish", lambda self, timeout: self.event_log.close())
    assert statistics.median(tracking.unreachable("", tmp_path)) < 1e-3
