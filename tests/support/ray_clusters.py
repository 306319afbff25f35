"""A Ray cluster in a process of its own, as a lab has one: commands find it only by its address."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ray._private.services import get_node_ip_address
from ray._raylet import GcsClient
from ray.core.generated.gcs_pb2 import GcsNodeInfo

from tests.tracking.conftest import free_port

HEAD = """
import json, sys, ray
from functools import partial
from ray._private import parameter, utils
# As `ray start --dashboard-agent-listen-port=0`: the usual port is taken by the session's own cluster.
parameter.RayParams = partial(parameter.RayParams, dashboard_agent_listen_port=0)
options = json.loads(sys.argv[1])
context = ray.init("local", log_to_driver=False, logging_level="ERROR", **options)
if "_temp_dir" in options:  # as `ray start` does: where its jobs look for it, who would else find the session's own
    utils.write_ray_address(context.address_info["gcs_address"], options["_temp_dir"])
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""
FAKE_HEAD_NODE_TYPE = "ray.head.default"
"""As Ray's provider for tests calls it."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def alive(address: str) -> int:
    """Nodes of which the cluster knows; `ray start` says that one has started before that."""
    return sum(node.state == GcsNodeInfo.ALIVE for node in GcsClient(address=address).get_all_node_info().values())


@contextmanager
def head(environment: dict[str, str], *, job_server: int | None = None, **options: Any) -> Iterator[str]:
    """The address of a cluster that lasts as long as this.

    Args:
        environment: of the head, and so of its workers; beside this process's own.
        job_server: the port of one, on the loopback interface; such a cluster has its files in a folder of its own.
        options: of `ray.init`.
    """
    place = tempfile.mkdtemp(prefix="ray-")
    options["include_dashboard"] = job_server is not None
    if job_server is not None:
        options |= {"dashboard_host": "127.0.0.1", "dashboard_port": job_server, "_temp_dir": place}
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **QUIET, **environment},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start; what Ray said of it stands above"
        yield address
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def growing(folder: Path, *, cpus: int, most: int, idle_seconds: float) -> Iterator[str]:
    """The address of a cluster without cores that Ray's autoscaler gives nodes while work waits for them.

    Its nodes are raylets on this machine, which Ray's own provider for tests starts and ends.

    Args:
        folder: for its configuration and its log.
        cpus: of each node.
        most: nodes.
        idle_seconds: after which a node is taken away.
    """
    address = f"{get_node_ip_address()}:{free_port()}"
    nodes = {"resources": {"CPU": cpus}, "node_config": {}, "min_workers": 0, "max_workers": most}
    empty = {"auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [], "rsync_exclude": []}
    commands = ("setup", "head_setup", "worker_setup", "initialization", "head_start_ray", "worker_start_ray")
    grows = {
        **empty,
        **{f"{name}_commands": [] for name in commands},
        "file_mounts_sync_continuously": False,
        "upscaling_speed": 1.0,
        "cluster_name": "grows",
        "provider": {
            "type": "fake_multinode",
            "gcs_address": address,
            "use_node_id_as_ip": True,  # nodes of one machine have one address
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "max_workers": most,
        "idle_timeout_minutes": idle_seconds / 60,
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "available_node_types": {
            FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": nodes,
        },
    }
    (folder / "grows.json").write_text(json.dumps(grows))
    place = tempfile.mkdtemp(prefix="ray-")
    ray = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--num-cpus=0"]
    ray += ["--disable-usage-stats", f"--autoscaling-config={folder / 'grows.json'}", f"--temp-dir={place}"]
    ray += [f"--port={address.rpartition(':')[2]}", f"--ray-client-server-port={free_port()}"]
    ray += ["--include-dashboard=false", "--dashboard-agent-listen-port=0"]
    itself = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_AUTH_MODE": "disabled"}
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(ray, stdout=log, stderr=log, env={**os.environ, **QUIET, **itself})
        try:
            yield address
        finally:
            its = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            process.wait(30)
            for left in psutil.wait_procs(its, timeout=5)[1]:
                left.kill()
            shutil.rmtree(place, ignore_errors=True)
