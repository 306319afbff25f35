"""Check that all nodes of a cluster see the sweep's folder, before a trial is run there.

Each node must read what the driver wrote, and the driver what each node wrote. For an object store, this finds nodes
without credentials or without network access to it.
"""

import uuid
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.common.errors import first_line
from harness.common.urls import Url
from harness.tuning.cluster.address import ClusterError
from harness.tuning.storage.sweep_folder import FolderError

ANSWER_SECONDS = 60.0


class SharedFolderCheck:
    """Asks each node once, those that join later included."""

    def __init__(self, folder: Path | Url) -> None:
        self.folder = folder
        self._passed: set[str] = set()

    def check(self) -> None:
        """Raise ClusterError, which names the nodes, unless all nodes that run trials see the folder."""
        alive = [node for node in ray.nodes() if node["Alive"]]
        nodes = [node for node in alive if node["Resources"].get("CPU") and node["NodeID"] not in self._passed]
        if not nodes or len(alive) < 2:
            return
        problems = "".join(
            f"\n  {node['NodeManagerHostname']} ({node['NodeManagerAddress']}): {problem}"
            for node, problem in zip(nodes, self._problems(nodes), strict=True)
            if problem
        )
        if problems:
            of_nodes = f"all {len(alive)} nodes"
            wanted, remedy = (
                (f"a store that {of_nodes} read and write", "give every node the credentials for it, and a way there")
                if isinstance(self.folder, Url)
                else (
                    f"a folder that {of_nodes} share",
                    "mount the same file system there on every node, and name it with --runs-dir",
                )
            )
            raise ClusterError(f"--runs-dir: expected {wanted}, got {self.folder}{problems}\n{remedy}")
        self._passed |= {node["NodeID"] for node in nodes}

    def _problems(self, nodes: list[dict[str, Any]]) -> list[str]:
        from harness.tuning.storage.object_store import Store  # pyarrow takes half a second to import

        folder = self.folder if isinstance(self.folder, Url) else Url("file", "", PurePosixPath(self.folder))
        store, prefix = Store(folder), f".shared-{uuid.uuid4().hex}-"
        try:
            store.write(f"{prefix}driver", b"")
            answers = [_ask(node["NodeID"], folder, prefix) for node in nodes]
            ray.wait(answers, num_returns=len(answers), timeout=ANSWER_SECONDS)
            problems = [_failure(answer) for answer in answers]
            for i, node in enumerate(nodes):
                if not problems[i] and store.stat(prefix + node["NodeID"]) is None:
                    problems[i] = "the driver does not see what is written there"
            return problems
        finally:
            with suppress(FolderError):
                store.remove([f"{prefix}driver", *(prefix + node["NodeID"] for node in nodes)])


def _ask(node: str, url: Url, prefix: str) -> Any:
    on_node = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    remote = ray.remote(num_cpus=0, scheduling_strategy=on_node, max_retries=0)(_copy_driver_file)
    return remote.remote(url, prefix, node)


def _copy_driver_file(url: Url, prefix: str, node: str) -> str:
    """On the node: copy the driver's file to the node's; return the error, if there is one."""
    from harness.tuning.storage.object_store import Store

    try:
        store = Store(url)
        store.write(prefix + node, store.read(f"{prefix}driver"))
    except (OSError, FolderError) as error:
        return f"what the driver wrote cannot be read there, {error}"
    return ""


def _failure(answer: Any) -> str:
    try:
        return str(ray.get(answer, timeout=0))
    except ray.exceptions.GetTimeoutError:
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    except ray.exceptions.RayError as error:
        return first_line(error)
