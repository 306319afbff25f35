"""What a trial costs the driver in time and in memory, by the number of trials before it.

    python -m benchmarks.scale                         # 100 and 1,000 trials; a table, and scale.json beside this file
    python -m benchmarks.scale --trials 10000 --slots 16 --seconds 1

A sweep of `label_lr` whose trials sleep instead of training, with the project's own searcher, scheduler, journal, event
log and MLflow writer (a SQLite file), on one machine, for which Ray is given `--slots` cores. Each number of
trials is a sweep in a process of its own. *By the clock* leaves out the first trial of every slot, whose worker has to
start; *ideal* is the time that the sleeping alone takes; the driver's computing is that of its process, all threads,
over the whole sweep; its memory is the peak above what it held when all was imported.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.tuning.execution import executor
from harness.tuning.worker.chunk_report import ChunkReport

SECONDS = "SCALE_SECONDS"  # how long a trial sleeps: workers inherit it
WORKERS = "SCALE_WORKERS"  # a folder where each worker leaves a file of its own
SETTINGS = ("baselines={}", "epochs=1", "search.pruner=none")


class SleepingTrainable(executor.TrialTrainable):  # type: ignore[misc]  # ray ships no types for it
    """Stands for the trainable of a sweep: one epoch, asleep, and a value that follows from the settings."""

    def setup(self, config: dict[str, Any]) -> None:
        Path(os.environ[WORKERS], str(os.getpid())).touch()
        self.value = 1.0 - abs(float(config["run"]["config"]["lr"]) - 0.1)

    def step(self) -> dict[str, Any]:
        seconds = float(os.environ[SECONDS])
        time.sleep(seconds)
        epochs = [(1, {"val_accuracy": self.value})]
        return {"chunk": ChunkReport(epochs=epochs, finished=True, seconds=seconds)}


def one(trials: int, slots: int, seconds: float) -> dict[str, Any]:
    """A sweep of so many trials, measured."""
    import psutil
    import ray

    import harness.report
    from harness.search import search
    from harness.space import load
    from harness.tracking.spool.spooled_sweep import SpooledSweep

    harness.report.report = lambda *_: None  # type: ignore[assignment, misc]
    executor.TrialTrainable = SleepingTrainable  # type: ignore[misc]
    os.environ[SECONDS] = str(seconds)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as workers:
        os.environ[WORKERS] = workers
        ray.init("local", num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        before = psutil.Process().memory_info().rss
        computed = time.process_time()
        space = load("label_lr.yaml", [*SETTINGS, f"search.trials={trials}"])
        summary = search(space, runs_dir=name, quiet=True)
        computed = time.process_time() - computed
        ray.shutdown()
        updates = SpooledSweep.read(summary.path).updates
        ends = sorted(update.end_time or 0 for trial, update in updates.items() if trial is not None)
        started = len(os.listdir(workers))
        journal = (summary.path / "study.journal").stat().st_size
    assert len(ends) == trials == summary.states.complete, (len(ends), summary.states)
    tenth = trials // 10
    return {
        "trials": trials,
        "seconds": (ends[-1] - ends[slots - 1]) / 1000,
        "ideal_seconds": (trials - slots) * seconds / slots,
        "second_tenth_seconds": (ends[2 * tenth] - ends[tenth]) / 1000,
        "last_tenth_seconds": (ends[-1] - ends[-1 - tenth]) / 1000,
        "workers": started,
        "driver_ms_a_trial": 1000 * computed / trials,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 - before / 2**20,
        "journal_kib_a_trial": journal / 2**10 / trials,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| trials | by the clock, s | over the ideal | last tenth over second | workers started | driver, ms a trial "
        "| memory, MiB | journal, KiB a trial |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        grown = row["last_tenth_seconds"] / row["second_tenth_seconds"]
        cells = [
            f"{row['trials']:,}",
            f"{row['seconds']:.0f}",
            f"{row['seconds'] / row['ideal_seconds']:.2f}",
            f"{grown:.2f}",
            str(row["workers"]),
            f"{row['driver_ms_a_trial']:.0f}",
            f"{row['peak_mib']:.0f}",
            f"{row['journal_kib_a_trial']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="What trials cost the driver.")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000], help="of each sweep (default 100 1000)")
    parser.add_argument("--slots", type=int, default=16, help="trials at once (default 16)")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a trial sleeps (default 1)")
    parser.add_argument("--here", action="store_true", help="in this process, and print what was measured")
    options = parser.parse_args(arguments)
    if options.here:
        print(json.dumps(one(options.trials[0], options.slots, options.seconds)))
        return 0
    rows = []
    for trials in options.trials:
        words = ["--here", "--trials", str(trials), "--slots", str(options.slots), "--seconds", str(options.seconds)]
        command = [sys.executable, "-m", "benchmarks.scale", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(table(rows[-1:]), flush=True)
    record = {"cores": os.cpu_count(), "python": platform.python_version(), "slots": options.slots}
    record |= {"trial_seconds": options.seconds, "sweeps": rows}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
