"""Ray's token: whether a cluster wants it, which is asked without importing Ray, and showing it to one that does.

A cluster that runs trials talks to this process as this process does to it, so both have to be of one mind: a driver
that has a token, joined to a cluster without one, sees each of its workers lost. What the cluster says of itself goes
before what the environment says, since any other mind than the cluster's fails.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import grpc

HOME = Path(".ray/auth_token")  # in the home folder: where Ray leaves one for clients
MODE = "RAY_AUTH_MODE"

IS_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
IS_ALIVE_TO_CLIENTS = "/ray.rpc.RayletDriver/ClusterInfo"
"""The same of a `ray://` address; it finds no sense in the empty question, and says so, to those it talks to."""

REMEDY = "copy it from its head's ~/.ray/auth_token to the same place here, or set RAY_AUTH_TOKEN"


class NoCluster(Exception):
    """What listens there is no Ray cluster, or wants a token that is not here; says which."""


def token() -> str | None:
    """The token that Ray would show from here."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return os.environ["RAY_AUTH_TOKEN"].strip()
    try:
        return (Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / HOME)).read_text().strip() or None
    except OSError:
        return None


def wanted(place: str, timeout: float = 3.0) -> bool:
    """Whether the cluster at `place`, HOST:PORT or ray://HOST:PORT, wants a token.

    Raises:
        NoCluster: it wants another than there is here, or it is no cluster.
    """
    if _answers(place, None, timeout):
        return False
    here = token()
    if here is None:
        raise NoCluster(f"one that wants a token, and there is none here; {REMEDY}")
    if not _answers(place, here, timeout):
        raise NoCluster(f"one that wants another token than the one here; {REMEDY}")
    return True


def _answers(place: str, shown: str | None, timeout: float) -> bool:
    """Whether it talks to who shows that token, or none."""
    method = IS_ALIVE_TO_CLIENTS if place.startswith("ray://") else IS_ALIVE
    metadata = None if shown is None else [("authorization", f"Bearer {shown}")]
    with grpc.insecure_channel(place.removeprefix("ray://")) as channel:
        answered = Event()
        call = channel.unary_unary(method).future(b"", metadata=metadata)
        call.add_done_callback(lambda _: answered.set())
        if not answered.wait(timeout):  # grpc's own deadline goes by the clock of the wall, which may be set
            call.cancel()
        code = call.code()
    if code in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND):
        return True
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return False
    raise NoCluster(
        f"something that does not answer as one ({code.name}); a head listens at port 6379 unless told, to ray:// at "
        "10001; 8265 is its dashboard"
    )


@contextmanager
def shown(show: bool) -> Iterator[None]:
    """Ray shows its token within, or none. It reads the environment when it is imported: it is made to do so anew."""
    from ray._raylet import Config  # type: ignore[attr-defined]

    before = os.environ.get(MODE)
    os.environ[MODE] = "token" if show else "disabled"
    Config.initialize("")
    try:
        yield
    finally:
        if before is None:
            del os.environ[MODE]
        else:
            os.environ[MODE] = before
        Config.initialize("")
