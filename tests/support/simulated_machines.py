"""Machines for a Ray cluster, all of them on this one, to be lost and to join later.

Where it is allowed, each has a network of its own and is wired to a switch: its cable is pulled before all on it is
killed, so that the others see what they see of a machine that lost its power, silence. Elsewhere Ray's own cluster for
tests stands in.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.conftest import start
from tests.support.ray_clusters import QUIET

SWITCH = """
mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up
ip link add switch type bridge && ip addr add 10.77.0.1/24 dev switch && ip link set switch up
echo there && exec sleep infinity
"""
PLUG = """
ip netns add {name} && ip link add {name} type veth peer name eth0 netns {name} && ip link set {name} master switch up
ip -n {name} addr add {address}/24 dev eth0 && ip -n {name} link set eth0 up && ip -n {name} link set lo up
ip -n {name} route add default via 10.77.0.1
"""
WATCHFUL = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "6",
}
"""A head takes a machine that is silent for lost after some five seconds, not after a minute."""


class Machines(Protocol):
    """A cluster; its first machine has the head and the driver."""

    address: str

    def add(self, cpus: int) -> Any:
        """One more machine."""

    def lose(self, machine: Any) -> None:
        """All that runs on it is gone, at once."""

    def lose_first(self) -> None:
        """The machine of the head, and with it the commands started beside it."""

    def processes(self, machine: Any) -> Sequence[psutil.Process]:
        """What runs on it."""

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """A command, beside the head."""


@contextmanager
def machines(cpus: int) -> Iterator[Machines]:
    """A cluster of one machine with so many CPUs."""
    with _wired(cpus) if _can_be_wired() else _simulated(cpus) as cluster:
        yield cluster


@cache
def _can_be_wired() -> bool:
    """Whether this user may make networks, and has the tools."""
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    script = SWITCH.replace("exec sleep infinity", "") + PLUG.format(name="one", address="10.77.0.11")
    return subprocess.run(["unshare", "--net", "--mount", "sh", "-ec", script], capture_output=True).returncode == 0


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@dataclass
class _Wired:
    """Machines on a switch. `within`: what goes before a command that is to see the switch."""

    within: list[str]
    folder: Path
    names: list[str] = field(default_factory=list)
    address: str = "10.77.0.11:6379"

    def add(self, cpus: int) -> str:
        name, address = f"machine{len(self.names) + 1}", f"10.77.0.{11 + len(self.names)}"
        self._do(PLUG.format(name=name, address=address))
        self.names.append(name)
        head = ["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        joins = [f"--address={self.address}"] if len(self.names) > 1 else head
        ray = [str(Path(sys.executable).parent / "ray"), "start", f"--node-ip-address={address}", f"--num-cpus={cpus}"]
        environment = {**os.environ, **QUIET, **WATCHFUL, "RAY_AUTH_MODE": "disabled"}
        with (self.folder / f"{name}.log").open("wb") as log:
            subprocess.run(
                [*self.on(name), *ray, *joins], env=environment, stdout=log, stderr=log, timeout=120, check=True
            )
        return name

    def lose(self, machine: str) -> None:
        self._do(f"ip link set {machine} down")
        _kill(self.processes(machine))

    def lose_first(self) -> None:
        self.lose(self.names[0])

    def processes(self, machine: str) -> list[psutil.Process]:
        processes = []
        for pid in self._do(f"ip netns pids {machine}").split():
            with suppress(psutil.NoSuchProcess):
                processes.append(psutil.Process(int(pid)))
        return processes

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        return start(module, *arguments, within=self.on(self.names[0]), RAY_AUTH_MODE="disabled")

    def on(self, machine: str) -> list[str]:
        """What goes before a command that is to run there."""
        return [*self.within, "ip", "netns", "exec", machine]

    def _do(self, script: str) -> str:
        done = subprocess.run([*self.within, "sh", "-ec", script], capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def _wired(cpus: int) -> Iterator[_Wired]:
    with ExitStack() as stack:
        switch = stack.enter_context(
            subprocess.Popen(["unshare", "--net", "--mount", "sh", "-ec", SWITCH], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(switch.kill)
        assert switch.stdout is not None
        assert switch.stdout.readline() == "there\n"
        folder = Path(tempfile.mkdtemp(prefix="ray-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = _Wired(["nsenter", "--net", "--mount", f"--target={switch.pid}"], folder)
        stack.callback(lambda: [cluster.lose(name) for name in reversed(cluster.names)])
        cluster.add(cpus)
        yield cluster


class _Simulated:
    """Ray's own cluster for tests: raylets side by side."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address = str(cluster.address)
        self.commands: list[subprocess.Popen[str]] = []

    def add(self, cpus: int) -> Any:
        return self.cluster.add_node(num_cpus=cpus)

    def lose(self, machine: Any) -> None:
        _kill(self.processes(machine))

    def lose_first(self) -> None:
        for command in self.commands:
            command.kill()
        self.lose(self.cluster.head_node)

    def processes(self, machine: Any) -> list[psutil.Process]:
        (raylet,) = machine.all_processes["raylet"]
        try:
            manager = psutil.Process(raylet.process.pid)
            return [*manager.children(recursive=True), manager]
        except psutil.NoSuchProcess:
            return []

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        self.commands.append(start(module, *arguments))
        return self.commands[-1]


@contextmanager
def _simulated(cpus: int) -> Iterator[_Simulated]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    try:
        yield _Simulated(cluster)
    finally:
        cluster.shutdown()
