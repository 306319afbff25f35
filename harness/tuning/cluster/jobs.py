"""Jobs of a Ray cluster: send the working folder, run a command on the cluster, and print its log here.

The folder is sent without the files that `.gitignore` and `EXCLUDED` name; Ray accepts up to 500 MB. Every worker
of the job sees it, so that a user's own module can be imported wherever a trial runs.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ray.exceptions import RayError

from harness.common.errors import first_line
from harness.common.redaction import redact
from harness.tuning.cluster import ray_internals
from harness.tuning.cluster.address import ClusterError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

EXCLUDED = (".git", ".venv", "runs", "mlruns", "**/__pycache__")
SERVER_PACKAGES = "ray[default]"
NO_AGENT = "No available agent"
"""Ray's message if the process that starts jobs does not run on the head."""
AGENT_REMEDY = (
    "another Ray on its head's machine may hold the port 52365: start it with `ray start --dashboard-agent-listen-port`"
)


class JobClient:
    """Client for the jobs of the cluster whose dashboard is at `address`, http://HOST:8265.

    All methods raise ClusterError if the cluster refuses, or cannot be reached.
    """

    def __init__(self, address: str) -> None:
        try:
            from ray.job_submission import JobSubmissionClient

            logging.getLogger("ray").setLevel(logging.WARNING)
            with ray_internals.token_authentication(ray_internals.has_token()):  # the client keeps it
                self._client = JobSubmissionClient(address)
        except ImportError as error:
            raise ClusterError(
                f"expected {SERVER_PACKAGES}, which sends jobs, got: {error}; pip install '{SERVER_PACKAGES}'"
            ) from error
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            raise ClusterError(
                f"--address {redact(address)}: expected the dashboard of a Ray cluster, http://HOST:8265, got: "
                f"{first_line(error)}"
            ) from error

    def submit(self, command: str, folder: Path, environment: Mapping[str, str], job: str) -> None:
        """Send `folder` and start `command` in it as `job`."""
        runtime = {"working_dir": str(folder), "excludes": list(EXCLUDED), "env_vars": dict(environment)}
        try:
            self._client.submit_job(entrypoint=command, runtime_env=runtime, submission_id=job)
        except (RuntimeError, ValueError, OSError) as error:
            reason = first_line(error)
            remedy = f"; {AGENT_REMEDY}" if NO_AGENT in reason else ""
            raise ClusterError(f"the cluster refused the job: {reason}{remedy}") from error

    def print_log(self, job: str) -> "JobDetails":
        """Print the log of a job until it ends; returns how it ended."""
        try:
            asyncio.run(self._print_log(job))
            return self._client.get_job_info(job)
        except (ConnectionError, RuntimeError, OSError) as error:
            raise ClusterError(f"job {job}: the cluster no longer answers: {error}") from error

    async def _print_log(self, job: str) -> None:
        async for lines in self._client.tail_job_logs(job):
            print(lines, end="", flush=True)
