"""Whether a Ray cluster answers, asked without importing Ray: bad input is told in the first second."""

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

CURRENT_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # where `ray start` says what `auto` means
EXPECTED = "auto, ray://HOST:PORT or HOST:PORT"
TOKEN = Path(".ray/auth_token")  # in the home folder: where Ray leaves one for clients
TOKEN_VARIABLES = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}


def environment() -> dict[str, str]:
    """What Ray should find in the environment when it is imported; what the user set there stays.

    A cluster wants its token by default, but a client that is told an address shows it only if it is told to; one that
    wants none does not mind. Where Ray is imported already it has read that, and two minds would be worse than one.
    """
    wanted = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    token = bool(TOKEN_VARIABLES & os.environ.keys()) or (Path.home() / TOKEN).exists()
    if token and "ray" not in sys.modules:
        wanted["RAY_AUTH_MODE"] = "token"
    return wanted | {name: os.environ[name] for name in wanted.keys() & os.environ.keys()}


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
