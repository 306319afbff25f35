"""Why a worker was lost, in words: what Ray says of it is a page, most of which is about Ray.

A worker that is gone may have been the machine's fault, so its trial is tried again; one that is gone as often as it is
tried is the trial's own: it ran out of the machine's memory, most likely, and was ended by the system or by Ray.
"""

import re

from harness.tuning.failures import OUT_OF_MEMORY, WORKER_LOST

WORKER_RESTARTS = 3
"""How often a trial is taken up again whose worker was lost."""


def lost_worker(told: str, losses: int) -> str:
    """The reason of a trial that was given up after so many losses, of which Ray told that about the last."""
    times = "" if losses <= 1 else f", {losses} times in a row"
    if "low on memory" in told or "OutOfMemoryError" in told:
        return f"{WORKER_LOST}{times}: {OUT_OF_MEMORY}: Ray ended it, since its node ran low"
    if "worker process has died" in told or "connection error code" in told:
        return f"{WORKER_LOST}{times}: its process died, or was killed as the system does where memory runs out"
    if "node" in told and ("died" in told or "dead" in told):
        return f"{WORKER_LOST}{times}: its node went away"
    return f"{WORKER_LOST}{times}: {_line(told)}"


def _line(told: str) -> str:
    """The telling line: the error's own, where there is one."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return next(iter([*errors[-1:], *lines]), "Ray did not say why")
