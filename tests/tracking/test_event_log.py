"""What is appended is read back, whatever was cut off or damaged."""

import dataclasses
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tracking.spool.event_log import FILE, EventLog, EventLogError, read_events, read_sweep_id
from harness.tracking.spool.events import (
    EpochMetrics,
    Event,
    SweepEnded,
    TrialEnded,
    TrialEvent,
    decode_event,
    encode_event,
)
from tests.tracking.sweeps import sweep_events, trial_events, write_events

text = st.text(max_size=20)
numbers = st.integers(0, 2**53)
files = st.lists(text, max_size=3).map(tuple)
# A parameter is shown as a string, so that an infinite one is kept as its string.
scalars = st.one_of(text, st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
params = st.dictionaries(text, scalars)
FIELDS = {
    **dict.fromkeys(("trial", "step", "time"), numbers),
    **dict.fromkeys(("name", "reason", "text"), text),
    "params": params,
    "tags": st.dictionaries(text, text, max_size=3),
    "metrics": st.dictionaries(text, st.floats(allow_nan=False), max_size=4),
    "parts": st.lists(params, max_size=3).map(tuple),
    "artifacts": files,
    "state": st.sampled_from(["complete", "failed"]),
}
TYPES = [event_type for event_type in Event.types.values() if event_type is not TrialEvent]
events = st.one_of(
    *(
        st.builds(event_type, **{field.name: FIELDS[field.name] for field in dataclasses.fields(event_type)})
        for event_type in TYPES
    )
)


def contents(folder: Path) -> list[Event]:
    return [event for event, _ in read_events(folder) if event is not None]


def lines(events: Iterable[Event]) -> list[bytes]:
    """Events to compare: NaN is not equal to itself, its line is."""
    return [encode_event(event) for event in events]


@given(events, st.integers(0, 10**6), st.integers(1, 255))
def test_an_event_is_read_back_as_it_was_written_and_a_changed_byte_is_noticed(
    original: Event, place: int, change: int
) -> None:
    line = encode_event(original)
    assert line.count(b"\n") == 1
    assert decode_event(line) == original
    damaged = bytearray(line)
    damaged[place % (len(line) - 1)] ^= change
    assert decode_event(bytes(damaged)) is None


def test_numbers_that_json_has_not_survive() -> None:
    original = {"nan": math.nan, "up": math.inf, "down": -math.inf, "numpy": np.float32(0.5)}
    decoded = decode_event(encode_event(EpochMetrics(trial=1, step=2, metrics=original, time=3)))
    assert isinstance(decoded, EpochMetrics)
    assert math.isnan(decoded.metrics["nan"])
    assert dict(list(decoded.metrics.items())[1:]) == {"up": math.inf, "down": -math.inf, "numpy": 0.5}


def test_a_log_opened_again_is_the_same_sweep_continues_and_gives_all_events_in_order(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "spool", sweep_events(2))
    identity = read_sweep_id(folder)
    write_events(folder, trial_events(2))
    assert read_sweep_id(folder) == identity != read_sweep_id(write_events(tmp_path / "other", sweep_events(1)))
    assert lines(contents(folder)) == lines([*sweep_events(2), *trial_events(2)])
    with EventLog(folder) as log:
        assert log.warnings == []


def test_an_end_cut_at_any_byte_loses_that_event_alone_and_is_reported(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "spool", sweep_events(1))
    whole = (folder / FILE).read_bytes()
    last = len(encode_event(list(sweep_events(1))[-1]))
    for cut in range(1, last):
        (folder / FILE).write_bytes(whole[:-cut])
        with EventLog(folder) as log:
            assert [warning for warning in log.warnings if "cut short" in warning]
            log.append(SweepEnded(time=7))
        assert contents(folder) == [*list(sweep_events(1))[:-1], SweepEnded(time=7)]


def test_a_damaged_line_in_the_middle_costs_that_event_alone(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "spool", sweep_events(1))
    lines = (folder / FILE).read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"step":1', b'"step":9')
    (folder / FILE).write_bytes(b"".join(lines))
    with EventLog(folder) as log:
        assert log.warnings == [f"{folder / FILE}: skipped 1 damaged lines"]
    expected = list(sweep_events(1))
    del expected[3]  # line 0 is the header
    assert contents(folder) == expected


@pytest.mark.parametrize("tail", [b"", b"milk"])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / FILE).write_bytes(b"shopping list\n" + tail)
    with pytest.raises(EventLogError, match=r"expected the header of an event log .*; put a copy back, or move"):
        EventLog(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"shopping list\n" + tail


def test_a_disk_that_is_full_leaves_the_log_whole(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "spool", sweep_events(1))
    full = (folder / FILE).stat().st_size + 10
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with EventLog(folder) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
        try:
            with pytest.raises(OSError, match=r"too large|only 10 of"):
                log.append(SweepEnded(time=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        log.append(SweepEnded(time=2))
    assert contents(folder) == [*sweep_events(1), SweepEnded(time=2)]


def test_files_of_the_sweep_are_named_so_that_its_folder_can_be_moved(tmp_path: Path) -> None:
    inside, outside = tmp_path / "sweep" / "trials" / "labels.npz", tmp_path / "elsewhere.txt"
    ended = TrialEnded(trial=0, state="complete", artifacts=(str(inside), str(outside)))
    (event,) = contents(write_events(tmp_path / "sweep" / "spool", [ended]))
    assert isinstance(event, TrialEnded)
    assert event.artifacts == ("trials/labels.npz", str(outside))


@pytest.mark.alone
def test_an_append_takes_less_than_a_millisecond(tmp_path: Path) -> None:
    metrics = {f"metric_{i}": i / 7 for i in range(10)}
    with EventLog(tmp_path) as log:
        seconds = []
        for step in range(500):
            begin = time.perf_counter()
            log.append(EpochMetrics(trial=1, step=step, metrics=metrics))
            seconds.append(time.perf_counter() - begin)
    assert statistics.median(seconds) < 1e-3


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("harness.tracking.spool.event_log", {"pydantic", "pandas", "mlflow", "torch", "ray"}),
        ("harness.tracking.tracker", {"pandas", "mlflow", "torch", "ray"}),
    ],
)
def test_the_driver_imports_nothing_slow(module: str, absent: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())
