"""What trials run on: the Ray cluster that this process has joined, one at an address, or one started here."""

import logging
import math
import os
import time
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

from harness.space import Resources
from harness.tuning.address import ClusterError

LOOK_SECONDS = 2.0
"""Between two looks at what there is."""


@dataclass(frozen=True)
class Cluster:
    """What Ray counts as there."""

    nodes: int
    cpus: float
    gpus: float

    def fits(self, need: Resources) -> int:
        """Trials that fit at once."""
        fits = int(self.cpus / need.cpu + 1e-9)
        return min(fits, int(self.gpus / need.gpu + 1e-9)) if need.gpu else fits

    def slots(self, need: Resources) -> int:
        """The same, of a cluster that is to be worked on.

        Raises:
            ClusterError: not even one does.
        """
        fits = self.fits(need)
        if fits < 1:
            raise ClusterError(
                f"search.resources: a trial asks for {need.cpu:g} CPUs and {need.gpu:g} GPUs; the cluster has "
                f"{self.cpus:g} and {self.gpus:g}; ask for less, or add nodes"
            )
        return fits


class Room:
    """How many trials may be run at once, as the cluster is now: nodes join it, and leave it.

    Args:
        need: what one trial holds.
        most: never more than these; None: whatever fits.
    """

    def __init__(self, need: Resources, most: int | None) -> None:
        self.need = need
        self.most = most
        self._looked = -math.inf
        self._fits = 1

    def __call__(self) -> int:
        if time.monotonic() > self._looked + LOOK_SECONDS:
            self._looked = time.monotonic()
            # Where all is gone, one trial waits for a node to come.
            self._fits = max(1, _now().fits(self.need))
        return min(self.most or self._fits, self._fits)


def _now() -> Cluster:
    resources = ray.cluster_resources()
    alive = sum(1 for node in ray.nodes() if node["Alive"])
    return Cluster(alive, resources.get("CPU", 0.0), resources.get("GPU", 0.0))


@contextmanager
def joined(address: str | None, *, verbose: bool = False) -> Iterator[Cluster]:
    """The cluster to run on; one that was started here is ended again.

    Raises:
        ClusterError: it cannot be reached or started.
    """
    ours = not ray.is_initialized()
    if ours:
        options: dict[str, Any] = (
            # "local": none at all would join a cluster that happens to run on this machine.
            {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
            if address is None
            else {"address": address}
        )
        level = logging.INFO if verbose else logging.ERROR
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=verbose, logging_level=level, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            where = "could not be started here" if address is None else f"at {address} could not be joined"
            raise ClusterError(f"the Ray cluster {where}: {reason}; its logs are in /tmp/ray") from error
    try:
        yield _now()
    finally:
        if ours:
            ray.shutdown()
