"""A user's own code: imported, first in a process of its own where a run needs it, and its exceptions in one line.

A module may end the process that imports it: it parses arguments, calls `sys.exit()`, or crashes in C. On a worker that
would look as if memory had run out.
"""

import importlib
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
from typing import Any

from harness.common.errors import first_line
from harness.training.config.registry import is_user_object, value_error

FATAL = "Fatal Python error: "
IMPORT_SECONDS = 120.0
"""Time within which a module has to be imported."""
AS_PROGRAM = 'keep what it does as a program under `if __name__ == "__main__":`'

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


def add_working_directory() -> None:
    """Let the user's own modules be imported from the working directory, which a worker's path may lack."""
    if (directory := str(Path.cwd())) not in sys.path:
        sys.path.append(directory)


def load_user_object(location: str, expected: str) -> Any:
    """Import `module:name` of a user's own in this process; an error for pydantic, with `expected`, if it cannot be."""
    module, _, name = location.partition(":")
    add_working_directory()
    try:
        return getattr(importlib.import_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() too
        problem, remedy = f"raises {describe_exception(error)}", "mend it"
        if isinstance(error, ModuleNotFoundError) and module.startswith(str(error.name)):
            problem = f"is in no module that can be found: {error.name}"
            remedy = "start from the folder that holds it, or set PYTHONPATH"
        elif isinstance(error, AttributeError) and not hasattr(sys.modules.get(module), name):
            problem = f"is not in {module}"
        elif isinstance(error, SystemExit):
            remedy = AS_PROGRAM
        raise value_error(expected, f"{location}, which {problem}", remedy) from None


def check_imports(setting: str, names: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """Import the modules of a user's functions, each in a process of its own; return a line for each that cannot be."""
    return [
        f"{setting}: expected a function of a module that can be imported, got {name}, which {problem}; {remedy}"
        for name in dict.fromkeys(names)
        if is_user_object(name, known)
        for problem, remedy in [_import_problem(name)]
        if problem
    ]


def _import_problem(location: str) -> tuple[str, str]:
    """Import `module:name` in another process; return what is wrong with it, empty if nothing is, and a remedy."""
    module, _, name = location.partition(":")
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
            return f"is not imported within {IMPORT_SECONDS:.0f} s", AS_PROGRAM
        if answer.exists():
            problem = answer.read_text(encoding="utf-8")
            return problem, AS_PROGRAM if problem.startswith("raises SystemExit") else "mend it"
    said = describe_crash(child.stderr)
    return f"ends its process ({_exit_text(child.returncode)}){': ' if said else ''}{said}", AS_PROGRAM


def describe_exception(error: BaseException) -> str:
    """The class, the message and the place of an exception, such as `ValueError: no such width, at mine.py:7`."""
    name, text = type(error).__name__, first_line(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    place = own[-1] if own else frames[-1] if frames else None
    at = f", at {Path(place.filename).name}:{place.lineno}" if place is not None else ""
    if isinstance(error, SyntaxError) and error.filename:
        at = f", at {Path(error.filename).name}:{error.lineno}"
    return f"{name}{at}" if text == name else f"{name}: {text}{at}"


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
    """An exit code or the name of a signal, as text."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
