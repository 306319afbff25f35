"""The private names of Ray that the harness uses, checked with Ray 2.60; nothing else touches them.

ray_constants.ENABLE_RAY_CLUSTER    without it, a cluster started here listens to the whole network
node.Node.start_…                   without them, a cluster started here has three processes that a sweep does not need
worker.listen_error_messages        without it, Ray prints half a page about each worker that dies
state                               without it, a trial that waits cannot say what is free, or whether its worker starts
tune_controller, class_cache        without them, a trial waits for two workers in turn: one runs a task that says that
                                    a placement group is there, the other is started anew for the sake of a variable
usage.tag_callbacks                 without it, Ray Tune imports MLflow to count callbacks: two seconds of the driver
_raylet.Config                      without it, token authentication follows what was set when Ray was imported, and
                                    a driver with a token cannot use a cluster without one
_raylet.GcsClient                   without it, a refused token is a timeout of 20 s that does not say why
_raylet.AuthenticationTokenLoader   whether there is a token here; GcsClient ends the process if there is none
PopulationBasedTrainingReplay._policy    the changes of a policy file, whose format is not documented
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ray._private import ray_constants, state, worker
from ray._private.node import Node
from ray._raylet import AuthenticationTokenLoader, Config, GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

from harness.tuning.cluster.address import ray_temp_dir

AUTH_MODE = "RAY_AUTH_MODE"
PROBE_CONFIG = {"py_gcs_connect_timeout_s": 1, "gcs_rpc_server_connect_timeout_s": 1}


UNUSED_PROCESSES = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of a node that start the server of the dashboard, the autoscaler and the reader of the workers' logs."""


@contextmanager
def small_local_cluster(*, with_logs: bool) -> Iterator[None]:
    """A cluster that is started in this block is for one sweep on this machine.

    It starts no process that the sweep does not use, which saves 1.7 s of CPU time and 1 s of waiting; `with_logs`
    keeps the process that prints the workers' output. It listens to this machine alone; Ray's default on Linux is all
    networks.

    Ray's own switch, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, is read at import, before it is known whether a cluster of
    several machines is to be joined.
    """
    unused = [name for name in UNUSED_PROCESSES if not (with_logs and name == "start_log_monitor")]
    with ExitStack() as stack:
        stack.enter_context(_replaced(ray_constants, "ENABLE_RAY_CLUSTER", False))
        for name in unused:
            stack.enter_context(_replaced(Node, name, lambda *_, **__: None))
        yield


@contextmanager
def quiet_driver() -> Iterator[None]:
    """A driver that joins in this block prints nothing of Ray's: no log of C++, no line about each worker that dies."""
    with _no_native_log(), _replaced(worker, "listen_error_messages", lambda *_: None):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute with another value during a block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def workers_start_at_once() -> Iterator[None]:
    """A Tuner that runs in this block starts the worker of a trial without a placement group, on any idle process.

    A trial has one bundle of resources, for which Ray itself finds a node; a placement group adds a wait.
    """
    from ray.air._internal import usage
    from ray.air.execution import FixedResourceManager
    from ray.tune.execution import class_cache, tune_controller

    class AlwaysReady(FixedResourceManager):  # type: ignore[misc]  # ray ships no types for it
        """Requests are ready at once: Ray lets a worker wait until a node has room for it."""

        def has_resources_ready(self, resource_request: Any) -> bool:
            return True

    with (
        _replaced(tune_controller, "PlacementGroupResourceManager", AlwaysReady),
        _replaced(class_cache, "DEFAULT_ENV_VARS", {}),
        _replaced(usage, "tag_callbacks", lambda _: False),
    ):
        yield


def free_resources() -> dict[str, dict[str, float]]:
    """The resources of each node that nobody uses now, by the node's id."""
    free: dict[str, dict[str, float]] = state.available_resources_per_node()
    return free


def starting_workers() -> int:
    """Number of workers of this driver that have a place and whose trial is not set up yet."""
    job = worker.global_worker.current_job_id.hex()
    own = [actor for actor in state.actors().values() if actor["JobID"] == job]
    return sum(actor["State"] == "PENDING_CREATION" and bool(actor["Pid"]) for actor in own)


def log_folder() -> str | None:
    """The folder of the logs of this process's Ray on this machine, running or not; None if none was started."""
    node = worker._global_node
    if node is not None:
        return str(node.get_logs_dir_path())
    sessions = ray_temp_dir().glob(f"session_*_{os.getpid()}/logs")  # of a node that did not come up
    return max(map(str, sessions), default=None)


@contextmanager
def token_authentication(enabled: bool, **config: Any) -> Iterator[None]:
    """Turn token authentication of this process on or off; `config` are further settings of Ray's."""
    try:
        with environment({AUTH_MODE: "token" if enabled else "disabled"}):
            Config.initialize(json.dumps(config) if config else "")
            yield
    finally:
        Config.initialize("")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment during a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
