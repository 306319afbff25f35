"""Whether every node of a cluster sees the runs folder, asked before anything is run there.

Trials write checkpoints and labels where they run, and a lost trial is taken up on another node; the driver reads all
of it. So each node has to read what the driver wrote, and the driver what each node wrote: a folder of the same name on
a disk of its own passes neither.
"""

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.tuning.address import ClusterError

PATIENCE = 60.0  # seconds for a node to answer


class Shared:
    """Asks each node once: those that are there, and later those that came since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asked: set[str] = set()

    def check(self) -> None:
        """Return if the folder is one and the same on the driver and on every node that runs trials.

        Raises:
            ClusterError: it is not; names the nodes. Nothing is left in the folder.
        """
        alive = [node for node in ray.nodes() if node["Alive"]]
        nodes = [node for node in alive if node["Resources"].get("CPU") and node["NodeID"] not in self._asked]
        if not nodes or len(alive) < 2:
            return
        problems = [f"  {_name(node)}: {problem}" for node, problem in self._answers(nodes) if problem]
        if problems:
            raise ClusterError(
                f"--runs-dir: expected a folder that all {len(alive)} nodes share, got {self.folder}\n"
                + "\n".join(problems)
                + "\nmount the same file system there on every node, and name it with --runs-dir"
            )
        self._asked |= {node["NodeID"] for node in nodes}

    def _answers(self, nodes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        place = self.folder / f".shared-{uuid.uuid4().hex}"
        word = uuid.uuid4().hex
        place.mkdir(parents=True)
        try:
            (place / "driver").write_text(word)
            answers = [_asked(node["NodeID"], place) for node in nodes]
            ray.wait(answers, num_returns=len(answers), timeout=PATIENCE)
            return [
                (node, _problem(answer, place, node["NodeID"], word))
                for node, answer in zip(nodes, answers, strict=True)
            ]
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _asked(node: str, place: Path) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=there, max_retries=0)(_look).remote(str(place), node)


def _look(place: str, node: str) -> tuple[str, str]:
    """On the node: what the driver wrote, or why it cannot be read; and why nothing can be written, if so."""
    try:
        with open(os.path.join(place, "driver")) as file:
            read = file.read()
        with open(os.path.join(place, node), "w") as file:
            file.write(read)
    except OSError as error:
        return "", f"{type(error).__name__}: {error.strerror}"
    return read, ""


def _problem(answer: Any, place: Path, node: str, word: str) -> str:
    """What is wrong on a node; nothing if all is well."""
    try:
        read, problem = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"no answer within {PATIENCE:.0f} s"
    except ray.exceptions.RayError as error:
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    if problem:
        return f"what the driver wrote cannot be read there, {problem}"
    try:
        return "" if read == word == (place / node).read_text() else "it holds something else"
    except OSError:
        return "what it writes there the driver does not see"


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
