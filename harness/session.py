"""An open sweep: its locked folder, study, event log, progress display and MLflow writer.

    with open_session(workspace, name, space, uri) as session:    lock the folder, open the study
        session.start_tracking(…)                                 open the event log, add what it lacks
        session.run(source, session.progress(…))                  run trials on Ray Tune
        session.finish(…)                                         last events, wait for the MLflow writer

Ray and Optuna take seconds to import: they are imported only once the input has been checked.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.common.atomic_files import write_bytes
from harness.common.errors import HarnessError
from harness.common.user_dirs import provide_user
from harness.results.sweep_data import SweepData
from harness.results.tracking_status import TrackingStatus
from harness.space import Space
from harness.tracking.spool.events import Event, SweepEnded, SweepStarted, TrialEnded, now_ms
from harness.tracking.tracker import Tracker
from harness.tracking.tracking_uri import check_server, resolve_uri
from harness.tuning.cluster.address import check_address
from harness.tuning.storage.sweep_folder import DiskError, SweepFolder, recorded_tracking_uri
from harness.tuning.storage.workspace import Workspace

if TYPE_CHECKING:
    from harness.console import SweepProgress
    from harness.tuning.cluster.cluster import TrialSlots
    from harness.tuning.execution.event_logger import EventLogger
    from harness.tuning.execution.trial_source import TrialSource
    from harness.tuning.study.sweep_study import SweepStudy


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of a command for how its trials are run and shown; see `harness.confirm.confirm`."""

    address: str | None = None
    tracking_uri: str | None = None
    concurrency: int | None = None
    verbose: bool = False
    quiet: bool = False

    def show(self, text: str) -> None:
        """Print a line, or several, unless all is to be quiet."""
        if not self.quiet:
            print(text, flush=True)


def check_servers(options: RunOptions, runs: Path, sweep: Path | None) -> str:
    """Check that the tracking server and the Ray cluster answer; return the tracking URI.

    By default it is that of an existing sweep.

    Raises:
        TrackingError, ClusterError: one of them does not answer. Nothing was created.
    """
    uri = resolve_uri(options.tracking_uri or (recorded_tracking_uri(sweep) if sweep is not None else None), runs)
    check_server(uri)
    if options.address is not None:
        check_address(options.address)
    return uri


