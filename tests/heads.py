"""A Ray cluster in a process of its own, as a lab has one: commands find it only where they are told its address."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


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
