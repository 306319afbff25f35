"""Standard output and error of a command, where they may be full, closed or of a narrow encoding.

`harness.search … | head -1` closes the pipe, `> /dev/full` has no room, a Latin-1 terminal lacks characters. What
cannot be written is dropped, or replaced by ASCII (`...`, `->`, else `?`); the command goes on and ends with its own
exit code.
"""

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

ASCII = {"…": "...", "→": "->", "·": "|", "×": "x", "±": "+-", "–": "-", "−": "-", "≤": "<=", "≥": ">="}
"""Characters that commands print → what stands for them where the terminal's encoding lacks them."""
IN_ASCII = "harness.ascii"
"""Name of the error handler of streams that does so."""


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error(IN_ASCII, _in_ascii)


class TolerantStream:
    """A text stream that drops what cannot be written, from the first error on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = False

    def write(self, text: str) -> int:
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, write: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            write()
        except OSError:
            self._failed = True
            # Python writes what it still holds at its end, where an error would change the exit code.
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant_output() -> Iterator[None]:
    """Replace standard output and error by tolerant streams."""
    before = sys.stdout, sys.stderr
    streams = []
    for stream in before:
        if stream is None:  # closed when Python started
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as the process)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=IN_ASCII)
        streams.append(TolerantStream(stream))
    sys.stdout, sys.stderr = cast("list[TextIO]", streams)
    try:
        yield
    finally:
        for tolerant in streams:
            tolerant.flush()
        sys.stdout, sys.stderr = before
