"""A space file, found by path or by bare name → a `Space`, or every problem at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

import harness
from harness.space.document import Document
from harness.space.errors.explain import explain
from harness.space.errors.problems import Origin, Problem, SpaceError
from harness.space.resolve import resolve
from harness.space.spec import Space
from harness.space.yaml_file.overrides import override, sections
from harness.space.yaml_file.points import read_points
from harness.space.yaml_file.source import Source, read
from harness.space.yaml_file.text_files import missing, reason, shown, text_of

FOLDER = "search_spaces"
SUFFIXES = ("", ".yaml", ".yml")
FOLLOWS_FROM_ANOTHER = "default_factory_not_called"
"""Pydantic's word for a default that hangs on a value that is wrong: that value's own problem says it all."""


def load(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Space:
    """Read, change and validate a space file.

    Args:
        path_or_name: a path, or the bare name (with or without .yaml) of a file in `search_spaces/`: the one in the
            current folder, else the one beside the package.
        overrides: changes, each `key=value`, made in this order; see `harness.space.yaml_file.overrides`.

    Raises:
        SpaceError: the file cannot be had, or it or an override has problems; holds all of them.
    """
    file = find(path_or_name)
    return parse(text_of(file), shown(file), overrides, file.parent)


def parse(text: str, name: str = "space", overrides: Sequence[str] = (), folder: Path | None = None) -> Space:
    """As `load`, of a text at hand.

    Args:
        name: stands for the file in its errors.
        folder: where files that it names are looked for; the current one where left out.
    """
    source = read(text, lambda line: Origin(name, line))
    if source.data is None and not source.problems:
        source.complain(
            (), "a mapping with study, arms and more", "an empty file", "start from a file of search_spaces/"
        )
    elif source.data is not None and not isinstance(source.data, dict):
        source.complain((), "a mapping with study, arms and more", "something else", "write `key: value` lines")
    if not isinstance(source.data, dict):
        raise SpaceError(source.problems)
    read_points(source, folder or Path())
    for change in overrides:
        override(source, change)
        read_points(source, folder or Path())
    _doubles(source)
    try:
        space = resolve(Document.model_validate(source.data))
    except ValidationError as error:
        errors = [
            details
            for details in error.errors()
            if details["loc"] not in source.unread and details["type"] != FOLLOWS_FROM_ANOTHER
        ]
        raise _error([*source.problems, *explain(errors, source)]) from None
    if source.problems:
        raise _error(source.problems)
    return space


def _doubles(source: Source) -> None:
    """Complain of what is said twice. On the data as written, so that no other problem hides it."""
    for path, section in sections(source.data):
        fixed, parameters = section.get("fixed"), section.get("parameters")
        if isinstance(fixed, dict) and isinstance(parameters, dict):
            for name in fixed.keys() & parameters.keys():
                if isinstance(parameters[name], dict) and "when" in parameters[name]:
                    continue  # fixed is what holds where the parameter does not exist
                source.complain(
                    (*path, "parameters", name),
                    "a setting fixed or searched",
                    "both",
                    "remove it from one of the two",
                )
    if "objective" in source.data and "objectives" in source.data:
        source.complain(("objectives",), "objective or objectives", "both", "remove one of the two")
    arms, baselines = source.data.get("arms"), source.data.get("baselines")
    if isinstance(arms, dict) and isinstance(baselines, dict):
        for name in arms.keys() & baselines.keys():
            source.complain(("baselines", name), "a name of its own", "the name of an arm", "rename one of the two")


def _error(problems: list[Problem]) -> SpaceError:
    """All problems in the order of their files, overrides last."""

    def place(problem: Problem) -> tuple[bool, str, int]:
        return (True, "", 0) if problem.line is None else (False, problem.file, problem.line)

    return SpaceError(sorted(problems, key=place))


def find(path_or_name: str | Path) -> Path:
    """The file that is meant.

    Raises:
        SpaceError: there is none; the remedy names the nearest that there are.
    """
    given = Path(path_or_name)
    named = str(path_or_name)
    try:
        if given.is_file():
            return given
        bare = given.name == named and named not in ("", ".", "..")
        for folder in folders() if bare else ():
            for suffix in SUFFIXES:
                if (folder / f"{named}{suffix}").is_file():
                    return folder / f"{named}{suffix}"
        if given.is_dir():
            raise missing(named, "a folder", "name a file in it")
        if given.exists():
            raise missing(named, "neither file nor folder", "copy it to a file first")
    except (OSError, ValueError) as error:
        raise missing(named, reason(error), "name another file") from None
    known = sorted({file.stem for folder in folders() for file in folder.glob("*.y*ml")})
    close = difflib.get_close_matches(given.stem, known, n=3, cutoff=0.4)
    if close:
        remedy = f"did you mean {' or '.join(close)}?"
    else:
        remedy = f"use one of {', '.join(known)}, or a path" if known else "give the path of a file"
    raise missing(named, "nothing of that name", remedy)


def folders() -> list[Path]:
    """Where bare names are looked up, first to last."""
    beside = Path(harness.__file__).resolve().parent.parent / FOLDER
    return [folder for folder in (Path(FOLDER), beside) if folder.is_dir()]
