"""Address of a Ray cluster: checked before anything is created, first without importing Ray."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from harness.common.errors import HarnessError

CURRENT_CLUSTER = "ray_current_cluster"
"""File of `ray_temp_dir` with what `auto` stands for, written by `ray start`."""
TOKEN_REMEDY = "copy it from its head's ~/.ray/auth_token to the same place here, or set RAY_AUTH_TOKEN"


class ClusterError(HarnessError):
    """A Ray cluster that cannot be started or reached, or cannot run a trial; the message says what to do."""


def ray_temp_dir() -> Path:
    """Ray's folder for sockets and logs, by its own rule, told without importing Ray."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"


def check_address(address: str, timeout: float = 3.0) -> bool:
    """Check a value of --address and return whether the cluster there wants Ray's token.

    Driver and cluster must agree on token authentication: a driver that uses a token loses every worker of a cluster
    without one, because workers call the driver too. What the cluster wants overrides RAY_AUTH_MODE.

    Raises:
        ClusterError: no cluster that accepts this machine listens there.
    """
    location = _resolve_auto(address)
    if location.startswith("ray://"):  # Tuner.fit runs on the cluster then, with a copy of the study, and never ends
        raise ClusterError(
            f"--address: expected auto or HOST:PORT, got '{address}', which is Ray Client; give the head's own port, "
            "6379 by default, or submit the sweep with harness.submit"
        )
    try:
        parts = urlsplit(f"//{location}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.path:
        raise ClusterError(f"--address: expected auto or HOST:PORT, got '{address}'")
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        raise _no_cluster(
            address, f"{error.strerror or error}; check the address, or leave --address out to start one here"
        ) from error
    from ray.exceptions import RayError  # Ray takes long to import

    from harness.tuning.cluster import ray_internals

    try:
        if ray_internals.accepts(location, with_token=False):
            return False
        if not ray_internals.has_token():
            raise _no_cluster(address, f"one that wants a token, and there is none here; {TOKEN_REMEDY}")
        if not ray_internals.accepts(location, with_token=True):
            raise _no_cluster(address, f"one that wants another token than the one here; {TOKEN_REMEDY}")
    except RayError as error:
        raise _no_cluster(
            address,
            "something that does not answer as one; a head listens at port 6379 by default, its dashboard at 8265",
        ) from error
    return True


def _resolve_auto(address: str) -> str:
    if address != "auto":
        return address
    file = ray_temp_dir() / CURRENT_CLUSTER
    current = os.environ.get("RAY_ADDRESS") or (file.read_text(encoding="utf-8").strip() if file.exists() else "")
    if not current:
        raise ClusterError(
            "--address auto: expected a Ray cluster on this machine, found none; "
            "start one with `ray start --head`, or leave --address out"
        )
    return current


def _no_cluster(address: str, got: str) -> ClusterError:
    return ClusterError(f"--address {address}: expected a Ray cluster, got: {got}")