@dataclasses.dataclass
class Session:
    """An open sweep, made by `open_session`.

    Attributes:
        workspace: where the runs folder lies.
        folder: the sweep's folder, locked by this process.
        space: what the sweep searches.
        study: every trial of the search.
        uri: of the tracking server.
        data: what was read of the data; a worker that reads other data fails its trial. None: not compared.
        slots: after `run` has started, how many trials may run at once.
        has_run: whether trials were started.
        tracker, event_logger: after `start_tracking`.
    """

    workspace: Workspace
    folder: SweepFolder
    space: Space
    study: "SweepStudy"
    uri: str
    options: RunOptions
    data: SweepData | None = None
    slots: "TrialSlots | None" = None
    tracker: Tracker = dataclasses.field(init=False)
    event_logger: "EventLogger" = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._tracking = False
        self.has_run = False
        self._began = time.monotonic()
        self._state = SweepEnded(state="interrupted" if self.study.missing else "complete")

    def start_tracking(
        self,
        started: SweepStarted | None = None,
        *,
        trial_tags: Mapping[str, str] | None = None,
        system_metrics: bool = False,
    ) -> None:
        """Open the event log and add the ends of trials that the study has and the log lacks.

        Args:
            started: the event that opens the sweep's run; by default its name and study alone.
        """
        from harness.tuning.execution.event_logger import EventLogger

        self.tracker = Tracker(self.folder.spool, self.uri, system_metrics=system_metrics)
        self._tracking = True
        self.tracker.append(started or self._sweep_started())
        self.event_logger = EventLogger(self.workspace, self.folder, self.tracker.append, trial_tags)
        for warning in [*self.study.warnings, *self.tracker.event_log.warnings]:
            print(warning, file=sys.stderr)
        self.study.listeners.append(self.event_logger)
        self.study.apply_pending_prunings()
        self.event_logger.catch_up(self.study.trial_records())

    def progress(self, total: int, **counts: Any) -> "SweepProgress":
        """The progress display of `total` trials; `counts` are fields of `SweepProgress`, as of earlier sessions."""
        from rich.console import Console

        from harness.console import SweepProgress

        return SweepProgress(
            total,
            self.space.objective,
            is_multi_objective=self.space.is_multi_objective,
            began=self._began,
            verbose=self.options.verbose,
            console=Console(highlight=False, quiet=self.options.quiet),
            **counts,
        )

    def run(
        self,
        source: "TrialSource",
        progress: "SweepProgress",
        *,
        deadline: float | None = None,
        keep_models: bool = False,
        check_memory: bool = False,
        cluster_stack: ExitStack | None = None,
    ) -> bool:
        """Run the trials of `source` on Ray Tune; returns whether it was stopped before their end.

        Args:
            deadline: a time of `time.monotonic` at which running trials are stopped.
            keep_models: whether trials save their weights.
            check_memory: first try whether a trial fits into its share of a GPU.
            cluster_stack: closing it shuts down a cluster that is started here; by default that is at the end.

        Raises:
            ClusterError: there is no such cluster, or no trial fits.
        """
        search, address = self.space.search, self.options.address
        with ExitStack() as stack:
            stack.enter_context(progress)
            if not _ray_is_running():
                progress.stage("starting Ray" if address is None else f"joining the Ray cluster at {address}")
            from harness.tuning.cluster.cluster import TrialSlots, join_cluster
            from harness.tuning.execution.executor import run_trials
            from harness.tuning.execution.gpu_share import check_share

            if source is not self.study:
                source.listeners.append(self.event_logger)
            source.listeners.extend([progress, self._start_writer])
            location = self.workspace.worker_location(self.folder.path)
            concurrency = self.options.concurrency or search.concurrency
            folder_check = (cluster_stack or stack).enter_context(
                join_cluster(address, location, search.resources, concurrency, verbose=self.options.verbose)
            )
            self.slots = TrialSlots(search.resources, concurrency, folder_check, own_cluster=address is None)
            if check_memory:
                check_share(self.space, self.slots.resources)
            self.has_run = True
            return run_trials(
                source,
                self.workspace,
                self.folder,
                self.slots,
                data_digest=None if self.data is None else self.data.digest,
                progress=progress,
                deadline=deadline,
                keep_models=keep_models,
            )

    def finish(
        self,
        end: SweepEnded | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        artifacts: Sequence[Path] = (),
        metrics: Mapping[str, float] | None = None,
    ) -> TrackingStatus:
        """Record the end of the session, with what is added to the sweep's run, and wait for the MLflow writer.

        By default the sweep's state is the one that the search left it in.
        """
        if tags or artifacts:
            self.tracker.append(self._sweep_started(tags, artifacts))
        end = end or dataclasses.replace(self._state, time=now_ms())
        self.tracker.append(dataclasses.replace(end, metrics={**end.metrics, **(metrics or {})}))
        self._tracking = False
        return self.tracker.finish()

    def close(self) -> None:
        """Finish the tracking of a session that was not finished."""
        if self._tracking:
            self.finish()

    @property
    def measured(self) -> bool:
        """Whether any trial of the sweep has the result of an epoch, or has ended."""
        return any(record.curve or record.state != "running" for record in self.study.trial_records())

    def discard_if_new(self) -> bool:
        """Leave nothing of a sweep that begins with this session, not on the tracking server either."""
        if self.measured or not self.folder.discard_if_new():
            return False
        self.workspace.discard(self.folder.path)
        if self._tracking:
            self.tracker.event_log.close()
        return True

    def _sweep_started(self, tags: Mapping[str, str] | None = None, artifacts: Sequence[Path] = ()) -> SweepStarted:
        tags = {"study": self.space.study, **(tags or {})}
        return SweepStarted(name=self.folder.path.name, tags=tags, artifacts=tuple(map(str, artifacts)))

    def _start_writer(self, event: Event) -> None:
        """Start the MLflow writer when the first trial has ended: earlier, its start would delay that trial."""
        if isinstance(event, TrialEnded):
            self.tracker.start()


def _ray_is_running() -> bool:
    """Whether this process has joined a cluster, told without importing Ray."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


@contextmanager
def open_session(
    workspace: Workspace,
    name: str,
    space: Space,
    uri: str,
    options: RunOptions,
    *,
    data: SweepData | None = None,
    write_inputs: Callable[[SweepFolder], Any] | None = None,
) -> Iterator[Session]:
    """Lock the folder of the sweep `name` and open its study.

    Args:
        uri: of the tracking server, as `check_servers` gives it.
        data: what was read of the data that its runs use.
        write_inputs: writes space and provenance, after an existing journal was found readable and before a new one.

    An error of the input leaves no new folder if nothing was measured, and the inputs of an old one if none was run.

    Raises:
        FolderError: another process holds the sweep, its folder cannot be written, or its journal cannot be read.
        DiskError: the disk became full. The same command continues once there is space.
    """
    from harness.tuning.study.sweep_study import SweepStudy

    provide_user()
    with SweepFolder(workspace.local / name) as folder:
        study = SweepStudy(folder.journal, space) if folder.journal.exists() else None
        inputs = {file: file.read_bytes() for file in (folder.space, folder.provenance) if file.exists()}
        if write_inputs is not None:
            write_inputs(folder)
        session = Session(workspace, folder, space, study or SweepStudy(folder.journal, space), uri, options, data)
        try:
            yield session
        except BaseException as error:
            refused = isinstance(error, HarnessError) and not isinstance(error, DiskError)
            with suppress(OSError):  # a full disk, perhaps the reason for the error
                if not (refused and session.discard_if_new()):
                    session.close()
                    for file, content in inputs.items() if refused and not session.has_run else ():
                        write_bytes(file, content)
            raise
        session.close()
