"""A user's own code: imported once in a process of its own, before a run is begun, and its exceptions in one line.

A module may end the process that imports it: it parses arguments, calls `sys.exit()`, or crashes in C. On a worker that
would look as if memory had run out.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.training.config.registry import MODELS

FATAL = "Fatal Python error: "
IMPORT_SECONDS = 120.0
"""Time within which a module has to be imported."""

_PROGRAM = """
import importlib, sys
from pathlib import Path
from harness.training.config.user_code import describe_exception
module, name, answer = sys.argv[1:]
sys.argv = ["worker", "--node-id=0"]  # as on a worker: arguments of another program
try:
    problem = "" if hasattr(importlib.import_module(module), name) else f"has no {name}"
except BaseException as error:
    problem = f"raises {describe_exception(error)}"
Path(answer).write_text(problem, encoding="utf-8")
"""


def check_model_imports(models: Iterable[str]) -> list[str]:
    """Import the modules of a user's models, each in a process of its own; return a line for each that cannot be."""
    own = [name for name in dict.fromkeys(models) if name not in MODELS and not name.startswith("torchvision:")]
    return [
        f"model: expected a function of a module that can be imported, got {name}, which {problem}; {remedy}"
        for name in own
        for problem, remedy in [_import_problem(name)]
        if problem
    ]


def _import_problem(location: str) -> tuple[str, str]:
    """Import `module:name` in another process; return what is wrong with it, empty if nothing is, and a remedy."""
    module, _, name = location.partition(":")
    as_program = 'keep what it does as a program under `if __name__ == "__main__":`'
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        answer = Path(folder, "answer")
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        try:
            child = subprocess.run(
                [sys.executable, "-P", "-X", "faulthandler", "-c", _PROGRAM, module, name, str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=IMPORT_SECONDS,
                env={**os.environ, "PYTHONPATH": paths},
                encoding="utf-8",
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            return f"is not imported within {IMPORT_SECONDS:.0f} s", as_program
        if answer.exists():
            problem = answer.read_text(encoding="utf-8")
            return problem, as_program if problem.startswith("raises SystemExit") else "mend it"
    said = describe_crash(child.stderr)
    return f"ends its process ({_exit_text(child.returncode)}){': ' if said else ''}{said}", as_program


def describe_exception(error: BaseException) -> str:
    """The class, the message and the place of an exception, such as `ValueError: no such width, at mine.py:7`."""
    text = next(iter(str(error).strip().splitlines()), "")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    place = own[-1] if own else frames[-1] if frames else None
    at = f", at {Path(place.filename).name}:{place.lineno}" if place is not None else ""
    if isinstance(error, SyntaxError) and error.filename:
        at = f", at {Path(error.filename).name}:{error.lineno}"
    return f"{type(error).__name__}{': ' if text else ''}{text}{at}"


def describe_crash(stderr: str) -> str:
    """The last line that a process wrote before it died, or the kind and the place of a crash in C."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = [number for number, line in enumerate(lines) if line.startswith(FATAL)]
    if not fatal:
        return lines[-1] if lines else ""
    places = [match for line in lines[fatal[-1] :] if (match := re.match(r'File "(.+)", line (\d+)', line))]
    own = [match for match in places if not _is_installed(match[1])]
    at = [f", at {Path(match[1]).name}:{match[2]}" for match in (own or places)[:1]]
    return lines[fatal[-1]].removeprefix(FATAL) + "".join(at)


def _is_installed(file: str) -> bool:
    """Whether a frame's file is the standard library's, a package's, the harness's, or none."""
    installed = {Path(os.__file__).parent, Path(__file__).parents[2]} & {*Path(file).parents}
    return file.startswith("<") or "site-packages" in Path(file).parts or bool(installed)


def _exit_text(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
