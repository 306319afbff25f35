"""Why a worker was lost: read from Ray's message, and from the last output of its process."""

import re
from pathlib import Path

from ray.tune.experiment import Trial as RayTrial

from harness.training.config.user_code import FATAL, describe_crash
from harness.tuning.cluster.ray_internals import log_folder
from harness.tuning.failures import OUT_OF_MEMORY, WORKER_LOST

KILLED = "its process died, or was killed as the system does where memory runs out"
REASONS = {
    r"low on memory|OutOfMemoryError": f"{OUT_OF_MEMORY}: Ray ended it, since its node ran low",
    r"worker process has died|connection error code": KILLED,
    r"node.*(died|dead)": "its node went away",
}
"""Pattern in Ray's message about a lost worker → reason that a user sees."""


def error_text(trial: RayTrial) -> str:
    """Ray's text on the last failure of a trial."""
    try:
        return Path(trial.error_file).read_text(encoding="utf-8").rpartition("Failure #")[2].partition("\n")[2]
    except (OSError, TypeError):
        return ""


def worker_lost_reason(text: str, count: int) -> str:
    """Why a trial failed whose worker was lost `count` times; `text` is Ray's message on the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    meanings = [meaning for words, meaning in REASONS.items() if re.search(words, text, re.DOTALL)]
    times = "" if count <= 1 else f", {count} times in a row"
    reason = next(iter([*meanings, *errors[-1:], *lines]), "Ray did not say why")
    crash = _crash(text)
    return f"{WORKER_LOST}{times}: {f'its process died: {crash}' if crash and reason == KILLED else reason}"


def _crash(text: str) -> str:
    """The kind and the place of a crash in C, if the lost worker ran on this machine and wrote it down."""
    process, folder = re.search(r"\bpid[:=] ?(\d+)", text), log_folder()
    if process is None or folder is None:
        return ""
    files = Path(folder).glob(f"worker-*-{process[1]}.err")
    written = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    return describe_crash(written) if FATAL in written else ""
