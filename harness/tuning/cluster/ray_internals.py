"""The private names of Ray that the harness uses, checked with Ray 2.60; nothing else touches them.

ray_constants.ENABLE_RAY_CLUSTER    without it, a cluster started here listens to the whole network
_raylet.Config                      without it, token authentication follows what was set when Ray was imported, and
                                    a driver with a token cannot use a cluster without one
_raylet.GcsClient                   without it, a refused token is a timeout of 20 s that does not say why
_raylet.AuthenticationTokenLoader   whether there is a token here; GcsClient ends the process if there is none
PopulationBasedTrainingReplay._policy    the changes of a policy file, whose format is not documented
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config, GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

AUTH_MODE = "RAY_AUTH_MODE"
PROBE_CONFIG = {"py_gcs_connect_timeout_s": 1, "gcs_rpc_server_connect_timeout_s": 1}


@contextmanager
def loopback_only(enabled: bool) -> Iterator[None]:
    """A cluster that is started in this block listens to this machine alone; on Linux it would listen to all.

    Ray's own switch, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, is read at import, before it is known whether a cluster of
    several machines is to be joined.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not enabled
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def token_authentication(enabled: bool, **config: Any) -> Iterator[None]:
    """Turn token authentication of this process on or off; `config` are further settings of Ray's."""
    before = os.environ.get(AUTH_MODE)
    os.environ[AUTH_MODE] = "token" if enabled else "disabled"
    Config.initialize(json.dumps(config) if config else "")
    try:
        yield
    finally:
        if before is None:
            del os.environ[AUTH_MODE]
        else:
            os.environ[AUTH_MODE] = before
        Config.initialize("")


def has_token() -> bool:
    """Whether Ray finds a token here: in the environment, or in ~/.ray/auth_token."""
    return bool(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))


def accepts(address: str, with_token: bool) -> bool:
    """Whether the cluster at HOST:PORT accepts this process, with its token or without.

    Raises:
        RayError: it does not answer.
    """
    with token_authentication(with_token, **PROBE_CONFIG), _no_native_log():
        try:
            GcsClient(address=address)
        except AuthenticationError:
            return False
        return True


@contextmanager
def _no_native_log() -> Iterator[None]:
    """Hide what Ray's C++ code writes to standard error."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def read_pbt_policy(path: str) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any]]]]:
    """Return the first config of a policy file of population based training, and (step, config) of each change."""
    from ray.tune.schedulers import PopulationBasedTrainingReplay

    replay = PopulationBasedTrainingReplay(path)
    return dict(replay.config), list(replay._policy)
