"""What trials run on: the Ray cluster that this process has joined, one at an address, or one started here."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

os.environ |= {  # read by Ray when it is imported
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

import ray
from ray._private import ray_constants

from harness.space import Resources
from harness.tuning.address import ClusterError


@dataclass(frozen=True)
class Cluster:
    """What Ray counts as there."""

    nodes: int
    cpus: float
    gpus: float

    def slots(self, need: Resources) -> int:
        """Trials that fit at once.

        Raises:
            ClusterError: not even one does.
        """
        fits = int(self.cpus / need.cpu + 1e-9)
        if need.gpu:
            fits = min(fits, int(self.gpus / need.gpu + 1e-9))
        if fits < 1:
            raise ClusterError(
                f"search.resources: a trial asks for {need.cpu:g} CPUs and {need.gpu:g} GPUs; the cluster has "
                f"{self.cpus:g} and {self.gpus:g}; ask for less, or add nodes"
            )
        return fits


@contextmanager
def joined(address: str | None, *, verbose: bool = False) -> Iterator[Cluster]:
    """The cluster to run on; one that was started here is ended again.

    Raises:
        ClusterError: it cannot be reached or started.
    """
    ours = not ray.is_initialized()
    if ours:
        options: dict[str, Any] = (
            # local: Ray else joins any cluster that was started on this machine, whoever's it is
            {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
            if address is None
            else {"address": address}
        )
        level = logging.INFO if verbose else logging.ERROR
        try:
            with warnings.catch_warnings(), _within(loopback=address is None):
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=verbose, logging_level=level, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            where = "could not be started here" if address is None else f"at {address} could not be joined"
            raise ClusterError(f"the Ray cluster {where}: {reason}; its logs are in /tmp/ray") from error
    try:
        resources = ray.cluster_resources()
        alive = sum(1 for node in ray.nodes() if node["Alive"])
        yield Cluster(alive, resources.get("CPU", 0.0), resources.get("GPU", 0.0))
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _within(*, loopback: bool) -> Iterator[None]:
    """What Ray starts inside of it listens to this machine alone; on Linux it would listen to the whole network.

    Ray has a switch for that, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, and reads it when it is imported, before it is known
    whether a cluster of several machines is to be joined, which must not be cut off so.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not loopback
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
