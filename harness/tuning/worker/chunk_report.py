"""Report of a worker after each chunk of a trial."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ChunkReport:
    """Report of about half a second of training.

    Attributes:
        epochs: (number, metrics) of each epoch since the last report; in the first report, since the trial's start.
        failure: why the trial failed; empty while it has not.
        traceback: name of the file in the trial's folder with the traceback of the failure; empty if it has none.
        unusable: whether it failed before its first step, because data or model cannot serve it.
        finished: whether this is the trial's last report.
        seconds: compute time of the trial so far, set-up included.
        datasets: descriptions of the data splits used, each reported once.
        warnings: texts for the user, each reported once.
        disk_error: of a disk that is full or broken; the driver has to stop.
        test: metrics on the test part, where the trial's `at_end` asks for them.
        test_samples: number of images of the test part.
    """

    epochs: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    failure: str = ""
    traceback: str = ""
    unusable: bool = False
    finished: bool = False
    seconds: float = 0.0
    datasets: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    disk_error: OSError | None = None
    test: dict[str, float] = field(default_factory=dict)
    test_samples: int = 0
