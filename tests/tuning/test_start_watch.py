"""What is said of trials that wait: once for each reason, and only after half a minute."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.space import Resources
from harness.tuning.execution import start_watch
from harness.tuning.execution.start_watch import StartWatch


class Display:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Clock:
    """A watch of one waiting trial, and the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, own: bool, free: float, starting: int, **need: Any) -> None:
        self.now, self.display = 100.0, Display()
        monkeypatch.setattr(start_watch.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(start_watch.os, "getloadavg", lambda: (99.0, 99.0, 99.0))
        monkeypatch.setattr(start_watch, "node_resources", lambda: {"n1": ("id1", {"CPU": 4.0, "memory": 2.0**33})})
        monkeypatch.setattr(start_watch.ray_internals, "free_resources", lambda: {"id1": {"CPU": free}})
        monkeypatch.setattr(start_watch.ray_internals, "starting_workers", lambda: starting)
        slots: Any = SimpleNamespace(resources=Resources(**need), own_cluster=own)
        self.watch = StartWatch(slots, self.display)
        self.watch.add("a", "learned-0")

    def after(self, seconds: float) -> list[str]:
        """The notes once so many seconds have passed."""
        self.now = 100.0 + seconds
        self.watch.on_step_begin(0, [])
        return self.display.notes


def test_nothing_is_said_before_half_a_minute_or_once_the_trial_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, own=True, free=0.0, starting=1)
    assert clock.after(29) == []
    clock.watch.on_trial_start(0, [], SimpleNamespace(trial_id="a"))
    assert clock.after(300) == []
    assert clock.display.stages == ["starting workers", "waiting for the first result"]


@pytest.mark.parametrize(
    ("own", "free", "starting"),
    [
        (True, 0.0, 0),  # a cluster of this sweep alone has room for all that were started
        (False, 3.0, 0),
        (False, 0.0, 1),
    ],
)
def test_a_worker_that_starts_slowly_is_told_once_with_the_niceness(
    monkeypatch: pytest.MonkeyPatch, own: bool, free: float, starting: int
) -> None:
    clock = Clock(monkeypatch, own=own, free=free, starting=starting)
    (note,) = clock.after(31)
    assert note.startswith("learned-0 has waited for 31 s for its worker to start: ")
    assert note.endswith("workers yield to other processes (niceness 15); end some, or set search.resources.niceness=0")
    assert clock.after(90) == [note]


def test_where_this_machine_is_not_busy_the_module_of_the_model_may_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, own=True, free=0.0, starting=1)
    monkeypatch.setattr(start_watch.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    (note,) = clock.after(31)
    assert "while this machine is not busy (load 0.0 on " in note
    assert note.endswith("look whether the module of its model takes long to import")


def test_niceness_is_no_remedy_where_it_is_least(monkeypatch: pytest.MonkeyPatch) -> None:
    (note,) = Clock(monkeypatch, own=False, free=0.0, starting=1, niceness=0).after(31)
    assert note.endswith("its node is busy; end other processes, or lower --concurrency")


@pytest.mark.parametrize(
    ("need", "words"),
    [
        ({"cpu": 2.0}, "2 CPUs; free now: n1 1 CPU; they come when others have ended"),
        (
            {"memory_gib": 3.0, "wait_for_nodes": True},
            "1 CPU and 3.0 GiB; free now: n1 1 CPU and 0.0 GiB; they come when the cluster has grown",
        ),
    ],
)
def test_a_trial_without_room_says_what_it_needs_and_what_is_free(
    monkeypatch: pytest.MonkeyPatch, need: dict[str, Any], words: str
) -> None:
    (note,) = Clock(monkeypatch, own=False, free=1.0, starting=0, **need).after(45)
    assert note.startswith(f"learned-0 has waited for 45 s for {words}")
