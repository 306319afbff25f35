"""Text files of a space, read whole."""

from pathlib import Path

from harness.space.errors.problems import Origin, Problem, SpaceError, shorten

MAX_BYTES = 128 * 1024


def read_text(file: Path, kind: str = "a space file") -> str:
    """Read the text of `file`, which should be `kind`; SpaceError if it cannot be read, is large, or is not UTF-8.

    A byte order mark, as Windows writes it, is no part of the text.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise file_error(display_path(file), reason(error), "check the path and its permissions") from None
    if len(content) > MAX_BYTES:
        raise file_error(display_path(file), f"more than {MAX_BYTES // 1024} KiB", f"is this {kind}?", kind)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        origin = Origin(display_path(file), content.count(b"\n", 0, error.start) + 1)
        got = f"the byte 0x{content[error.start]:02x}"
        raise SpaceError([Problem((), "text in UTF-8", got, "save the file as UTF-8", origin)]) from None


def file_error(name: str, got: str, remedy: str, expected: str = "a readable file") -> SpaceError:
    """Make the error of a file as a whole."""
    return SpaceError([Problem((), expected, got, remedy, Origin(shorten(name) or "''"))])


def reason(error: OSError | ValueError) -> str:
    """Reason of an error without its file name."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def display_path(file: Path) -> str:
    """Path of a file in errors: relative to the current folder if it is inside."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(file)
