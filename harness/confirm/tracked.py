"""What a confirmation adds to a sweep's records: the verdict, on the sweep's own run, which is else left as it was."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.tracking.spool.event_log import Event, SweepStarted, TrialEnded
from harness.tracking.tracker import Tracker
from harness.tuning.storage.sweep_folder import SweepFolder


def with_verdict(found: Mapping[str, Any], folder: SweepFolder) -> SweepStarted:
    """The sweep's run once more, with the verdict as a tag and all numbers as a file."""
    return SweepStarted(
        name=folder.path.name,
        tags={"study": found["study"], "verdict": found["verdict"]},
        artifacts=(str(folder.findings),),
    )


def metrics(found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the verdict; a bound that is infinite is left out."""
    gain = found["gain"]
    numbers = {"confirm_seeds": float(found["n"])}
    if gain is not None:
        low, high = gain["ci95"]
        bounds = {"confirm_gain": gain["mean_difference"], "confirm_gain_low": low, "confirm_gain_high": high}
        numbers |= {name: bound for name, bound in bounds.items() if bound is not None}
    return numbers


def starting(tracker: Tracker) -> Callable[[Event], None]:
    """Start the writer when the first run has ended: its start would slow down the first one's."""

    def listen(record: Event) -> None:
        if isinstance(record, TrialEnded):
            tracker.start()

    return listen
