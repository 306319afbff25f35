"""A sweep's folder in a store, and the local copy that its driver works in: brought, then taken back as it grows.

The journal and the spool go as segments (`harness.tuning.storage.segments`), about once a second, both as they were at
one moment; before each, the other files that changed, whole. So a driver that is killed leaves in the store what a kill
about a second earlier would have left on a disk. What workers leave in a trial's folder they take to the store
themselves; the driver brings it here when the trial has ended.

Which side is ahead, when the copy is taken up again, the two growing files say. The copy is kept where it goes on from
the store. Else the store is the truth: what a killed driver had not sent yet is dropped, where another went on without
it. A store that lacks what this copy had sent is refused in words.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from harness.common.atomic_files import write_atomically, write_text
from harness.common.urls import Url
from harness.tuning.storage.object_store import Seen, Store, StoreError, at_once, away
from harness.tuning.storage.segments import GROWING, TAIL, Segment, decode, join
from harness.tuning.storage.sweep_folder import CHECKPOINT, PREVIOUS, FolderError

SEGMENTS = 256
"""So many, and they are put together: a reader fetches each."""
TRIES = 5  # of a read while another driver puts segments together

NOTE, SENT = ".store.json", ".sent.json"
LOCAL = frozenset({"driver.lock", "report.error.txt"})
"""Names that say something of this copy alone."""

Stat = tuple[int, int]  # bytes, and nanoseconds of the last change


class ObjectStoreSync:
    """The sweep `name` of a store, and its copy.

    Args:
        runs: the copy of the runs folder.
    """

    def __init__(self, store: Store, runs: Path, name: str) -> None:
        self.store = store
        self.name = name
        self.folder = runs / name
        self._alone = threading.RLock()
        self._sent = (0,) * len(GROWING)
        self._whole = self._sent
        self._segments: set[str] = set()
        self._known: dict[str, tuple[Seen | None, Stat]] = {}

    @property
    def url(self) -> Url:
        return self.store.url / self.name

    # From the store

    def pull(self) -> None:
        """Make the copy what the store holds, or keep it where it is ahead.

        Raises:
            FolderError: the two have gone on apart, or what is in the store is damaged.
        """
        self._known, sent = self._noted()
        listed, content = self._read()
        if (self._known or any(sent)) and not listed:
            raise FolderError(
                f"{self.url}: expected the sweep that {self.folder} is a copy of, found nothing; remove that folder to "
                "begin anew, or choose another --name"
            )
        local = tuple(_lines(self._content(name)) for name in GROWING)
        if not all(map(bytes.startswith, local, content)):
            if not all(there.startswith(here[:size]) for there, here, size in zip(content, local, sent, strict=True)):
                raise FolderError(
                    f"{self.url}: expected what the copy in {self.folder} brought there, got something else: another "
                    "driver wrote over it; remove that folder to go on with what the store holds"
                )
            self._take(content, anew=not all(map(bytes.startswith, content, local)))
        self._sent = tuple(map(len, content))
        for name in [name for name in self._known if name not in listed]:
            del self._known[name]
            (self.folder / name).unlink(missing_ok=True)
        self._fetch({name: seen for name, seen in listed.items() if _is_carried(name) and not _is_checkpoint(name)})

    def _take(self, content: tuple[bytes, ...], *, anew: bool) -> None:
        """Have the growing files as the store has them; `anew`: they are not what they were, and longer."""
        for name, there in zip(GROWING, content, strict=True):
            write_atomically(self.folder / name, partial(_write, content=there))
        for cursor in (self.folder / "spool").glob("cursor-*.json") if anew else ():
            cursor.unlink()  # it counts bytes of what was there; sending all again is harmless

    def bring(self, under: str) -> None:
        """Fetch what workers left below a name, but for checkpoints.

        Raises:
            OSError: the store does not give it.
        """
        try:
            listed = {f"{under}/{name}": seen for name, seen in self.store.listed(f"{self.name}/{under}").items()}
            self._fetch({name: seen for name, seen in listed.items() if _is_carried(name) and not _is_checkpoint(name)})
        except StoreError as error:
            raise away(error) from error

    def _fetch(self, listed: dict[str, Seen]) -> None:
        """Have the files that are listed here, but for those that are here as they are there."""

        def fetch(name: str) -> None:
            file = _inside(self.folder, name)
            with suppress(FileNotFoundError):  # taken away meanwhile
                self.store.fetch(f"{self.name}/{name}", file)
                with self._alone:
                    self._known[name] = listed[name], _stat(file)

        with self._alone:
            known = {name: seen for name, (seen, _) in self._known.items() if (self.folder / name).exists()}
        at_once(fetch, [name for name, seen in listed.items() if known.get(name) != seen])
        if listed:
            self._note()

    def _read(self) -> tuple[dict[str, Seen], tuple[bytes, ...]]:
        """What is there, and the growing files put together; a driver at work may put them together meanwhile."""
        for tries_left in reversed(range(TRIES)):
            listed = self._listed()
            whole = [self._there(name) if name in listed else b"" for name in GROWING]
            segments: dict[str, Segment] = {}

            def read(name: str, into: dict[str, Segment] = segments) -> None:
                into[name] = decode(self.store.read(f"{self.name}/{name}"), f"{self.url}/{name}")

            names = [name for name in listed if name.startswith(TAIL)]
            try:
                at_once(read, names)
                content = join(whole, segments.values(), str(self.url))
            except (FileNotFoundError, FolderError) as error:
                if tries_left and (isinstance(error, FileNotFoundError) or self._listed() != listed):
                    continue
                raise
            self._segments, self._whole = set(names), tuple(map(len, whole))
            return listed, content
        raise AssertionError

    def _listed(self) -> dict[str, Seen]:
        found = self.store.listed(self.name)
        return {name: seen for name, seen in found.items() if name not in LOCAL and not name.startswith(".")}

    def _there(self, name: str) -> bytes:
        try:
            return self.store.read(f"{self.name}/{name}")
        except FileNotFoundError:
            return b""

    # To the store

    def push(self, *, all_of_it: bool = False) -> None:
        """Take what is new here to the store; with `all_of_it` also what the driver left beside trials, and the growing
        files whole, in place of segments.

        Raises:
            StoreError: it does not take it; the same again goes on.
        """
        with self._alone:
            parts = self._moment()
            before = dict(self._known), self._sent
            for name, stat in self._changed(all_of_it):
                with suppress(FileNotFoundError):
                    self.store.send(f"{self.name}/{name}", self.folder / name)
                    self._known[name] = None, stat
            if parts is None:  # what was sent of a line was cut off again
                self._join()
            elif any(parts):
                segment = Segment(self._sent, parts)
                self.store.write(f"{self.name}/{segment.name}", segment.encode())
                self._segments.add(segment.name)
                self._sent = tuple(sent + len(part) for sent, part in zip(self._sent, parts, strict=True))
            if len(self._segments) > (0 if all_of_it else SEGMENTS) or (all_of_it and self._whole != self._sent):
                self._join()
            if self._known != before[0]:
                self._note()
            elif self._sent != before[1]:
                write_text(self.folder / SENT, json.dumps(self._sent))

    def _join(self) -> None:
        """Put whole files in the place of segments. A kill in between leaves segments that say the same again."""
        content = [_lines(self._content(name)) for name in GROWING]
        ends = tuple(map(len, content))
        if all(end >= sent for end, sent in zip(ends, self._sent, strict=True)):
            content = [part[:sent] for part, sent in zip(content, self._sent, strict=True)]  # of that one moment
        for name, part in zip(GROWING, content, strict=True):
            if part:
                self.store.write(f"{self.name}/{name}", part)
        self._sent = self._whole = tuple(map(len, content))
        self.store.remove(f"{self.name}/{name}" for name in self._segments)
        self._segments = set()

    def _moment(self) -> tuple[bytes, ...] | None:
        """The whole lines that the growing files gained, as of one moment; None where one is shorter than it was.

        The size of the spool is looked at before and after the journal is read, until it is the same: then nothing was
        written to the one while the other was read.
        """
        (journal, spool), (journals, spools) = GROWING, self._sent
        before = self._size(spool)
        while True:
            gained = self._content(journal, journals)
            after = self._size(spool)
            if before == after:
                break
            before = after
        if self._size(journal) < journals or after < spools:
            return None
        return _lines(gained), _lines(self._content(spool, spools)[: after - spools])

    def remove(self, names: Iterable[str]) -> None:
        names = list(names)
        self.store.remove(f"{self.name}/{name}" for name in names)
        with self._alone:
            for name in names:
                self._known.pop(name, None)

    def _changed(self, all_of_it: bool) -> Iterator[tuple[str, Stat]]:
        """Files that are not in the store as they are here."""
        for name, stat in _files(self.folder, () if all_of_it else ("trials",)):
            if _is_carried(name) and self._known.get(name, (None, None))[1] != stat:
                yield name, stat

    def _content(self, name: str, start: int = 0) -> bytes:
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    # What is known of both

    def _noted(self) -> tuple[dict[str, tuple[Seen | None, Stat]], tuple[int, ...]]:
        """What was known when this copy was last in use: files that are in the store, and how much of what grows."""
        files: dict[str, tuple[Seen | None, Stat]] = {}
        sent = (0,) * len(GROWING)
        with suppress(OSError, ValueError, TypeError, AttributeError, IndexError, RecursionError):
            noted = json.loads((self.folder / NOTE).read_text())
            files = {name: (seen and Seen(*seen), (here[0], here[1])) for name, (seen, here) in noted.items()}
        with suppress(OSError, ValueError, TypeError, RecursionError):
            journal, spool = json.loads((self.folder / SENT).read_text())
            sent = int(journal), int(spool)
        return files, sent

    def _note(self) -> None:
        with self._alone:
            noted = {
                name: [None if seen is None else [seen.size, seen.mtime], here]
                for name, (seen, here) in self._known.items()
            }
            write_text(self.folder / NOTE, json.dumps(noted))
            write_text(self.folder / SENT, json.dumps(self._sent))


class Pushing:
    """Pushes from a thread of its own while the driver works.

    Args:
        alive: called before each push; what it raises ends the pushing.
        stop: called then.
    """

    def __init__(
        self, mirror: ObjectStoreSync, every: float, alive: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        self.failed: FolderError | None = None
        self._mirror = mirror
        self._every = every
        self._alive = alive
        self._stop = stop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"push {mirror.name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        wait = self._every
        while not self._over.wait(wait):
            try:
                self._alive()
                self._mirror.push()
                wait = self._every
            except StoreError:  # it is away: the last push says so, if it still is then
                wait = min(30.0, 2 * wait)
            except FolderError as error:
                self.failed = error
                self._stop()
                return


def _is_carried(name: str) -> bool:
    """Whether a file is the sweep's and not of Ray, of a tracking server's feeding, or of this copy alone."""
    parts = PurePosixPath(name).parts
    if any(part.startswith(".") for part in parts) or parts[-1] in LOCAL or name.startswith(TAIL):
        return False
    if parts[0] == "spool":
        return parts[-1].endswith(".cut")
    return name not in GROWING and not (parts[0] == "trials" and len(parts) == 2)


def _is_checkpoint(name: str) -> bool:
    return PurePosixPath(name).name in (CHECKPOINT, PREVIOUS)


def _inside(folder: Path, name: str) -> Path:
    """A name in a store may be anything; one that leads out of the folder is no file of a sweep."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise FolderError(f"{name!r}: expected a file of the sweep in its store, got a name that leads out of it")
    return folder.joinpath(*parts)


def _files(folder: Path, without: Iterable[str]) -> Iterator[tuple[str, Stat]]:
    for home, folders, files in os.walk(folder):
        folders[:] = [
            each for each in folders if not each.startswith(".") and not (home == str(folder) and each in without)
        ]
        for name in files:
            path = Path(home, name)
            with suppress(FileNotFoundError):
                yield str(PurePosixPath(path.relative_to(folder))), _stat(path)


def _stat(file: Path) -> Stat:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
