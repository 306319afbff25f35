"""A space file, found by path or by bare name → a `Space`, or every problem at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

import harness
from harness.space.document import Document
from harness.space.explain import explain
from harness.space.overrides import override, sections
from harness.space.problems import Origin, Problem, SpaceError, short
from harness.space.resolve import resolve
from harness.space.source import MOST_BYTES, Source, read
from harness.space.spec import Space

FOLDER = "search_spaces"
SUFFIXES = ("", ".yaml", ".yml")


def load(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Space:
    """Read, change and validate a space file.

    Args:
        path_or_name: a path, or the bare name (with or without .yaml) of a file in `search_spaces/`: the one in the
            current folder, else the one beside the package.
        overrides: changes, each `key=value`, made in this order; see `harness.space.overrides`.

    Raises:
        SpaceError: the file cannot be had, or it or an override has problems; holds all of them.
    """
    file = find(path_or_name)
    return parse(_text(file), _shown(file), overrides)


def parse(text: str, name: str = "space", overrides: Sequence[str] = ()) -> Space:
    """As `load`, of a text at hand; `name` stands for the file in its errors."""
    source = read(text, lambda line: Origin(name, line))
    if source.data is None and not source.problems:
        source.complain(
            (), "a mapping with study, arms and more", "an empty file", "start from a file of search_spaces/"
        )
    elif source.data is not None and not isinstance(source.data, dict):
        source.complain((), "a mapping with study, arms and more", "something else", "write `key: value` lines")
    if not isinstance(source.data, dict):
        raise SpaceError(source.problems)
    for change in overrides:
        override(source, change)
    _doubles(source)
    try:
        space = resolve(Document.model_validate(source.data))
    except ValidationError as error:
        errors = [details for details in error.errors() if details["loc"] not in source.unread]
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
    arms, baselines = source.data.get("arms"), source.data.get("baselines")
    if isinstance(arms, dict) and isinstance(baselines, dict):
        for name in arms.keys() & baselines.keys():
            source.complain(("baselines", name), "a name of its own", "the name of an arm", "rename one of the two")


def _error(problems: list[Problem]) -> SpaceError:
    """All problems in the order of the file, overrides last."""
    return SpaceError(sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0)))


def find(path_or_name: str | Path) -> Path:
    """The file that is meant.

    Raises:
        SpaceError: there is none; the remedy names the nearest that there are.
    """
    given = Path(path_or_name)
    shown = str(path_or_name)
    try:
        if given.is_file():
            return given
        bare = given.name == shown and shown not in ("", ".", "..")
        for folder in folders() if bare else ():
            for suffix in SUFFIXES:
                if (folder / f"{shown}{suffix}").is_file():
                    return folder / f"{shown}{suffix}"
        if given.is_dir():
            raise _missing(shown, "a folder", "name a file in it")
        if given.exists():
            raise _missing(shown, "neither file nor folder", "copy it to a file first")
    except (OSError, ValueError) as error:
        raise _missing(shown, _reason(error), "name another file") from None
    known = sorted({file.stem for folder in folders() for file in folder.glob("*.y*ml")})
    close = difflib.get_close_matches(given.stem, known, n=3, cutoff=0.4)
    if close:
        remedy = f"did you mean {' or '.join(close)}?"
    else:
        remedy = f"use one of {', '.join(known)}, or a path" if known else "give the path of a file"
    raise _missing(shown, "nothing of that name", remedy)


def folders() -> list[Path]:
    """Where bare names are looked up, first to last."""
    beside = Path(harness.__file__).resolve().parent.parent / FOLDER
    return [folder for folder in (Path(FOLDER), beside) if folder.is_dir()]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _missing(_shown(file), _reason(error), "check the file and who may read it") from None
    if len(content) > MOST_BYTES:
        raise _missing(_shown(file), f"more than {MOST_BYTES // 1024} KiB", "is this a space file?", "a space file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{content[error.start]:02x}"
        raise SpaceError([Problem(_shown(file), line, "", "text in UTF-8", got, "save the file as UTF-8")]) from None


def _missing(shown: str, got: str, remedy: str, expected: str = "a readable file") -> SpaceError:
    return SpaceError([Problem(short(shown) or "''", None, "", expected, got, remedy)])


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or "an error") if isinstance(error, OSError) else str(error)


def _shown(file: Path) -> str:
    """The file as errors name it: from the current folder where it lies below."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)
