"""Load a space from a YAML file, found by path or by bare name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import harness
from harness.space.errors.problems import Origin, Problem, SpaceError, quote, suggest_name
from harness.space.space import Space
from harness.space.yaml_file.overrides import override
from harness.space.yaml_file.points import read_points
from harness.space.yaml_file.reader import read
from harness.space.yaml_file.text_files import display_path, file_error, read_text, reason

FOLDER = "search_spaces"
SUFFIXES = ("", ".yaml", ".yml")


def load(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Space:
    """Load a space file.

    Args:
        path_or_name: a path, or the bare name (with or without .yaml) of a file in `search_spaces/` of the current
            folder or beside the package.
        overrides: changes to the file, each `key=value`, in this order; see `harness.space.yaml_file.overrides`.

    Raises:
        SpaceError: with every problem of the file and the overrides; or the file cannot be read.
    """
    file = find_file(path_or_name)
    return parse(read_text(file), display_path(file), overrides, file.parent)


def parse(text: str, name: str = "space", overrides: Sequence[str] = (), folder: Path | None = None) -> Space:
    """Load a space from the text of a file.

    Args:
        name: name of the file in errors.
        folder: folder of the files that the text names; default: the current one.
    """
    source = read(text, lambda line: Origin(name, line))
    if not isinstance(source.data, dict):
        if not source.problems:
            expected, remedy = "a mapping with study, arms and more", f"start from a file of {FOLDER}/"
            source.add_problem((), expected, quote(source.data), remedy)
        raise SpaceError(source.problems)
    read_points(source, folder or Path())
    for change in overrides:
        override(source, change)
        read_points(source, folder or Path())
    problems = source.problems
    unread = {problem.path for problem in problems}
    try:
        space = Space(**source.data)
    except SpaceError as error:
        located = (problem for problem in error.problems if problem.path not in unread)
        problems = [*problems, *(replace(problem, origin=source.origin(problem.path)) for problem in located)]
    if problems:
        raise SpaceError(sorted(problems, key=_position))
    return space


def _position(problem: Problem) -> tuple[bool, str, int]:
    """Sort key: by file and line, overrides last and in their order."""
    line = problem.origin and problem.origin.line
    return (False, problem.origin.file, line) if problem.origin and line else (True, "", 0)


def find_file(path_or_name: str | Path) -> Path:
    """Find a space file, else raise SpaceError."""
    given, name = Path(path_or_name), str(path_or_name)
    folders = (Path(FOLDER), Path(harness.__file__).resolve().parent.parent / FOLDER)
    in_folders = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    try:
        if not given.is_file() and given.name == name:
            given = next((file for file in in_folders if file.is_file()), given)
        if given.exists():
            return given
    except (OSError, ValueError) as error:
        raise file_error(name, reason(error), "name another file") from None
    known = sorted({file.stem for folder in folders for file in folder.glob("*.y*ml")})
    raise file_error(name, "nothing of that name", suggest_name(given.stem, known))
