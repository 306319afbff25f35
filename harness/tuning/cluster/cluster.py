"""The Ray cluster that trials run on: one at an address, or one started on this machine."""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray

from harness.common.urls import Url
from harness.space import Resources
from harness.tuning.cluster.address import ClusterError, check_address
from harness.tuning.cluster.capacity import (
    ACCELERATOR,
    Amounts,
    describe_amounts,
    describe_nodes,
    ray_resources,
    trials_on_node,
)
from harness.tuning.cluster.head_watch import head_watch
from harness.tuning.cluster.ray_internals import log_folder, token_authentication
from harness.tuning.cluster.ray_start import join_ray, start_ray
from harness.tuning.cluster.shared_folder import SharedFolderCheck

POLL_SECONDS = 2.0
"""Seconds between two reads of the cluster's resources."""


def resolve_resources(requested: Resources) -> Resources:
    """The resources of a trial with the number of GPUs filled in: one, where the cluster has any.

    Raises:
        ClusterError: no trial fits on a node, and `wait_for_nodes` is not set.
    """
    nodes = {name: amounts for name, (_, amounts) in node_resources().items()}
    has_gpus = any(node.get("GPU") for node in nodes.values())
    resources = requested if requested.gpu is not None else requested.model_copy(update={"gpu": float(has_gpus)})
    if resources.wait_for_nodes:
        return resources
    types = {name.removeprefix(ACCELERATOR) for node in nodes.values() for name in node if name.startswith(ACCELERATOR)}
    if resources.accelerator is not None and resources.accelerator not in types:
        known = ", ".join(sorted(types)) or "none that it knows the type of"
        raise ClusterError(
            f"search.resources.accelerator: expected a type that the cluster has, {known}; got {resources.accelerator}"
        )
    if max_trials(resources) < 1:
        needed = ray_resources(resources)
        raise ClusterError(
            f"search.resources: expected what a node of the cluster has, got {describe_amounts(needed, needed)}; there "
            f"is: {describe_nodes(nodes, needed)}; ask for less, add a node, or set wait_for_nodes where they come by "
            "themselves"
        )
    return resources


def node_resources() -> dict[str, tuple[str, Amounts]]:
    """Id and resources of each node that is alive, by the node's name."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    names = [node["NodeManagerHostname"] for node in alive]
    return {
        name if names.count(name) == 1 else f"{name} ({node['NodeID'][:6]})": (node["NodeID"], node["Resources"])
        for name, node in zip(names, alive, strict=True)
    }


def max_trials(resources: Resources) -> int:
    """Number of trials that fit into the cluster at once."""
    return sum(trials_on_node(resources, amounts) for _, amounts in node_resources().values())


class TrialSlots:
    """Number of trials that may run at once, as nodes join and leave the cluster.

    Args:
        requested: resources of one trial; `resources` has the number of GPUs filled in.
        limit: the most trials at once; None: as many as fit.
        own_cluster: whether this process started the cluster, which then runs nothing else.

    Raises:
        ClusterError: no trial fits.
    """

    def __init__(
        self, requested: Resources, limit: int | None, folder_check: SharedFolderCheck, own_cluster: bool = False
    ) -> None:
        self.own_cluster = own_cluster
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
def join_cluster(
    address: str | None,
    folder: Path | Url,
    resources: Resources,
    concurrency: int | None = None,
    *,
    verbose: bool = False,
) -> Iterator[SharedFolderCheck]:
    """Join the cluster at an address; without one, start one here and shut it down at the end.

    Yields the check that all nodes see the sweep's folder, for nodes that join later.

    Args:
        resources: of one trial, of which `concurrency` run at once, or as many as fit.

    Raises:
        ClusterError: the cluster cannot be reached or started, or a node does not see the folder.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            if address is not None:
                stack.enter_context(token_authentication(check_address(address)))
                join_ray(address, resources, verbose=verbose)
            else:
                temp_dir = start_ray(resources, concurrency, verbose=verbose)
                if temp_dir is not None:
                    stack.callback(shutil.rmtree, temp_dir, ignore_errors=True)
            stack.callback(ray.shutdown)
            stack.enter_context(head_watch(ray.get_runtime_context().gcs_address, log_folder()))
        folder_check = SharedFolderCheck(folder)
        folder_check.check()
        yield folder_check
