"""Files in an object store, through `pyarrow.fs`: read, written whole, listed.

A write appears whole or not at all: objects do so by themselves; in a folder (file://) a file is renamed into place. A
reader sees every write that ended before. The harness needs no more of a store, and no less.
"""

import errno
import re
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from pyarrow import fs

from harness.common.atomic_files import write_atomically
from harness.common.urls import Url
from harness.tuning.storage.sweep_folder import FolderError

CONNECT_SECONDS = 3.0
REQUEST_SECONDS, ATTEMPTS = 30.0, 3
FIRST_REQUEST_SECONDS, FIRST_ATTEMPTS = 5.0, 2
"""Of the first request, so that a wrong address is reported soon."""
PARALLEL_REQUESTS = 8
CHUNK_BYTES = 2**23

AWS_ERRORS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access denied (403): are there credentials here, and do they cover this place?",
    "INVALID_ACCESS_KEY_ID": "access denied: the store does not know these credentials",
    "INVALID_CLIENT_TOKEN_ID": "access denied: the store does not know these credentials",
    "SIGNATURE_DOES_NOT_MATCH": "access denied: wrong secret key",
}

T = TypeVar("T")


class StoreError(FolderError):
    """A store that fails a request; the message names the store, the request and the reason."""

    def __init__(self, url: Url, request: str, error: BaseException) -> None:
        super().__init__(f"{url}: expected a store that can be {request}, got: {describe_error(error)}")
        self.url = url

    def as_os_error(self) -> OSError:
        """The error of a disk that is out of order, which pauses the sweep."""
        return OSError(errno.EIO, str(self), str(self.url))


class FileStat(NamedTuple):
    """Size of an object in bytes, and its last change in ns since the epoch by the store's clock."""

    size: int
    mtime: int


class Store:
    """The files below a URL; names are relative to it, with `/` between their parts.

    Creating one sends no request. All methods raise StoreError where the store fails, and FileNotFoundError where they
    need a file that does not exist.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        try:
            self._files, self._root = _open_file_system(url, REQUEST_SECONDS, ATTEMPTS)
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these two types
            raise StoreError(url, "used", error) from error

    def read(self, name: str) -> bytes:
        def read() -> bytes:
            with self._files.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._request(f"read at {name}", read)

    def download(self, name: str, file: Path) -> None:
        """Copy the object into `file`, whole or not at all; errors of the local disk are plain OSErrors."""
        request = f"read at {name}"

        def copy(temporary: Path) -> None:
            stream = self._request(request, lambda: self._files.open_input_stream(self._path(name)))
            with stream, temporary.open("wb") as out:
                while chunk := self._request(request, lambda: stream.read(CHUNK_BYTES)):
                    out.write(chunk)

        write_atomically(file, copy)

    def write(self, name: str, content: bytes) -> None:
        self._request(f"written at {name}", lambda: self._put(name, [content]))

    def upload(self, name: str, file: Path) -> None:
        with file.open("rb") as stream:
            chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
            self._request(f"written at {name}", lambda: self._put(name, chunks))

    def copy(self, name: str, to: str) -> None:
        self._request(f"copied from {name}", lambda: self._files.copy_file(self._path(name), self._path(to)))

    def remove(self, names: Iterable[str]) -> None:
        """Remove those of `names` that exist."""

        def remove(name: str) -> None:
            with suppress(FileNotFoundError):
                self._request(f"removed at {name}", lambda: self._files.delete_file(self._path(name)))

        in_parallel(remove, names)

    def remove_folder(self) -> None:
        """Remove everything below the URL; a failure is ignored."""
        with suppress(FolderError, OSError):
            if isinstance(self._files, fs.LocalFileSystem):
                self._files.delete_dir(self._root)
            else:
                self.remove(self.list_files())

    def list_files(self, folder: str = "") -> dict[str, FileStat]:
        """All files below `folder`, by their names relative to it."""
        below = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        found = self._request(f"listed at {folder or 'all'}", lambda: self._files.get_file_info(below))
        root = PurePosixPath(self._path(folder))
        return {
            str(PurePosixPath(info.path).relative_to(root)): FileStat(info.size, info.mtime_ns)
            for info in found
            if info.type == fs.FileType.File
        }

    def stat(self, name: str) -> FileStat | None:
        (info,) = self._request(f"read at {name}", lambda: self._files.get_file_info([self._path(name)]))
        return FileStat(info.size, info.mtime_ns) if info.type == fs.FileType.File else None

    def list_folders(self) -> list[str]:
        """Names of the folders at the URL itself; the quick first request, which finds a wrong address."""
        files, _ = _open_file_system(self.url, FIRST_REQUEST_SECONDS, FIRST_ATTEMPTS)
        selector = fs.FileSelector(self._root, recursive=False)
        try:
            found = self._request("listed", lambda: files.get_file_info(selector))
        except FileNotFoundError:
            return []
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _put(self, name: str, chunks: Iterable[bytes]) -> None:
        path = self._path(name)
        folder = path.rpartition("/")[0]
        is_local = isinstance(self._files, fs.LocalFileSystem)
        target = f"{folder}/.{uuid.uuid4().hex}" if is_local else path
        if is_local:
            self._files.create_dir(folder, recursive=True)
        with self._files.open_output_stream(target) as stream:
            for chunk in chunks:
                stream.write(chunk)
        if is_local:
            self._files.move(target, path)

    def _request(self, request: str, send: Callable[[], T]) -> T:
        try:
            return send()
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(self.url, request, error) from error


def in_parallel(act: Callable[[str], object], names: Iterable[str]) -> None:
    """Call `act` on each name, several at a time; raise the first error."""
    names = list(names)
    if len(names) == 1:
        act(names[0])
    elif names:
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            for done in [pool.submit(act, name) for name in names]:
                done.result()


def describe_error(error: BaseException) -> str:
    """An error of pyarrow in one line of plain words."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    found = re.search(r"AWS Error (\w+) during \w+ operation: (.*)", text)
    if found is None:
        return text
    kind, detail = found[1], re.sub(r" *\(Request ID: [^)]*\)", "", found[2]).rstrip(". ")
    if kind == "NETWORK_CONNECTION":
        return f"no answer: {detail.rpartition('Details: ')[2]}"
    return AWS_ERRORS.get(kind, f"{kind.lower().replace('_', ' ')}: {detail}")


def _open_file_system(url: Url, seconds: float, attempts: int) -> tuple[Any, str]:
    if url.scheme == "s3":
        return _s3(url.authority, url.query, seconds, attempts), f"{url.authority}{url.path}".rstrip("/")
    files, root = fs.FileSystem.from_uri(str(url))
    return files, root.rstrip("/")


@cache
def _s3(bucket: str, query: str, seconds: float, attempts: int) -> Any:
    options: dict[str, Any] = dict(parse_qsl(query))
    if "force_virtual_addressing" in options:
        options["force_virtual_addressing"] = options["force_virtual_addressing"].lower() in ("true", "1")
    if "region" not in options:  # a server of one's own has none
        options["region"] = "us-east-1" if "endpoint_override" in options else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **options,
        allow_delayed_open=True,  # one request for a small file instead of three
        connect_timeout=CONNECT_SECONDS,
        request_timeout=seconds,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )
