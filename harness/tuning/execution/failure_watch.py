"""Watch over the first trials of a session: it stops the session if no trial can run, before the budget is spent.

    data or model that no trial of an arm can use    the session stops at once, and the trial stays open
    the first trials fail, for one reason            no more are started; if all fail, the session stops
    the first workers die, of two trials twice each  the session stops at once, and the trials stay open

Failures that settings cause (divergence, memory, time) do not count. Once a trial has ended an epoch, nothing is
stopped any more.
"""

import re
from collections import Counter
from collections.abc import Collection

from harness.common.errors import HarnessError, NothingCompleted
from harness.training.data_summary import SETTINGS_OF_DATA_ERRORS
from harness.training.errors import DataError
from harness.tuning.cluster.address import ClusterError
from harness.tuning.cluster.ray_internals import log_folder
from harness.tuning.failures import BY_SETTINGS

SAME_FAILURES = 3
"""Failures for one reason, before any trial has ended an epoch, after which no more trials are started."""


class FailureWatch:
    """Decides whether a session goes on, from how its trials begin.

    Attributes:
        error: why the session has to stop at once; None while it has not.
    """

    def __init__(self) -> None:
        self.error: HarnessError | None = None
        self._succeeded = False
        self._failed: list[tuple[str, str]] = []  # name and reason
        self._traceback = ""
        self._answered = False
        self._lost: Counter[str] = Counter()  # workers, by the trial's name

    @property
    def in_doubt(self) -> bool:
        """Whether no further trial should start until a running one has ended an epoch."""
        return not self._succeeded and len(self._failed) >= SAME_FAILURES and len(self._reasons()) == 1

    @property
    def verdict(self) -> HarnessError | None:
        """Why no trial of the session succeeded, once none runs any more; None if the session may continue."""
        if self.error is not None or not self.in_doubt:
            return self.error
        names, reasons = zip(*self._failed, strict=True)
        return NothingCompleted(
            f"the first {len(names)} trials ({', '.join(names[:SAME_FAILURES])}{', …' * (len(names) > SAME_FAILURES)}) "
            f"failed for one reason, whatever their settings: {reasons[0]}; "
            f"{f'its traceback is in {self._traceback}; ' if self._traceback else ''}mend it, and the same command "
            "with --retry-failed runs them again"
        )

    def epoch_reached(self) -> None:
        """A trial has ended an epoch."""
        self._succeeded = True

    def worker_answered(self) -> None:
        """A worker has sent a result, if only that its trial failed."""
        self._answered = True

    def worker_lost(self, name: str, reason: str) -> bool:
        """Whether the loss of a trial's worker stops the session: no worker lives until its first result."""
        self._lost[name] += 1
        if not self._answered and sum(count > 1 for count in self._lost.values()) > 1:
            self.error = ClusterError(
                f"expected workers that train, got {self._lost.total()} that were lost before any had a result; the "
                f"last one: {reason}; mend that, then go on with the same command; workers' logs: {log_folder()}"
            )
        return self.error is not None

    def trial_failed(self, name: str, reason: str, traceback: str = "") -> None:
        """A trial has failed; `traceback` is the file that holds its traceback, if there is one."""
        if not reason.startswith(BY_SETTINGS):
            self._failed.append((name, reason))
            self._traceback = self._traceback or traceback

    def cannot_begin(self, name: str, searched: Collection[str], reason: str) -> bool:
        """Whether a trial whose data or model do not fit stops the session: no trial of its arm could begin.

        Args:
            searched: the settings that the trial's arm searches.
        """
        if not self._succeeded and not SETTINGS_OF_DATA_ERRORS & set(searched):
            self.error = DataError(f"{name}: {reason}")
        return self.error is not None

    def _reasons(self) -> set[str]:
        """The reasons so far, numbers in them left out."""
        return {re.sub(r"\d+", "0", reason) for _, reason in self._failed}
