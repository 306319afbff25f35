"""Where a result comes from: commit, versions, hardware, command line; enough to run it again.

Taken down: what decides a number (code, libraries, processor, the few environment variables that numerical
libraries read). Left out: user and home folder, and whatever may be a secret. The standard library alone;
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
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.common.redaction import HIDDEN, hide, names_secret
from harness.tracking.tracking_uri import redact_uri

PACKAGES = (
    *("soft-label-harness", "torch", "torchvision", "numpy", "scikit-learn", "scipy"),
    *("ray", "optuna", "mlflow", "pydantic", "pandas"),
)
# Variables that change what is computed, or how fast; their values hold no secrets.
ENVIRONMENT = re.compile(
    r"(OMP|MKL|OPENBLAS|NUMEXPR)_NUM_THREADS|CUDA_VISIBLE_DEVICES|CUBLAS_WORKSPACE_CONFIG|PYTHONHASHSEED"
)


def collect(argv: Iterable[str] | None = None) -> dict[str, Any]:
    """The provenance of this process, as JSON has it; `argv` is its command line (default: `sys.argv`)."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(sys.argv if argv is None else argv),
        "git": git(Path(__file__).parent),
        "python": platform.python_version(),
        "versions": versions(),
        "hardware": hardware(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if ENVIRONMENT.fullmatch(name)},
    }


def tags(provenance: dict[str, Any]) -> dict[str, str]:
    """The facts of `provenance` by which runs are searched, for the sweep's own run."""
    code, machine = provenance["git"], provenance["hardware"]
    found = {
        "commit": code["commit"],
        "dirty": code["dirty"],
        "python": provenance["python"],
        "torch": provenance["versions"].get("torch"),
        "cpu": machine["cpu"],
        "cores": machine["cores"],
        "gpu": ", ".join(machine["gpus"]) or "none",
        "host": provenance["host"],
        "command": provenance["command"],
        "warm_start": provenance.get("warm_start", {}).get("from"),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def of_trials(tags: Mapping[str, str]) -> dict[str, str]:
    """Those of `tags` that stand on every trial's run too: the code may change while a sweep goes on."""
    return {name: tags[name] for name in ("commit", "dirty") if name in tags}


def command_line(argv: Iterable[str]) -> str:
    """`argv` as typed, without secrets: those in addresses, and the values of options named like one."""
    words: list[str] = []
    hidden = False
    for word in argv:
        if hidden:
            words.append(HIDDEN)
        else:
            words.append(_homeless(redact_uri(hide(word)) if "://" in word else hide(word)))
        hidden = not hidden and "=" not in word and word.startswith("-") and names_secret(word)
    return shlex.join(words)


def git(folder: Path) -> dict[str, Any]:
    """The commit of the working tree around `folder`, and whether it was changed; None where unknown."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    status = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def versions() -> dict[str, str]:
    """The installed version of each package that takes part; those that are missing are left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in bytes, and GPUs by name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    names = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return {
        "cpu": _cpu(),
        "cores": cores,
        "memory_bytes": memory,
        "gpus": names.splitlines() if names else [],
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _homeless(word: str) -> str:
    home = str(Path.home())
    return word.replace(home, "~") if len(home) > 1 else word


def _output(*command: str) -> str | None:
    """What `command` prints; None where it is missing, fails, or takes more than five seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.strip()
