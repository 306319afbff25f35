"""Files of a space: read whole as text, or refused in words."""

from pathlib import Path

from harness.space.errors.problems import Problem, SpaceError, short
from harness.space.yaml_file.source import MOST_BYTES


def text_of(file: Path, what: str = "a space file") -> str:
    """The text of `file`, which is to be `what`.

    Raises:
        SpaceError: it cannot be read, is too large, or is no UTF-8.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise missing(shown(file), reason(error), "check the file and who may read it") from None
    if len(content) > MOST_BYTES:
        raise missing(shown(file), f"more than {MOST_BYTES // 1024} KiB", f"is this {what}?", what)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{content[error.start]:02x}"
        raise SpaceError([Problem(shown(file), line, "", "text in UTF-8", got, "save the file as UTF-8")]) from None


def missing(name: str, got: str, remedy: str, expected: str = "a readable file") -> SpaceError:
    return SpaceError([Problem(short(name) or "''", None, "", expected, got, remedy)])


def reason(error: OSError | ValueError) -> str:
    return (error.strerror or "an error") if isinstance(error, OSError) else str(error)


def shown(file: Path) -> str:
    """The file as errors name it: from the current folder where it lies below."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)
