"""Text log beside the event log: what happened while events were sent, one line each, with its time."""

import time
from collections.abc import Callable
from pathlib import Path

FILE = "writer.log"

Log = Callable[[str], None]


def line_logger(folder: Path) -> Log:
    """Return a function that appends a line to the log; it opens the file each time, so that it may be moved."""

    def log(line: str) -> None:
        with (folder / FILE).open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")

    return log
