"""What trials run on: the Ray cluster that this process has joined, one at an address, or one started here."""

import logging
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from harness.common.urls import Url
from harness.space import Resources
from harness.tuning.cluster import auth
from harness.tuning.cluster.address import ClusterError, check_address
from harness.tuning.cluster.shared_folder import Shared

LOOK_SECONDS = 2.0
"""Between two looks at what there is."""


ACCELERATOR = "accelerator_type:"
"""What Ray calls a type of GPU among a node's resources, before its name; each node has 1 of it."""


def in_rays_words(need: Resources) -> dict[str, float]:
    """What an actor holds, by the names of Ray's resources."""
    words = {"CPU": need.cpu, "GPU": need.gpu or 0.0}
    if need.memory_gib is not None:
        words["memory"] = need.memory_gib * 2**30
    if need.accelerator is not None:
        words[ACCELERATOR + need.accelerator] = 0.001  # as Ray itself asks for it: a node serves many
    return words


def as_options(need: Resources) -> dict[str, Any]:
    """The same, as `ray.remote` takes it."""
    words = in_rays_words(need)
    amounts = {"num_cpus": words.pop("CPU"), "num_gpus": words.pop("GPU"), "memory": words.pop("memory", None)}
    return {name: amount for name, amount in amounts.items() if amount is not None} | {"resources": words}


@dataclass(frozen=True)
class Cluster:
    """What Ray counts as there."""

    cpus: float
    gpus: float
    accelerators: frozenset[str] = frozenset()

    def fits(self, need: Resources) -> int:
        """Trials that fit at once."""
        fits = int(self.cpus / need.cpu + 1e-9)
        return min(fits, int(self.gpus / need.gpu + 1e-9)) if need.gpu else fits

    def need(self, asked: Resources) -> Resources:
        """What a trial holds here, with nothing left out.

        Raises:
            ClusterError: not even one fits, and no nodes are waited for.
        """
        gpu = asked.gpu if asked.gpu is not None else float(self.gpus > 0)
        need = asked.model_copy(update={"gpu": gpu})
        if need.wait_for_nodes:
            return need
        if self.fits(need) < 1:
            raise ClusterError(
                f"search.resources: a trial asks for {need.cpu:g} CPUs and {gpu:g} GPUs; the cluster has "
                f"{self.cpus:g} and {self.gpus:g}; ask for less, add nodes, or set wait_for_nodes where they come by "
                "themselves"
            )
        if need.accelerator is not None and need.accelerator not in self.accelerators:
            there = ", ".join(sorted(self.accelerators)) or "none that it knows the type of"
            raise ClusterError(
                f"search.resources.accelerator: expected a type that the cluster has, {there}; got {need.accelerator}"
            )
        return need


class Slots:
    """How many trials may be run at once, as the cluster is now: nodes join it, and leave it.

    Args:
        need: what one trial holds.
        most: never more than these; None: whatever fits.
        shared: asks the nodes that join.
    """

    def __init__(self, need: Resources, most: int | None, shared: Shared) -> None:
        self.need = need
        self.most = most
        self.shared = shared
        self._looked = -math.inf
        self._fits = 1

    def __call__(self) -> int:
        """Raises:
        ClusterError: a node has joined that does not see the runs folder.
        """
        if time.monotonic() > self._looked + LOOK_SECONDS:
            self._looked = time.monotonic()
            self.shared.check()
            # Where all is gone, one trial waits for a node to come.
            self._fits = max(1, _now().fits(self.need))
        if self.need.wait_for_nodes and self.most:
            return self.most  # what does not fit yet is what makes a cluster grow
        return min(self.most or self._fits, self._fits)


@dataclass(frozen=True)
class Joined:
    """A cluster that was joined, and whose nodes see the runs folder."""

    cluster: Cluster
    shared: Shared

    def room(self, asked: Resources, most: int | None) -> Slots:
        """For trials of one kind, up to `most` at once.

        Raises:
            ClusterError: not even one fits.
        """
        return Slots(self.cluster.need(asked), most, self.shared)


def _now() -> Cluster:
    resources = ray.cluster_resources()
    types = frozenset(name.removeprefix(ACCELERATOR) for name in resources if name.startswith(ACCELERATOR))
    return Cluster(resources.get("CPU", 0.0), resources.get("GPU", 0.0), types)


@contextmanager
def joined(address: str | None, folder: Path | Url, *, verbose: bool = False) -> Iterator[Joined]:
    """The cluster to run on; one that was started here is ended again.

    Args:
        folder: what its nodes read and write.

    Raises:
        ClusterError: it cannot be reached or started, or not all of its nodes see the folder.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            if address is not None:
                stack.enter_context(auth.shown(check_address(address)))
            _join(address, verbose)
            stack.callback(ray.shutdown)
        shared = Shared(folder)
        shared.check()
        yield Joined(_now(), shared)


def _join(address: str | None, verbose: bool) -> None:
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
