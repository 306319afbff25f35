"""What waiting trials wait for: shown in the progress display, and printed once if it takes long."""

import os
import time
from typing import Any, Protocol

from ray import tune

from harness.tuning.cluster import ray_internals
from harness.tuning.cluster.capacity import describe_amounts, describe_nodes, ray_resources, trials_on_node
from harness.tuning.cluster.cluster import TrialSlots, node_resources
from harness.tuning.execution.tune_adapters import NotCopied

PATIENCE_SECONDS = 30.0
"""Time that a trial waits before the reason is printed."""
RAY_NICENESS = 15


class StartProgress(Protocol):
    """The part of a progress display that shows how trials start."""

    def stage(self, text: str) -> None:
        """Show what is waited for, until there is a result."""

    def note(self, text: str) -> None:
        """Print a line."""


class StartWatch(NotCopied, tune.Callback):  # type: ignore[misc]  # ray ships no types for it
    """Callback of Ray Tune that knows which trials wait for their worker."""

    def __init__(self, slots: TrialSlots, progress: StartProgress) -> None:
        self._slots = slots
        self._progress = progress
        self._waiting: dict[str, tuple[str, float]] = {}
        self._said: set[str] = set()
        progress.stage("starting workers")

    def add(self, trial_id: str, name: str) -> None:
        """Note that a trial waits from now on."""
        self._waiting[trial_id] = name, time.monotonic()

    def remove(self, trial_id: str) -> None:
        """Note that a trial no longer waits."""
        self._waiting.pop(trial_id, None)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.remove(trial.trial_id)
        self._progress.stage("waiting for the first result")

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        name, since = next(iter(self._waiting.values()), ("", 0.0))
        if name and time.monotonic() > since + PATIENCE_SECONDS and len(self._said) < 2:
            reason, text = self._reason()
            if reason not in self._said:
                self._said.add(reason)
                self._progress.note(f"{name} has waited for {time.monotonic() - since:.0f} s {text}")

    def _reason(self) -> tuple[str, str]:
        """Why the trials that wait have not started: a kind, and a text."""
        resources = self._slots.resources
        free = ray_internals.free_resources()
        has_room = any(trials_on_node(resources, amounts) for amounts in free.values())
        if self._slots.own_cluster or has_room or ray_internals.starting_workers():
            return "slow", self._busy()
        needed = ray_resources(resources)
        free_by_name = {name: free.get(node_id, {}) for name, (node_id, _) in node_resources().items()}
        remedy = (
            "they come when the cluster has grown"
            if resources.wait_for_nodes
            else "they come when others have ended, or ask for less with search.resources"
        )
        return "resources", (
            f"for {describe_amounts(needed, needed)}; free now: {describe_nodes(free_by_name, needed)}; {remedy}"
        )

    def _busy(self) -> str:
        niceness = self._slots.resources.niceness
        busy, cores = os.getloadavg()[0], os.cpu_count() or 1
        if self._slots.own_cluster and busy < cores:
            return (
                f"for its worker to start, while this machine is not busy (load {busy:.1f} on {cores} cores); look "
                "whether the module of its model takes long to import"
            )
        load = f"this machine is busy (load {busy:.1f} on {cores} cores)"
        text = f"for its worker to start: {load if self._slots.own_cluster else 'its node is busy'}"
        if niceness is None or niceness > 0:
            shown = RAY_NICENESS if niceness is None else niceness
            text += f", and workers yield to other processes (niceness {shown}); end some, or set "
            return f"{text}search.resources.niceness=0"
        return f"{text}; end other processes, or lower --concurrency"
