"""The log beside a spool: what was met on the way to a server, a line each, with its time."""

import time
from collections.abc import Callable
from pathlib import Path

FILE = "writer.log"

Say = Callable[[str], None]


def line_logger(folder: Path) -> Say:
    """Adds a line with its time to the log; the file is opened anew each time, so it may be moved away."""

    def say(line: str) -> None:
        with (folder / FILE).open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")

    return say
