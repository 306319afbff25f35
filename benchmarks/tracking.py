"""What tracking costs: the driver's loop per result, beside Ray's own MLflow callback; and a sweep with and without it.

    python -m benchmarks.tracking                     # both; tables, and tracking.json beside this file
    python -m benchmarks.tracking --rounds 5 --pairs 0
    python -m benchmarks.tracking --rounds 0 --pairs 5 --set width=1024    # longer epochs
    python -m benchmarks.tracking --rounds 0 --set search.concurrency=1    # on two cores, one is left

Against a real MLflow server over HTTP on this machine, its store SQLite. *Per result*: the wall-clock time of the
driver's loop for one result of METRICS metrics. Rounds interleave the loggers, in an order that rotates; each
reports the median and the 99th percentile over its results, and the medians over rounds are given with their range.

*A sweep* is the space `label_lr` with small runs, on one Ray cluster in this process, with its tracker, or with one
that drops all it is given. Pairs run one after the other, in an order that alternates; the ratio is
taken within a pair, and its mean over pairs given with the 95 % interval of Student's t over their logarithms.
"""

import argparse
import json
import math
import os
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import psutil

from harness import session
from harness.results.tracking_status import TrackingStatus
from harness.search import search
from harness.space import load
from harness.statistics import FixedSample, estimate_mean
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import EpochMetrics, Event, SweepStarted, TrialStarted
from harness.tracking.tracker import Tracker

METRICS = 14
OURS, CALLBACK = 200, 12  # results of a round; one of the callback takes a thousand times longer
PACE = 0.005  # seconds between two results, so that the writer process gets its share of the machine
SWEEP = ("epochs=12", "width=64", "search.trials=18", "search.pruner=none", "search.concurrency=2")

Measurement = Callable[[str, Path], list[float]]


@dataclass(frozen=True)
class Server:
    """A running tracking server."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""
        processes = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(process.cpu_times()[:2]) for process in processes))


@contextmanager
def run_server(folder: Path) -> Iterator[Server]:
    """Run a tracking server on a free port with its store in `folder`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *store], stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Server(url, psutil.Process(process.pid))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def metrics(step: int) -> dict[str, float]:
    return {f"metric_{i}": 1 / (step + i) for i in range(METRICS)}


def timed(call: Callable[[int], object], count: int) -> list[float]:
    """Seconds that each of `count` calls held the caller."""
    seconds = []
    for step in range(1, count + 1):
        began = time.perf_counter()
        call(step)
        seconds.append(time.perf_counter() - began)
        time.sleep(PACE)
    return seconds


def event_log(url: str, folder: Path) -> list[float]:
    """Seconds per event of this package's tracker while its writer process runs."""
    tracker = Tracker(Path(tempfile.mkdtemp(dir=folder)) / "spool", url, interval=0.2, drain_seconds=1.0)
    tracker.append(SweepStarted(name="benchmark"))
    tracker.append(TrialStarted(trial=0, name="trial"))
    tracker.start()
    seconds = timed(lambda step: tracker.append(EpochMetrics(trial=0, step=step, metrics=metrics(step))), OURS)
    tracker.finish(timeout=60)
    return seconds


def unreachable(url: str, folder: Path) -> list[float]:
    """The same with a server that does not exist."""
    return event_log("http://127.0.0.1:9", folder)


class OneTrial:
    """Attributes of a trial that the callback reads."""

    trial_id = "one"
    config: Mapping[str, float] = {"lr": 0.1}


def callback(url: str, folder: Path) -> list[float]:
    """Ray's `MLflowLoggerCallback`, as Tune calls it for each result."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    logger = MLflowLoggerCallback(tracking_uri=url, experiment_name="callback", tags={})
    logger.setup()
    trial: Any = OneTrial()
    logger.log_trial_start(trial)
    facts = {"training_iteration": 0}
    seconds = timed(
        lambda step: logger.log_trial_result(step, trial, {**facts, "training_iteration": step, **metrics(step)}),
        CALLBACK,
    )
    logger.log_trial_end(trial)
    return seconds


LOGGERS: dict[str, Measurement] = {
    "event log, server up": event_log,
    "event log, server unreachable": unreachable,
    "Ray's callback": callback,
}


def per_result(url: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds by logger and round: the median and the 99th percentile."""
    times: dict[str, Any] = {name: {"median_ms": [], "p99_ms": []} for name in LOGGERS}
    names = list(LOGGERS)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds = sorted(1e3 * second for second in LOGGERS[name](url, folder))
            times[name]["median_ms"].append(round(statistics.median(seconds), 4))
            times[name]["p99_ms"].append(round(seconds[int(0.99 * (len(seconds) - 1))], 4))
            print(f"round {number + 1}: {name}: median {times[name]['median_ms'][-1]:.3f} ms", flush=True)
    return times


