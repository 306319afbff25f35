"""A Ray cluster in a process of its own, as a lab has one: commands find it only where they are told its address."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEAD = """
import json, sys, ray
from functools import partial
from ray._private import parameter
# As `ray start --dashboard-agent-listen-port=0`: the usual port is taken by the session's own cluster.
parameter.RayParams = partial(parameter.RayParams, dashboard_agent_listen_port=0)
context = ray.init("local", log_to_driver=False, logging_level="ERROR", **json.loads(sys.argv[1]))
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def head(environment: dict[str, str], **options: Any) -> Iterator[str]:
    """The address of a cluster that lasts as long as this.

    Args:
        environment: of the head, and so of its workers; beside this process's own.
        options: of `ray.init`.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD, json.dumps({"include_dashboard": False, **options})],
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
