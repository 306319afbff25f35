"""What a confirmation adds to a sweep's records: the verdict, on the sweep's own run, which is else left as it was."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.tracking import spool
from harness.tracking.service import Tracker
from harness.tracking.spool import Record, SweepEnded, SweepPaused, SweepStarted, TrialEnded, now_ms
from harness.tuning.folder import SweepFolder

Closed = SweepPaused | SweepEnded


def last_word(folder: Path) -> Closed:
    """How the search ended, or was left, by the records in `folder`."""
    last: Closed = SweepEnded()
    if (folder / spool.FILE).exists():
        for record, _ in spool.read(folder):
            if isinstance(record, Closed):
                last = record
    return last


def again(state: Closed) -> Closed:
    """The same state, as of now."""
    return dataclasses.replace(state, time=now_ms())


def closing(found: Mapping[str, Any], folder: SweepFolder, state_of_search: Closed) -> Iterator[Record]:
    """The verdict with its file, then the state that the search was in."""
    gain = found["gain"]
    metrics: dict[str, float] = {"confirm_seeds": float(found["n"])}
    if gain is not None:
        bounds = zip(("low", "high"), gain["ci95"], strict=True)
        metrics["confirm_gain"] = gain["mean_difference"]
        metrics |= {f"confirm_gain_{side}": bound for side, bound in bounds if bound is not None}
    yield SweepStarted(name=folder.path.name, tags={"verdict": found["verdict"]}, artifacts=(str(folder.findings),))
    yield dataclasses.replace(again(state_of_search), metrics=metrics)


def starting(tracker: Tracker) -> Callable[[Record], None]:
    """Start the writer when the first run has ended: its start would slow down the first one's."""

    def listen(record: Record) -> None:
        if isinstance(record, TrialEnded):
            tracker.start()

    return listen
