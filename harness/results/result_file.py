"""Base class of the results: one JSON file with a format version, written whole or not at all."""

import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from harness.common.atomic_files import write_text
from harness.common.errors import HarnessError


class ResultFileError(HarnessError):
    """The file is missing, damaged or of another format version; says what to do."""


class FormatVersionError(ResultFileError):
    """The file was written by another version of the harness."""


class ResultPart(BaseModel):
    """Base class of everything inside a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ResultFile(ResultPart):
    """A result that is one JSON file of a sweep's folder."""

    FILE: ClassVar[str]
    """Its name in the sweep's folder."""
    WRITTEN_BY: ClassVar[str]
    """The command that writes it."""

    format_version: int = 1
    _file: Path | None = PrivateAttr(None)

    @property
    def file(self) -> Path:
        """Where the result was saved to or loaded from."""
        if self._file is None:
            raise ResultFileError(f"{self!r}: expected a saved result, got one in memory; call save(path) first")
        return self._file

    @property
    def path(self) -> Path:
        """The sweep's folder."""
        return self.file.parent

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read the result from its file, or from the sweep's folder that holds it.

        Raises:
            ResultFileError: the file is missing, damaged or of another format version.
        """
        file = Path(path)
        file = file / cls.FILE if file.is_dir() else file
        again = f"run python -m {cls.WRITTEN_BY} again"
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ResultFileError(f"{file}: expected a result, got {error.strerror}; {again}") from error
        except (ValueError, RecursionError) as error:
            raise ResultFileError(f"{file}: expected JSON, got a damaged file; {again}") from error
        version = content.get("format_version") if isinstance(content, dict) else None
        expected = cls.model_fields["format_version"].default
        if not isinstance(version, int):
            raise ResultFileError(f"{file}: expected a result with its format version, got something else; {again}")
        if version != expected:
            raise FormatVersionError(
                f"{file}: expected format version {expected}, got {version}; use the version of the harness that wrote "
                f"it, or move it away and {again}"
            )
        try:
            result = cls(**content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ResultFileError(f"{file}: {where}: {first['msg']}; the file is damaged, {again}") from error
        result._file = file
        return result

    @classmethod
    def load_or_none(cls, path: Path | str) -> Self | None:
        """As `load`, but None if the file is missing or damaged.

        Raises:
            FormatVersionError: it is of another format version.
        """
        try:
            return cls.load(path)
        except FormatVersionError:
            raise
        except ResultFileError:
            return None

    def save(self, path: Path | str) -> None:
        """Write the result to a file, or into the sweep's folder under its own name."""
        file = Path(path)
        file = file / self.FILE if file.is_dir() else file
        write_text(file, self.model_dump_json(indent=2) + "\n")
        self._file = file

    def __str__(self) -> str:
        return repr(self)
