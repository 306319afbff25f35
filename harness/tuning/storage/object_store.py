"""Files in an object store, by name: read, written whole, listed. No Ray, and no mind of what is in them.

What is written appears whole or not at all, as an object does by itself; where the store is a folder (file://), by
being renamed. What was written is read by all from then on. More is not asked of a store, and less will not do.
"""

import errno
import re
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pyarrow import fs

from harness.common.atomic_files import write_atomically
from harness.common.urls import Url
from harness.tuning.storage.sweep_folder import FolderError

CONNECT_SECONDS = 3.0
REQUEST_SECONDS, TRIES = 30.0, 3
FIRST_SECONDS, FIRST_TRIES = 5.0, 2
"""Of the first question: an address that is wrong is told soon."""
AT_ONCE = 8
"""Files carried side by side."""
PIECE = 2**23

T = TypeVar("T")


class StoreError(FolderError):
    """A store that does not do what it is asked; says which, what was asked of it, and why it did not."""

    def __init__(self, url: Url, expected: str, error: BaseException) -> None:
        super().__init__(f"{url}: expected a store that can be {expected}, got: {words(error)}")
        self.url = url


@dataclass(frozen=True)
class Seen:
    """An object as its store lists it: bytes, and nanoseconds since the epoch by the store's own clock."""

    size: int
    mtime: int


class Store:
    """What lies below a URL. Names are relative to it, with `/` between their parts.

    Raises:
        StoreError: the address is none that can be used. Nothing is asked of the store yet.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        try:
            self._files, self._home = _opened(url, REQUEST_SECONDS, TRIES)
        except (OSError, ValueError) as error:  # pyarrow's own are of these two kinds
            raise StoreError(url, "used", error) from error

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError where there is nothing of that name."""

        def read() -> bytes:
            with self._files.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._asked(f"read at {name}", read)

    def fetch(self, name: str, file: Path) -> None:
        """Put what is at `name` in the place of `file`; FileNotFoundError where there is nothing."""

        def fetch(fresh: Path) -> None:
            stream = self._asked(f"read at {name}", lambda: self._files.open_input_stream(self._path(name)))
            with stream, fresh.open("wb") as out:
                while piece := self._asked(f"read at {name}", lambda: stream.read(PIECE)):
                    out.write(piece)

        write_atomically(file, fetch)

    def write(self, name: str, content: bytes) -> None:
        self._asked(f"written at {name}", lambda: self._put(name, [content]))

    def send(self, name: str, file: Path) -> None:
        """Put the content of `file` at `name`."""
        with file.open("rb") as stream:
            self._asked(f"written at {name}", lambda: self._put(name, iter(lambda: stream.read(PIECE), b"")))

    def copy(self, name: str, to: str) -> None:
        self._asked(f"copied from {name}", lambda: self._files.copy_file(self._path(name), self._path(to)))

    def remove(self, names: Iterable[str]) -> None:
        """Take away those of `names` that are there."""

        def remove(name: str) -> None:
            with suppress(FileNotFoundError):
                self._asked(f"removed at {name}", lambda: self._files.delete_file(self._path(name)))

        at_once(remove, names)

    def listed(self, under: str = "") -> dict[str, Seen]:
        """All that lies below `under`, by its name relative to that."""
        below = fs.FileSelector(self._path(under), recursive=True, allow_not_found=True)
        found = self._asked(f"listed at {under or 'all'}", lambda: self._files.get_file_info(below))
        home = PurePosixPath(self._path(under))
        return {
            str(PurePosixPath(each.path).relative_to(home)): Seen(each.size, each.mtime_ns)
            for each in found
            if each.type == fs.FileType.File
        }

    def seen(self, name: str) -> Seen | None:
        (found,) = self._asked(f"read at {name}", lambda: self._files.get_file_info([self._path(name)]))
        return Seen(found.size, found.mtime_ns) if found.type == fs.FileType.File else None

    def folders(self) -> list[str]:
        """The names of the folders that lie here; none yet, where this is a place of a bucket that is there.

        Raises:
            StoreError: there is no such bucket, no right to it, or nothing that answers.
        """
        files, _ = _opened(self.url, FIRST_SECONDS, FIRST_TRIES)
        here = fs.FileSelector(self._home, recursive=False)
        try:
            found = self._asked("listed", lambda: files.get_file_info(here))
        except FileNotFoundError:
            return []
        return sorted(each.base_name for each in found if each.type == fs.FileType.Directory)

    def _path(self, name: str) -> str:
        return f"{self._home}/{name}" if name else self._home

    def _put(self, name: str, pieces: Iterable[bytes]) -> None:
        path = self._path(name)
        local = isinstance(self._files, fs.LocalFileSystem)
        target = f"{path.rpartition('/')[0]}/.{uuid.uuid4().hex}" if local else path
        if local:
            self._files.create_dir(path.rpartition("/")[0], recursive=True)
        with self._files.open_output_stream(target) as stream:
            for piece in pieces:
                stream.write(piece)
        if local:
            self._files.move(target, path)

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(self.url, what, error) from error


def at_once(act: Callable[[str], object], names: Iterable[str]) -> None:
    """Do for each name what waits for an answer, several at a time; the first failure is raised."""
    names = list(names)
    if len(names) < 2:
        for name in names:
            act(name)
        return
    with ThreadPoolExecutor(AT_ONCE) as crew:
        for done in [crew.submit(act, name) for name in names]:
            done.result()


def away(error: StoreError) -> OSError:
    """As a disk's answer that takes nothing more: the sweep stops, and the same command goes on."""
    return OSError(errno.EIO, str(error), str(error.url))


def words(error: BaseException) -> str:
    """What a store answered, in a line: of pyarrow's words those that say why."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    told = re.search(r"AWS Error (\w+) during \w+ operation: (.*)", text)
    if told is None:
        return text
    kind, detail = told[1], re.sub(r" *\(Request ID: [^)]*\)", "", told[2]).rstrip(". ")
    known = {
        "NO_SUCH_BUCKET": "there is no such bucket",
        "ACCESS_DENIED": "access denied (403): are there credentials here, and do they reach this far?",
        "INVALID_ACCESS_KEY_ID": "access denied: the store does not know these credentials",
        "INVALID_CLIENT_TOKEN_ID": "access denied: the store does not know these credentials",
        "SIGNATURE_DOES_NOT_MATCH": "access denied: these credentials do not fit",
    }
    if kind == "NETWORK_CONNECTION":
        return f"no answer: {detail.rpartition('Details: ')[2]}"
    return known.get(kind, f"{kind.lower().replace('_', ' ')}: {detail}")


def _opened(url: Url, seconds: float, tries: int) -> tuple[Any, str]:
    if url.scheme == "s3":
        return _s3(url.authority, url.query, seconds, tries), f"{url.authority}{url.path}".rstrip("/")
    files, home = fs.FileSystem.from_uri(str(url))
    return files, home.rstrip("/")


@cache
def _s3(bucket: str, query: str, seconds: float, tries: int) -> Any:
    options: dict[str, Any] = dict(parse_qsl(query))
    if "force_virtual_addressing" in options:
        options["force_virtual_addressing"] = options["force_virtual_addressing"].lower() in ("true", "1")
    if "region" not in options:
        # a server of one's own has no regions, and is asked for none
        known = "endpoint_override" in options
        options["region"] = "us-east-1" if known else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **options,
        allow_delayed_open=True,  # one request for what is small, and not three
        connect_timeout=CONNECT_SECONDS,
        request_timeout=seconds,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=tries),
    )