class NoTracker:
    """A tracker that tracks nothing."""

    def __init__(self, folder: Path, uri: str, **_: Any) -> None:
        self.event_log = EventLog(folder)  # the sweep reads there what an earlier run recorded
        self.event_log.close()

    def append(self, event: Event) -> None:
        pass

    def start(self) -> None:
        pass

    def finish(self, timeout: float = 0.0) -> TrackingStatus:
        return TrackingStatus(
            tracking_uri="", experiment=None, experiment_id=None, run_id=None, pending=0, skipped=0, unreachable=""
        )


def sweep(url: str, folder: Path, address: str, overrides: Sequence[str], tracked: bool) -> float:
    """Wall-clock seconds of a sweep until its last result, without the report."""
    kept = session.Tracker
    if not tracked:
        session.Tracker = NoTracker  # type: ignore[assignment, misc]
    try:
        summary = search(
            load("label_lr.yaml", [*SWEEP, *overrides]),
            name=f"sweep-{time.time_ns()}",
            runs_dir=folder / "runs",
            address=address,
            tracking_uri=url,
            quiet=True,
        )
    finally:
        session.Tracker = kept  # type: ignore[misc]
    return summary.wall_seconds


def sweeps(server: Server, folder: Path, pairs: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Wall-clock seconds with and without tracking; CPU seconds of the server and of the writer process."""
    import ray

    import harness.report

    harness.report.report = lambda *_: None  # type: ignore[assignment, misc]
    context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    address = context.address_info["gcs_address"]
    sweep(server.url, folder, address, overrides, tracked=True)  # imports, caches
    record: dict[str, Any] = {
        "set": list(overrides),
        "with_s": [],
        "without_s": [],
        "writer_cpu_s": [],
        "server_cpu_s": [],
    }
    for number in range(pairs):
        for tracked in (True, False) if number % 2 else (False, True):
            writer, serving = children_cpu_seconds(), server.cpu_seconds()
            seconds = sweep(server.url, folder, address, overrides, tracked)
            record["with_s" if tracked else "without_s"].append(seconds)
            if tracked:
                record["writer_cpu_s"].append(round(children_cpu_seconds() - writer, 2))
                record["server_cpu_s"].append(round(server.cpu_seconds() - serving, 2))
        print(
            f"pair {number + 1}: with {record['with_s'][-1]:.1f} s, without {record['without_s'][-1]:.1f} s; CPU time: "
            f"writer {record['writer_cpu_s'][-1]:.1f} s, server {record['server_cpu_s'][-1]:.1f} s",
            flush=True,
        )
    ray.shutdown()
    return record


def children_cpu_seconds() -> float:
    """CPU time of the child processes that have ended: the writer processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of `ratios` and its 95 % interval."""
    estimate = estimate_mean([math.log(ratio) for ratio in ratios], FixedSample(), 0.05)
    return math.exp(estimate.mean), math.exp(estimate.low), math.exp(estimate.high)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description="What tracking costs.")
    parser.add_argument("--rounds", type=int, default=6, help="rounds of the cost per result (default 6)")
    parser.add_argument("--pairs", type=int, default=6, help="pairs of sweeps (default 6)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of the sweeps' space; may repeat"
    )
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name, run_server(Path(name)) as server:
        folder = Path(name)
        record["per_result"] = per_result(server.url, folder, options.rounds) if options.rounds else {}
        record["sweeps"] = sweeps(server, folder, options.pairs, options.set) if options.pairs else {}
    if options.pairs:
        ratios = [a / b for a, b in zip(record["sweeps"]["with_s"], record["sweeps"]["without_s"], strict=True)]
        mean, low, high = interval(ratios)
        record["sweeps"] |= {"ratio": mean, "ratio_ci95": [low, high]}
        print(f"with over without: {mean:.3f} [{low:.3f}, {high:.3f}], n = {len(ratios)} pairs")
    for logger, times in record["per_result"].items():
        medians = times["median_ms"]
        print(f"{logger:<20} {statistics.median(medians):9.3f} ms [{min(medians):.3f}, {max(medians):.3f}]")
    record["load_after"] = os.getloadavg()
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
