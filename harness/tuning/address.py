"""Whether a Ray cluster answers, asked without importing Ray: bad input is told in the first second."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

CURRENT_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # where `ray start` says what `auto` means
EXPECTED = "auto, ray://HOST:PORT or HOST:PORT"


class ClusterError(Exception):
    """No cluster could be started or reached, or it cannot run a trial; says what to do."""


def check_address(address: str, timeout: float = 3.0) -> None:
    """Return if something listens at `address`, a value of --address. Creates nothing.

    Raises:
        ClusterError: it is no address, or nothing listens there.
    """
    place = address
    if address == "auto":
        place = os.environ.get("RAY_ADDRESS") or (
            CURRENT_CLUSTER.read_text().strip() if CURRENT_CLUSTER.exists() else ""
        )
        if not place:
            raise ClusterError(
                "--address auto: expected a Ray cluster on this machine, found none; "
                "start one with `ray start --head`, or leave --address out"
            )
    try:
        parts = urlsplit(place if "://" in place else f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("", "ray") or not host or port is None:
        raise ClusterError(f"--address: expected {EXPECTED}, got '{address}'")
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        raise ClusterError(
            f"--address {address}: expected a Ray cluster, got: {error.strerror or error}; "
            "check the address, or leave --address out to start one here"
        ) from error
