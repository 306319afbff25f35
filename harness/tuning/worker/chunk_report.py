"""What a worker reports after each chunk of a trial."""

from typing import Any, TypedDict


class ChunkReport(TypedDict):
    """Report of about half a second of training.

    epochs: (number, metrics) of each epoch since the last report; in the first report, since the trial's start.
    failure: why the trial failed; empty while it has not.
    finished: whether this is the trial's last report.
    seconds: compute time of the trial so far, set-up included.
    datasets: descriptions of the data splits used, each reported once.
    warnings: texts for the user, each reported once.
    disk_error: arguments of the OSError of a disk that is full or broken, else empty; the driver has to stop.
    test: metrics on the test part, where the trial's `at_end` asks for them; test_samples: how many images it has.
    """

    epochs: list[tuple[int, dict[str, float]]]
    failure: str
    finished: bool
    seconds: float
    datasets: list[dict[str, Any]]
    warnings: list[str]
    disk_error: tuple[Any, ...]
    test: dict[str, float]
    test_samples: int


def failure_report(reason: str) -> ChunkReport:
    """Report of a trial that failed before it began."""
    return {
        "epochs": [],
        "failure": reason,
        "finished": True,
        "seconds": 0.0,
        "datasets": [],
        "warnings": [],
        "disk_error": (),
        "test": {},
        "test_samples": 0,
    }
