"""Whether every node of a cluster sees the runs folder, asked before anything is run there.

Trials write checkpoints and labels where they run, and a lost trial is taken up on another node; the driver reads all
of it. So each node has to read what the driver wrote, and the driver what each node wrote: a folder of the same name on
a disk of its own passes neither. Where the runs folder lies in a store, the same is asked of that: whether a node has
the right to it, and a way there.
"""

import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.common.urls import Url
from harness.tuning.cluster.address import ClusterError
from harness.tuning.storage.sweep_folder import FolderError

PATIENCE = 60.0  # seconds for a node to answer


class Shared:
    """Asks each node once: those that are there, and later those that came since."""

    def __init__(self, folder: Path | Url) -> None:
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
        if problems and isinstance(self.folder, Url):
            raise ClusterError(
                f"--runs-dir: expected a store that all {len(alive)} nodes read and write, got {self.folder}\n"
                + "\n".join(problems)
                + "\ngive every node the credentials for it, and a way there"
            )
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
        try:
            _write(place / "driver", word)
            answers = [_asked(node["NodeID"], place) for node in nodes]
            ray.wait(answers, num_returns=len(answers), timeout=PATIENCE)
            return [
                (node, _problem(answer, place, node["NodeID"], word))
                for node, answer in zip(nodes, answers, strict=True)
            ]
        finally:
            _remove(place, ["driver", *(node["NodeID"] for node in nodes)])


def _asked(node: str, place: Path | Url) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=there, max_retries=0)(_look).remote(place, node)


def _look(place: Path | Url, node: str) -> tuple[str, str]:
    """On the node: what the driver wrote, or why it cannot be read; and why nothing can be written, if so."""
    try:
        read = _read(place / "driver")
        _write(place / node, read)
    except OSError as error:
        return "", f"{type(error).__name__}: {error.strerror}"
    except FolderError as error:
        return "", str(error)
    return read, ""


def _problem(answer: Any, place: Path | Url, node: str, word: str) -> str:
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
        return "" if read == word == _read(place / node) else "it holds something else"
    except (OSError, FolderError):
        return "what it writes there the driver does not see"


def _read(file: Path | Url) -> str:
    if isinstance(file, Path):
        return file.read_text()
    from harness.tuning.storage.object_store import Store  # pyarrow takes half a second to import

    return Store(file.parent).read(file.name).decode()


def _write(file: Path | Url, text: str) -> None:
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return
    from harness.tuning.storage.object_store import Store

    Store(file.parent).write(file.name, text.encode())


def _remove(folder: Path | Url, names: list[str]) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    from harness.tuning.storage.object_store import Store

    with suppress(FolderError):
        Store(folder).remove(names)


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
