"""Collect the provenance of the running process: command, git commit, library versions, hardware.

It holds everything that can change a number. It leaves out the user name, the home folder and possible secrets. Takes
about 0.1 s.
"""

import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from harness.common.redaction import REDACTED, names_secret, redact_argument
from harness.results.provenance import CodeVersion, Hardware, Provenance, WarmStartOrigin
from harness.tracking.tracking_uri import redact_uri

PACKAGES = (
    *("soft-label-harness", "torch", "torchvision", "numpy", "scikit-learn", "scipy"),
    *("ray", "optuna", "mlflow", "pydantic", "pandas"),
)
ENVIRONMENT = re.compile(
    r"(OMP|MKL|OPENBLAS|NUMEXPR)_NUM_THREADS|CUDA_VISIBLE_DEVICES|CUBLAS_WORKSPACE_CONFIG|PYTHONHASHSEED"
)
"""Variables that change what is computed, or how fast; their values hold no secrets."""


def collect(argv: Iterable[str] | None = None, warm_start: WarmStartOrigin | None = None) -> Provenance:
    """Return the provenance of this process; `argv` is its command line (default: `sys.argv`)."""
    versions = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return Provenance(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=redacted_command(sys.argv if argv is None else argv),
        git=code_version(Path(__file__).parent),
        python=platform.python_version(),
        versions=versions,
        hardware=_hardware(),
        platform=platform.platform(),
        host=socket.gethostname(),
        environment={name: value for name, value in sorted(os.environ.items()) if ENVIRONMENT.fullmatch(name)},
        warm_start=warm_start,
    )


def redacted_command(argv: Iterable[str]) -> str:
    """Return `argv` as typed, without the secrets in URLs and without the values of options named like a secret.

    Bytes that are no UTF-8, as names of files may have them, are written as escape sequences, since JSON has none.
    """
    home = os.path.expanduser("~")
    words: list[str] = []
    hide_next = False
    for word in argv:
        shown = redact_uri(redact_argument(word)) if "://" in word else redact_argument(word)
        words.append(REDACTED if hide_next else shown.replace(home, "~") if len(home) > 1 else shown)
        hide_next = not hide_next and "=" not in word and word.startswith("-") and names_secret(word)
    return shlex.join(words).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def code_version(folder: Path) -> CodeVersion:
    """Return the commit of the working tree around `folder`, and whether it was changed."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    status = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return CodeVersion(commit=commit, dirty=None if commit is None or status is None else bool(status))


def _hardware() -> Hardware:
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: *(.+)", cpuinfo.read_text(encoding="utf-8")) if cpuinfo.exists() else None
    gpus = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return Hardware(
        cpu=model[1] if model else platform.processor() or platform.machine(),
        cores=(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=gpus.splitlines() if gpus else [],
    )


def _output(*command: str) -> str | None:
    """Standard output of `command`; None where it is missing, fails, or takes more than five seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        finished = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=5, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return finished.stdout.strip()
