"""Text log beside the event log: what happened while events were sent, one line each, with its time."""

import time
from pathlib import Path

FILE = "writer.log"


def log_line(folder: Path, line: str) -> None:
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
