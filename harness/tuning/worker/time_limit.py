"""Time limit of a trial, which also ends a trial that hangs in a kernel, a library or a lock.

A trial checks its limit between epochs and fails by itself. If it never reaches the next epoch, a thread of
`faulthandler`, which needs no Python, ends the process a moment later and writes the stack of each Python thread to
`hung.txt` in the trial's folder. The next worker of the trial finds that file and fails the trial with that reason.
"""

import faulthandler
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.tuning.failures import TIME_LIMIT
from harness.tuning.storage.sweep_folder import HUNG, HUNG_REPORTED

GRACE_SECONDS = 1.0
"""Time beyond the limit before the process is ended."""


class TimeLimitExceeded(Exception):
    """A trial has computed longer than its limit."""


class TimeLimit:
    """Limit on the compute time of a trial in `folder`; None: no limit."""

    def __init__(self, seconds: float | None, folder: Path) -> None:
        self.seconds = seconds
        self._file = folder / HUNG

    @contextmanager
    def enforced(self, spent: float) -> Iterator[None]:
        """End this process if the block runs past the limit; `spent` seconds are used up already.

        Raises:
            TimeLimitExceeded: the limit is used up at the start.
        """
        if self.seconds is None:
            yield
            return
        self.check(spent)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("w", encoding="utf-8") as file:
            faulthandler.dump_traceback_later(self.seconds - spent + GRACE_SECONDS, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                self._file.unlink(missing_ok=True)

    def check(self, spent: float) -> None:
        """Raise TimeLimitExceeded if `spent` seconds use up the limit."""
        if self.seconds is not None and spent >= self.seconds:
            raise TimeLimitExceeded(self._reason("between two epochs"))

    def earlier_failure(self) -> str:
        """Why an earlier process of this trial was ended at its limit; empty if none was. Returned once only."""
        try:
            stacks = self._file.read_text(encoding="utf-8")
        except OSError:
            return ""
        if not stacks:
            return ""
        self._file.replace(self._file.with_name(HUNG_REPORTED))
        return self._reason(f"in {_innermost_frame(stacks)}")

    def _reason(self, where: str) -> str:
        after = "" if self.seconds is None else f" not done after {self.seconds:g} s of computing,"
        return f"{TIME_LIMIT}:{after} {where}"


def _innermost_frame(stacks: str) -> str:
    """Innermost frame of the thread that trained, from what `faulthandler` wrote."""
    threads = stacks.split("\n\n")
    training = next((thread for thread in threads if "in guarded\n" in thread), threads[-1])
    match = re.search(r'File "(.*)", line (\d+) in (\S+)', training)
    return f"{match[3]} ({Path(match[1]).name}:{match[2]})" if match else "an unknown place"
