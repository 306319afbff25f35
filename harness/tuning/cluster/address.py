"""Whether a Ray cluster answers, asked without importing Ray: bad input is told in the first second."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from harness.common.errors import HarnessError
from harness.tuning.cluster import auth

CURRENT_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # where `ray start` says what `auto` means
EXPECTED = "auto, ray://HOST:PORT or HOST:PORT"


def environment() -> dict[str, str]:
    """What Ray should find in the environment when it is imported; what the user set there stays."""
    wanted = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    return wanted | {name: os.environ[name] for name in wanted.keys() & os.environ.keys()}


class ClusterError(HarnessError):
    """No cluster could be started or reached, or it cannot run a trial; says what to do."""


def check_address(address: str, timeout: float = 3.0) -> bool:
    """Whether the cluster at `address`, a value of --address, wants Ray's token. Creates nothing.

    Raises:
        ClusterError: it is no address, or no cluster that talks to this machine listens there.
    """
    place = _place(address)
    try:
        parts = urlsplit(place if "://" in place else f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("", "ray") or not host or port is None:
        raise ClusterError(f"--address: expected {EXPECTED}, got '{address}'")
    try:
        socket.create_connection((host, port), timeout).close()
        return auth.wanted(place, timeout)
    except auth.NoCluster as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.strerror or error}; check the address, or leave --address out to start one here"
    raise ClusterError(f"--address {address}: expected a Ray cluster, got: {problem}")


def _place(address: str) -> str:
    """Where it is: `auto` is what Ray takes it for."""
    if address != "auto":
        return address
    place = os.environ.get("RAY_ADDRESS") or (CURRENT_CLUSTER.read_text().strip() if CURRENT_CLUSTER.exists() else "")
    if not place:
        raise ClusterError(
            "--address auto: expected a Ray cluster on this machine, found none; "
            "start one with `ray start --head`, or leave --address out"
        )
    return place
