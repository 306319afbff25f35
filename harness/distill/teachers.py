"""The teachers: each arm's best configuration, trained anew on the students' seeds, and what they leave behind.

    runs/NAME/distill/ARM-TRIAL/SEED/  result.json  logits.npz  labels.npz

The first seed is the one that students are searched on: no test image is seen there. The next are those that they are
confirmed on.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.confirm.plan import Configuration, Job, Plan, Result, Results
from harness.confirm.tracked import starting
from harness.confirm.training import Training
from harness.console import SweepProgress
from harness.space import Space
from harness.tracking.spool.event_log import SweepEnded, SweepPaused, SweepStarted, now_ms
from harness.tracking.tracker import Tracker
from harness.training.data.readers.paths import TEACHING
from harness.tuning.cluster.cluster import joined
from harness.tuning.execution.crew import Crew, hire
from harness.tuning.execution.event_logger import EventLogger
from harness.tuning.storage.sweep_folder import SweepFolder
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.sweep_study import SweepStudy


class Lessons(Results):
    """Results that students can learn from: without its logits a teacher is trained again."""

    def get(self, job: Job) -> Result | None:
        found = super().get(job)
        lost = found is not None and found.state == "complete" and not (self.of(job) / TEACHING).is_file()
        return None if lost else found


def plan_of(teachers: Sequence[Configuration], seeds: Iterator[int], folder: SweepFolder, workspace: Workspace) -> Plan:
    return Plan(teachers, seeds, Lessons(folder.teachers, workspace), "teacher")


@dataclasses.dataclass(frozen=True)
class School:
    """How teachers are trained: beside which sweep, tracked where, and on what.

    `stack`: what a cluster that is started is left with, so that who comes next finds it running.
    """

    workspace: Workspace
    path: Path
    space: Space
    uri: str
    stack: ExitStack
    address: str | None = None
    concurrency: int | None = None
    verbose: bool = False
    quiet: bool = False

    def train(self, plan: Callable[[SweepFolder], Plan], seeds: int, *, tests: bool) -> dict[str, str]:
        """Bring every teacher to a result on so many seeds; returns the runs that were lost, and why.

        Raises:
            FolderError: another process is at the sweep.
            ClusterError: there is none.
        """
        with SweepFolder(self.path) as folder:
            planned = plan(folder)
            if not planned.missing(seeds):
                return {}
            ledger = SweepStudy(folder.journal, self.space)
            state = SweepPaused() if ledger.missing else SweepEnded()
            tracker = Tracker(folder.spool, self.uri)
            for warning in [*ledger.warnings, *tracker.warnings]:
                print(warning, file=sys.stderr)
            tracker.append(SweepStarted(name=self.path.name, tags={"study": self.space.study}))
            relay = EventLogger(folder, self.workspace, tracker.append)
            for job, result in planned.ended(seeds):
                if not relay.has_end(job.number):  # a kill fell between the two writes
                    relay(planned.results.end(job, result))
            progress = self._progress(planned, seeds)
            try:
                with ExitStack() as hired:
                    hired.enter_context(progress)
                    training = Training(
                        planned, [relay, progress, starting(tracker)], lambda: self._hire(hired, tests=tests)
                    )
                    training.train(seeds)
            finally:
                tracker.append(dataclasses.replace(state, time=now_ms()))
                tracker.finish()
            return training.lost

    def _hire(self, hired: ExitStack, *, tests: bool) -> Crew:
        cluster = self.stack.enter_context(
            joined(self.address, self.workspace.worker_location(self.path), verbose=self.verbose)
        )
        return hired.enter_context(
            hire(cluster, self.workspace, self.space.search, self.concurrency, tests=tests, teaches=True)
        )

    def _progress(self, plan: Plan, seeds: int) -> SweepProgress:
        ended = plan.ended(seeds)
        return SweepProgress(
            seeds * len(plan.configurations),
            metric=self.space.objective.metric,
            direction=self.space.objective.direction,
            ended=len(ended),
            failed=sum(result.state == "failed" for _, result in ended),
            began=time.monotonic(),
            noun="teachers",
            ranked=False,
            verbose=self.verbose,
            quiet=self.quiet,
        )
