"""A time limit that holds where Python does not come to itself any more: in a kernel, a library, a lock.

A run asks between its epochs whether it is over its limit, and fails then by itself. One that never comes back to ask
is ended with its process, a moment later, from a thread of C that needs nothing of Python. Before, it leaves in the
run's folder where it was:

    hung.txt     the lines of Python that each thread was at

That file is the message to whoever takes the run up, in a worker that is started in place of the lost one, or in a
later sitting: this run is not to be tried again, but failed, with that reason.
"""

import faulthandler
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.tuning.failures import TIME_LIMIT
from harness.tuning.storage.sweep_folder import HUNG, HUNG_TOLD

GRACE = 1.0
"""Seconds over the limit that a run has to notice by itself, which keeps its worker."""


class TimeLimitExceeded(Exception):
    """A run has computed longer than it may."""


class Limit:
    """The seconds that a run may compute; None: as long as it takes.

    Args:
        folder: the run's own.
    """

    def __init__(self, seconds: float | None, folder: Path) -> None:
        self.seconds = seconds
        self._file = folder / HUNG

    @contextmanager
    def watching(self, spent: float) -> Iterator[None]:
        """End this process when the run, which has computed for `spent` seconds, is over its limit within.

        Raises:
            TimeLimitExceeded: it is so already.
        """
        if self.seconds is None:
            yield
            return
        self.check(spent)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("w") as file:
            faulthandler.dump_traceback_later(self.seconds - spent + GRACE, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                self._file.unlink(missing_ok=True)

    def check(self, spent: float) -> None:
        """Raises:
        TimeLimitExceeded: a run that has computed for so many seconds has to end.
        """
        if self.seconds is not None and spent >= self.seconds:
            raise TimeLimitExceeded(self._words("between two epochs"))

    def was_hit(self) -> str:
        """Where a former process was when it was ended for this run's limit, told once; empty where none was."""
        try:
            text = self._file.read_text()
        except OSError:
            return ""
        if not text:
            return ""
        self._file.replace(self._file.with_name(HUNG_TOLD))
        return self._words(f"in {_place(text)}")

    def _words(self, where: str) -> str:
        after = "" if self.seconds is None else f" not done after {self.seconds:g} s of computing,"
        return f"{TIME_LIMIT}:{after} {where}"


def _place(text: str) -> str:
    """The innermost line of the thread that computed, of a traceback as `faulthandler` writes it."""
    threads = text.split("\n\n")
    computing = next((thread for thread in threads if "in attempt\n" in thread), threads[-1])
    found = re.search(r'File "(.*)", line (\d+) in (\S+)', computing)
    return f"{found[3]} ({Path(found[1]).name}:{found[2]})" if found else "an unknown place"
