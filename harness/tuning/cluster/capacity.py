"""What one trial needs, and how many fit on a node: a trial never spans two nodes. Imports no Ray."""

import math
from collections.abc import Mapping
from typing import Any

from harness.space import Resources

Amounts = Mapping[str, float]
"""Resources by Ray's names: CPU, GPU, memory in bytes, accelerator_type:NAME."""

ACCELERATOR = "accelerator_type:"
"""Prefix of the resource with which Ray marks a node's type of GPU; a node has 1 of it."""


def ray_resources(resources: Resources) -> dict[str, float]:
    """The resources of a trial by Ray's names."""
    amounts = {"CPU": resources.cpu, "GPU": resources.gpu or 0.0}
    if resources.memory_gib is not None:
        amounts["memory"] = math.ceil(resources.memory_gib * 2**30)
    if resources.accelerator is not None:
        amounts[ACCELERATOR + resources.accelerator] = 0.001  # as Ray itself asks for it: many trials share a node
    return amounts


def remote_options(resources: Resources) -> dict[str, Any]:
    """The resources of a trial as arguments of `ray.remote`."""
    amounts = ray_resources(resources)
    options = {"num_cpus": amounts.pop("CPU"), "num_gpus": amounts.pop("GPU"), "memory": amounts.pop("memory", None)}
    return {name: amount for name, amount in options.items() if amount is not None} | {"resources": amounts}


def trials_on_node(resources: Resources, node: Amounts) -> int:
    """Number of trials that fit on a node of these resources at once. A share of a GPU lies on one GPU."""
    counts = []
    for name, amount in ray_resources(resources).items():
        available = node.get(name, 0.0)
        if name == "GPU" and 0 < amount < 1:
            counts.append(int(available + 1e-9) * int(1 / amount + 1e-9))
        elif amount:
            counts.append(int(available / amount + 1e-9))
    return min(counts)


def describe_amounts(amounts: Amounts, names: Amounts) -> str:
    """The amounts of the resources that `names` has, such as `3 CPUs, 0.5 GPUs and 16.0 GiB`."""
    texts = []
    for name, needed in names.items():
        amount = amounts.get(name, 0.0)
        if name == "memory":
            texts.append(f"{amount / 2**30:.1f} GiB")
        elif name.startswith(ACCELERATOR):
            texts.append(name.removeprefix(ACCELERATOR) if amount else f"no {name.removeprefix(ACCELERATOR)}")
        elif needed or amount:
            texts.append(f"{amount:g} {name}{'' if amount == 1 else 's'}")
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def describe_nodes(nodes: Mapping[str, Amounts], names: Amounts, shown: int = 5) -> str:
    """The amounts on each node, `shown` of them by name."""
    texts = [f"{name} {describe_amounts(amounts, names)}" for name, amounts in nodes.items()]
    more = [f"{len(texts) - shown} more nodes"] if len(texts) > shown else []
    return "; ".join([*texts[:shown], *more]) or "no node"
