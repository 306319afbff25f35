"""Client of an object store, through `pyarrow.fs`: reads, writes and lists whole files.

Writes are atomic: object stores guarantee it; in a folder (file://) a file is renamed. A reader sees every write that
ended before. The harness relies on nothing else.
"""

import errno
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pyarrow import fs

from harness.common.atomic_files import write_bytes
from harness.common.errors import first_line
from harness.common.urls import Url
from harness.tuning.storage.sweep_folder import FolderError

CONNECT_SECONDS = 3.0
REQUEST_SECONDS, ATTEMPTS = 10.0, 3
PARALLEL_REQUESTS = 8

AWS_ERRORS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access denied (403): are there credentials here, and do they cover this place?",
    "INVALID_ACCESS_KEY_ID": "access denied: the store does not know these credentials",
    "INVALID_CLIENT_TOKEN_ID": "access denied: the store does not know these credentials",
    "SIGNATURE_DOES_NOT_MATCH": "access denied: wrong secret key",
}


class StoreError(FolderError):
    """A store that fails a request; the message names the store, the request and the reason."""

    def __init__(self, url: Url, request: str, error: BaseException) -> None:
        super().__init__(f"{url}: expected a store that can be {request}, got: {_aws_reason(first_line(error))}")
        self.url = url


@contextmanager
def store_errors_as_disk_errors() -> Iterator[None]:
    """Raise a store's failure as the OSError of a broken disk, which pauses the sweep."""
    try:
        yield
    except StoreError as error:
        raise OSError(errno.EIO, str(error), str(error.url)) from error


class FileStat(NamedTuple):
    """Size of an object in bytes, and its last change in ns since the epoch by the store's clock."""

    size: int
    mtime: int


class Store:
    """The files below a URL; names are relative to it, with `/` between their parts.

    Creating one sends no request. Methods raise StoreError where the store fails, and FileNotFoundError for a file to
    be read that does not exist.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        with self._request("used"):
            self._files, self._root = _open_file_system(url)

    def read(self, name: str) -> bytes:
        with self._request(f"read at {name}"), self._files.open_input_stream(self._path(name)) as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        with self._request(f"written at {name}"):
            if self.url.scheme == "file":
                write_bytes(Path(self._path(name)), content)
            else:
                with self._files.open_output_stream(self._path(name)) as stream:
                    stream.write(content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove those of `names` that exist."""

        def remove(name: str) -> None:
            with suppress(FileNotFoundError), self._request(f"removed at {name}"):
                self._files.delete_file(self._path(name))

        in_parallel(remove, names)

    def list_files(self, folder: str = "") -> dict[str, FileStat]:
        """All files below `folder`, by their names relative to it."""
        root = self._path(folder)
        with self._request(f"listed at {folder or 'all'}"):
            infos = self._files.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
        return {
            str(PurePosixPath(info.path).relative_to(root)): FileStat(info.size, info.mtime_ns)
            for info in infos
            if info.type == fs.FileType.File
        }

    def stat(self, name: str) -> FileStat | None:
        with self._request(f"read at {name}"):
            info = self._files.get_file_info(self._path(name))
        return FileStat(info.size, info.mtime_ns) if info.type == fs.FileType.File else None

    def list_folders(self) -> list[str]:
        """Names of the folders at the URL itself."""
        try:
            with self._request("listed"):
                infos = self._files.get_file_info(fs.FileSelector(self._root))
        except FileNotFoundError:
            return []
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _request(self, request: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these two types
            raise StoreError(self.url, request, error) from error


def in_parallel(act: Callable[[str], object], names: Iterable[str]) -> None:
    """Call `act` on each name, several at a time; raise the first error."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        list(pool.map(act, names))


def _aws_reason(text: str) -> str:
    """The reason in pyarrow's message about an error of AWS; any other message as it is."""
    match = re.search(r"AWS Error (\w+) during \w+ operation: (.*)", text)
    if match is None:
        return text
    kind, detail = match[1], re.sub(r" *\(Request ID: [^)]*\)", "", match[2]).rstrip(". ")
    if kind == "NETWORK_CONNECTION":
        return f"no answer: {detail.rpartition('Details: ')[2]}"
    return AWS_ERRORS.get(kind, f"{kind.lower().replace('_', ' ')}: {detail}")


def _open_file_system(url: Url) -> tuple[Any, str]:
    if url.scheme == "s3":
        return _s3(url.authority, url.query), f"{url.authority}{url.path}".rstrip("/")
    files, root = fs.FileSystem.from_uri(str(url))
    return files, root.rstrip("/")


@cache
def _s3(bucket: str, query: str) -> Any:
    options: dict[str, Any] = dict(parse_qsl(query))
    if "force_virtual_addressing" in options:
        options["force_virtual_addressing"] = options["force_virtual_addressing"].lower() in ("true", "1")
    if "region" not in options:  # MinIO and the like have none
        options["region"] = "us-east-1" if "endpoint_override" in options else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **options,
        allow_delayed_open=True,  # one request for a small file instead of three
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
