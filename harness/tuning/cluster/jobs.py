"""A command as a job of a Ray cluster: its folder travels there, its driver runs there, its log comes back here.

The folder is that of the command, less what `.gitignore` and `EXCLUDED` name; Ray takes up to 500 MB. Every worker of
the job sees it too, so that a user's own module can be imported wherever a trial lands.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ray.exceptions import RayError

from harness.common.redaction import scrub
from harness.tuning.cluster import auth
from harness.tuning.cluster.address import ClusterError

EXCLUDED = (".git", ".venv", "runs", "mlruns", "**/__pycache__")
"""Never sent, beside what `.gitignore` names."""

SERVER_PACKAGES = "ray[default]"

NO_AGENT = "No available agent"
"""What Ray says where the process that starts jobs is not there; it has waited for it by then."""

AGENT_REMEDY = (
    "another Ray on its head's machine may hold the port 52365: start it with `ray start --dashboard-agent-listen-port`"
)


@dataclass(frozen=True)
class Ended:
    """How a job ended: `state` in Ray's word, `code` of its driver where there is one, `message` why it failed."""

    state: str
    code: int | None
    message: str


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`, http://HOST:8265.

    Raises:
        ClusterError: it cannot be reached.
    """

    def __init__(self, address: str) -> None:
        try:
            from ray.job_submission import JobSubmissionClient

            logging.getLogger("ray").setLevel(logging.WARNING)  # its steps on the way are nobody's business
            with auth.shown(auth.token() is not None):  # which it keeps, for all that it sends
                self._client = JobSubmissionClient(address)
        except ImportError as error:
            raise ClusterError(
                f"expected {SERVER_PACKAGES}, which sends jobs, got: {error}; pip install '{SERVER_PACKAGES}'"
            ) from error
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ClusterError(
                f"--address {scrub(address)}: expected the dashboard of a Ray cluster, http://HOST:8265, got: {reason}"
            ) from error

    def submit(self, command: str, folder: Path, environment: Mapping[str, str], name: str) -> str:
        """Send `folder` and start `command` in it; returns the job's name, made of `name`.

        Raises:
            ClusterError: Ray refused it.
        """
        runtime = {"working_dir": str(folder), "excludes": list(EXCLUDED), "env_vars": dict(environment)}
        try:
            return str(self._client.submit_job(entrypoint=command, runtime_env=runtime, submission_id=name))
        except (RuntimeError, ValueError, OSError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            remedy = f"; {AGENT_REMEDY}" if NO_AGENT in reason else ""
            raise ClusterError(f"the cluster refused the job: {reason}{remedy}") from error

    def follow(self, job: str) -> Ended:
        """Print what the job prints, until it ends.

        Raises:
            ClusterError: the cluster is gone.
        """
        try:
            asyncio.run(self._print(job))
            details = self._client.get_job_info(job)
        except (ConnectionError, RuntimeError, OSError) as error:
            raise ClusterError(f"job {job}: the cluster no longer answers: {error}") from error
        return Ended(str(details.status), details.driver_exit_code, details.message or "")

    async def _print(self, job: str) -> None:
        async for lines in self._client.tail_job_logs(job):
            print(lines, end="", flush=True)
