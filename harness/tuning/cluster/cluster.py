"""The Ray cluster that trials run on: one at an address, or one started on this machine."""

import logging
import math
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray

from harness.common.socket_dir import is_socket_dir, make_socket_dir
from harness.common.urls import Url
from harness.space import Resources
from harness.tuning.cluster.address import ClusterError, check_address, ray_temp_dir
from harness.tuning.cluster.ray_internals import loopback_only, token_authentication
from harness.tuning.cluster.shared_folder import SharedFolderCheck

SOCKET_NAME = "session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store"
"""The longest path of a socket below `ray_temp_dir`."""
POLL_SECONDS = 2.0
"""Seconds between two reads of the cluster's resources."""
ACCELERATOR = "accelerator_type:"
"""Prefix of the resource with which Ray marks a node's type of GPU; a node has 1 of it."""


def ray_resources(resources: Resources) -> dict[str, float]:
    """The resources of a trial by Ray's names, for a placement group."""
    amounts = {"CPU": resources.cpu, "GPU": resources.gpu or 0.0}
    if resources.memory_gib is not None:
        amounts["memory"] = resources.memory_gib * 2**30
    if resources.accelerator is not None:
        amounts[ACCELERATOR + resources.accelerator] = 0.001  # as Ray itself asks for it: many trials share a node
    return amounts


def remote_options(resources: Resources) -> dict[str, Any]:
    """The resources of a trial as arguments of `ray.remote`."""
    amounts = ray_resources(resources)
    options = {"num_cpus": amounts.pop("CPU"), "num_gpus": amounts.pop("GPU"), "memory": amounts.pop("memory", None)}
    return {name: amount for name, amount in options.items() if amount is not None} | {"resources": amounts}


def resolve_resources(requested: Resources) -> Resources:
    """The resources of a trial with the number of GPUs filled in: one, where the cluster has any.

    Raises:
        ClusterError: no trial fits, and `wait_for_nodes` is not set.
    """
    found = ray.cluster_resources()
    cpus, gpus = found.get("CPU", 0.0), found.get("GPU", 0.0)
    resources = requested if requested.gpu is not None else requested.model_copy(update={"gpu": float(gpus > 0)})
    if resources.wait_for_nodes:
        return resources
    if max_trials(resources) < 1:
        raise ClusterError(
            f"search.resources: expected what the cluster has, got cpu={resources.cpu:g} and gpu={resources.gpu:g} of "
            f"{cpus:g} and {gpus:g}; ask for less, add nodes, or set wait_for_nodes where they come by themselves"
        )
    accelerators = {name.removeprefix(ACCELERATOR) for name in found if name.startswith(ACCELERATOR)}
    if resources.accelerator is not None and resources.accelerator not in accelerators:
        types = ", ".join(sorted(accelerators)) or "none that it knows the type of"
        raise ClusterError(
            f"search.resources.accelerator: expected a type that the cluster has, {types}; got {resources.accelerator}"
        )
    return resources


def max_trials(resources: Resources) -> int:
    """Number of trials that fit into the cluster at once."""
    found = ray.cluster_resources()
    fits = int(found.get("CPU", 0.0) / resources.cpu + 1e-9)
    return min(fits, int(found.get("GPU", 0.0) / resources.gpu + 1e-9)) if resources.gpu else fits


class TrialSlots:
    """Number of trials that may run at once, as nodes join and leave the cluster.

    Args:
        requested: resources of one trial; `resources` has the number of GPUs filled in.
        limit: the most trials at once; None: as many as fit.

    Raises:
        ClusterError: no trial fits.
    """

    def __init__(self, requested: Resources, limit: int | None, folder_check: SharedFolderCheck) -> None:
        self.resources = resolve_resources(requested)
        self.limit = limit
        self._folder_check = folder_check
        self._polled = -math.inf
        self._fitting = 1

    def __call__(self) -> int:
        """The number now; raise ClusterError if a node has joined that does not see the runs folder."""
        if time.monotonic() > self._polled + POLL_SECONDS:
            self._polled = time.monotonic()
            self._folder_check.check()
            self._fitting = max(1, max_trials(self.resources))  # without any node, one trial waits for one
        if self.resources.wait_for_nodes and self.limit:
            return self.limit  # trials that do not fit yet make a cluster grow
        return min(self.limit or self._fitting, self._fitting)


@contextmanager
def join_cluster(address: str | None, folder: Path | Url, *, verbose: bool = False) -> Iterator[SharedFolderCheck]:
    """Join the cluster at an address; without one, start one here and shut it down at the end.

    Yields the check that all nodes see the sweep's folder, for nodes that join later.

    Raises:
        ClusterError: the cluster cannot be reached or started, or a node does not see the folder.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            if address is not None:
                stack.enter_context(token_authentication(check_address(address)))
            with own_temp_dir() if address is None else nullcontext() as temp_dir:
                _init_ray(address, verbose)
            if temp_dir is not None:
                stack.callback(shutil.rmtree, temp_dir, ignore_errors=True)
            stack.callback(ray.shutdown)
        folder_check = SharedFolderCheck(folder)
        folder_check.check()
        yield folder_check


@contextmanager
def own_temp_dir() -> Iterator[Path | None]:
    """A short folder of our own for a Ray started in the block, where Ray's is too long for sockets or someone else's.

    Yields it, or None where Ray's own will do. It is the caller's to remove: it holds the logs of a failed start.
    """
    if is_socket_dir(ray_temp_dir(), len(SOCKET_NAME)):
        yield None
        return
    folder, before = make_socket_dir(len(f"ray/{SOCKET_NAME}")), os.environ.get("RAY_TMPDIR")
    os.environ["RAY_TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ["RAY_TMPDIR"]
        else:
            os.environ["RAY_TMPDIR"] = before


def _init_ray(address: str | None, verbose: bool) -> None:
    options: dict[str, Any] = (
        # local: else Ray joins any cluster of this machine, whoever started it
        {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
        if address is None
        else {"address": address}
    )
    level = logging.INFO if verbose else logging.ERROR
    try:
        with warnings.catch_warnings(), loopback_only(address is None):
            warnings.simplefilter("ignore")
            ray.init(log_to_driver=verbose, logging_level=level, **options)
    except (ImportError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        what = "could not be started here" if address is None else f"at {address} could not be joined"
        raise ClusterError(f"the Ray cluster {what}: {reason}; its logs are in {ray_temp_dir()}") from error
