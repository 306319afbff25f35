"""Start Ray on this machine, or join a cluster; errors name a remedy and the folder of the logs."""

import logging
import os
import re
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import ray

from harness.common.errors import first_line
from harness.common.socket_dir import is_socket_dir, make_socket_dir
from harness.space import Resources
from harness.tuning.cluster.address import ClusterError, ray_temp_dir
from harness.tuning.cluster.ray_internals import environment, log_folder, quiet_driver, small_local_cluster

SOCKET_NAME = "session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store"
"""The longest path of a socket below `ray_temp_dir`."""
NICENESS = "RAY_worker_niceness"
"""Ray's variable for the priority of workers, 15 by default: they yield to most other processes."""
PRELOADED = "harness.tuning.execution.trainable,harness.tuning.worker.runner"
"""Modules that workers import before they are given a trial, while the driver imports its own."""

REMEDIES = {
    r"[Aa]ddress already in use|[Ff]ailed to start GCS": "another program may hold a port that a variable of Ray's "
    "(RAY_…) names: unset it",
    r"[Tt]imed? ?out|Deadline": "this machine may be too busy, or have too little memory: try again once it has less "
    "to do, or start a cluster with `ray start --head` and give --address auto",
    r"/dev/shm|object store memory|shared memory": "make room in /dev/shm, which Ray's object store needs",
}
"""Pattern in Ray's message about a cluster that did not start → remedy."""


def start_ray(resources: Resources, concurrency: int | None, *, verbose: bool) -> Path | None:
    """Start a cluster on this machine alone, for trials of one kind. Its processes inherit the environment.

    Returns:
        A short folder of our own, the caller's to remove, where Ray's is too long for sockets or someone else's.

    Raises:
        ClusterError: it did not start. Then such a folder is left, since it holds Ray's logs.
    """
    variables, temp_dir = {}, None
    if resources.niceness is not None:
        variables[NICENESS] = str(resources.niceness)
    if _uses_most_cores(resources, concurrency):
        variables["RAY_preload_python_modules"] = PRELOADED
    if not is_socket_dir(ray_temp_dir(), len(SOCKET_NAME)):
        temp_dir = make_socket_dir(len(f"ray/{SOCKET_NAME}"))
        variables["RAY_TMPDIR"] = str(temp_dir)
    # local: else Ray joins any cluster of this machine, whoever started it
    options = {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
    with small_local_cluster(with_logs=verbose), environment(variables):
        _init_ray("could not be started here", options, verbose)
    return temp_dir


def join_ray(address: str, resources: Resources, *, verbose: bool) -> None:
    """Join the cluster at an address; ClusterError if that fails."""
    options: dict[str, Any] = {"address": address}
    if resources.niceness is not None:
        options["runtime_env"] = {"env_vars": {NICENESS: str(resources.niceness)}}
    _init_ray(f"at {address} could not be joined", options, verbose)


def _init_ray(failed: str, options: dict[str, Any], verbose: bool) -> None:
    level = logging.INFO if verbose else logging.ERROR
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            if not verbose:
                stack.enter_context(quiet_driver())
            ray.init(log_to_driver=verbose, logging_level=level, **options)
    except Exception as error:  # Ray raises its base class too
        reason = first_line(error).partition("  Last")[0].rstrip(".")
        remedies = [remedy for pattern, remedy in REMEDIES.items() if re.search(pattern, str(error))]
        logs = [f"its logs are in {folder}"] if (folder := log_folder()) else []
        with suppress(Exception):
            ray.shutdown()
        raise ClusterError(f"the Ray cluster {failed}: {'; '.join([reason, *remedies[:1], *logs])}") from error


def _uses_most_cores(resources: Resources, concurrency: int | None) -> bool:
    """Whether trials of this kind take most of this machine's cores, for each of which Ray starts a worker."""
    cores = os.cpu_count() or 1
    if resources.gpu or (resources.gpu is None and any(Path("/dev").glob("nvidia[0-9]*"))):
        return False
    at_once = int(cores / resources.cpu + 1e-9)
    return min(at_once, concurrency or at_once) > cores / 2
