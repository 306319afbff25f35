"""A sweep's working copy and its place in an object store, here a folder (file://), without Ray."""

import json
import os
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness.common.urls import Url
from harness.tuning.storage import lease, object_store_sync, working_copy
from harness.tuning.storage.lease import Lease, LeaseLost
from harness.tuning.storage.object_store import Store, StoreError
from harness.tuning.storage.object_store_sync import JOURNAL, SPOOL, ObjectStoreSync
from harness.tuning.storage.sweep_folder import LENGTHS, DiskError, FolderError, SweepFolder, display_name
from harness.tuning.storage.workspace import SweepAccess, open_workspace

TOY = SweepAccess("toy", must_exist=False, argument="--name")
READ_TOY = SweepAccess("toy", writes=False)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Url:
    use_machine("one", tmp_path, monkeypatch)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.0)
    return Url.parse(f"file://{tmp_path}/store/runs")


def use_machine(name: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Another cache folder stands for another machine."""
    patch.setenv("XDG_CACHE_HOME", str(home / name))


def append(folder: Path, *lines: str) -> None:
    for name in (JOURNAL, SPOOL):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.writelines(f"{line} of {name}\n" for line in lines)


def content(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in (JOURNAL, SPOOL)}


def stored(url: Url) -> set[str]:
    return set(Store(url / "toy").list_files())


def open_and_close(url: Url, access: SweepAccess = TOY) -> None:
    with open_workspace(url, access):
        pass


def killed_driver(url: Url, *lines: str) -> ObjectStoreSync:
    """A driver that took a snapshot after each line, and was then killed."""
    sync = ObjectStoreSync(Store(url / "toy"), url.local_copy / "toy")
    for line in lines:
        append(sync.folder, line)
        sync.snapshot()
    return sync


def test_a_sweep_goes_on_on_another_machine_and_back(url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_workspace(str(url), TOY) as one:
        assert one.worker_location(one.local / "toy" / "trials") == url / "toy" / "trials"
        assert display_name(one.local) == str(url)
        append(one.local / "toy", "a")
        (one.local / "toy" / "space.yaml").write_text("study: toy\n")
        model = one.local / "toy" / "trials" / "0" / "model" / "MLmodel"
        model.parent.mkdir(parents=True)
        model.write_text("left by the driver")
    assert stored(url) == {JOURNAL, SPOOL, LENGTHS, "space.yaml", "trials/0/model/MLmodel"}
    before = content(one.local / "toy")
    use_machine("two", tmp_path, monkeypatch)
    with open_workspace(url, TOY) as two:
        assert two.local != one.local
        assert content(two.local / "toy") == before
        assert (two.local / "toy" / "space.yaml").read_text() == "study: toy\n"
        append(two.local / "toy", "b")
    use_machine("one", tmp_path, monkeypatch)
    with open_workspace(url, TOY) as again:
        assert content(again.local / "toy") == content(two.local / "toy")


def test_a_local_runs_folder_is_its_own_workspace(tmp_path: Path) -> None:
    with open_workspace(tmp_path, TOY) as opened, open_workspace(opened) as same:
        assert same is opened
        trial = opened.local / "toy" / "trials" / "0"
        assert (opened.local, opened.worker_location(trial)) == (tmp_path, trial)
        trial.mkdir(parents=True)
        (trial / "error.txt").write_text("")
        opened.fetch(trial)
        opened.remove(trial / "error.txt")
        assert not list(trial.iterdir())


@pytest.mark.parametrize("uploads", [0, 1, 2, 3])
def test_a_kill_between_two_uploads_leaves_journal_and_spool_of_one_moment(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uploads: int
) -> None:
    killed = killed_driver(url, "a", "b")
    before = content(killed.folder)
    append(killed.folder, "c")
    after = content(killed.folder)
    write, left = Store.write, iter(range(uploads))

    def write_until_killed(store: Store, name: str, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(store, name, content)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Store, "write", write_until_killed)
        killed.snapshot()
    use_machine("two", tmp_path, monkeypatch)
    with open_workspace(url, READ_TOY) as two:
        assert content(two.local / "toy") == (before if uploads < 3 else after)


def test_a_copy_that_is_ahead_of_the_store_is_kept_and_half_a_line_is_not_uploaded(url: Url) -> None:
    killed = killed_driver(url, "a")
    append(killed.folder, "b")
    with (killed.folder / JOURNAL).open("a") as journal:
        journal.write("half")
    with open_workspace(url, TOY) as opened:
        assert content(opened.local / "toy")[JOURNAL] == f"a of {JOURNAL}\nb of {JOURNAL}\nhalf"
    assert Store(url).read(f"toy/{JOURNAL}").decode() == f"a of {JOURNAL}\nb of {JOURNAL}\n"


def test_what_a_killed_driver_had_not_uploaded_is_dropped_where_another_went_on(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = killed_driver(url, "a")
    append(killed.folder, "b")
    cursor = killed.folder / "spool" / "cursor-12345678.json"
    cursor.write_text("a position in the spool")
    use_machine("two", tmp_path, monkeypatch)
    with open_workspace(url, TOY) as two:
        append(two.local / "toy", "another b", "c")
    use_machine("one", tmp_path, monkeypatch)
    with open_workspace(url, TOY) as one:
        assert one.local / "toy" == killed.folder
        assert content(killed.folder) == content(two.local / "toy")
        assert not cursor.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("removed", r"expected what was uploaded from .*, got no study.journal; remove that folder"),
        ("cut", r"expected at least 44 bytes, got 10; put a copy back"),
        ("replaced", "expected what was uploaded from .*, got something else.*remove that folder"),
    ],
)
def test_a_store_that_lost_what_a_copy_had_uploaded_is_refused(
    url: Url, tmp_path: Path, name: str, message: str
) -> None:
    killed_driver(url, "a", "b")
    folder = tmp_path / "store" / "runs" / "toy"
    if name == "removed":
        shutil.rmtree(folder)
    elif name == "cut":
        os.truncate(folder / SPOOL, 10)
    else:
        (folder / JOURNAL).write_text((folder / JOURNAL).read_text().replace("b of", "x of"))
    with pytest.raises(FolderError, match=message):
        open_and_close(url)
    assert not {name for name in stored(url) if "lock" in name}, "the lease is released"


def test_a_folder_that_was_copied_to_the_store_by_hand_is_read_whole(url: Url, tmp_path: Path) -> None:
    append(tmp_path / "store" / "runs" / "toy", "a", "b")
    with open_workspace(url, TOY) as opened:
        assert content(opened.local / "toy") == content(tmp_path / "store" / "runs" / "toy")


def test_a_line_that_a_full_disk_took_back_is_taken_back_in_the_store(url: Url, tmp_path: Path) -> None:
    killed = killed_driver(url, "a", "b")
    os.truncate(killed.folder / JOURNAL, len(f"a of {JOURNAL}\n"))
    killed.snapshot()
    append(killed.folder, "c")
    killed.snapshot()
    other = ObjectStoreSync(Store(url / "toy"), tmp_path / "other")
    other.pull()
    assert content(other.folder) == content(killed.folder)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "trials/../../x", ""])
def test_names_that_lead_out_of_the_folder_are_refused(name: str) -> None:
    with pytest.raises(FolderError, match="leads out of it"):
        object_store_sync._inside(Path("/runs/toy"), name)


def test_what_a_trial_left_is_fetched_without_checkpoints_and_forgotten_in_the_store_too(url: Url) -> None:
    store = Store(url)
    with open_workspace(url, TOY) as opened:
        store.write("toy/trials/3/checkpoint.pt", b"of a worker")
        store.write("toy/trials/3/error.txt", b"of a worker")
        folder = SweepFolder(opened.local / "toy")
        opened.fetch(folder.trial(3))
        assert [file.name for file in folder.trial(3).iterdir()] == ["error.txt"]
        folder.remove_trial_files(3, opened)
        assert not list(folder.trial(3).iterdir())
    assert not {name for name in stored(url) if name.startswith("trials/")}


def test_a_reader_that_follows_sees_what_the_driver_adds(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_copy, "FOLLOW_SECONDS", 0.01)
    driver = killed_driver(url, "a")
    use_machine("two", tmp_path, monkeypatch)
    with open_workspace(url, SweepAccess("toy", writes=False, follows=True)) as two:
        assert content(two.local / "toy") == content(driver.folder)
        append(driver.folder, "b")
        driver.snapshot()
        wait_until_equal(two.local / "toy", driver.folder)


def wait_until_equal(folder: Path, other: Path) -> None:
    until = time.monotonic() + 20
    while not (folder / SPOOL).exists() or content(folder) != content(other):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_unreachable_store_is_tried_again_and_reported_at_the_end(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_copy, "SNAPSHOT_SECONDS", 0.01)
    folder = tmp_path / "store" / "runs" / "toy"
    write = Store.write

    def fail(store: Store, name: str, content: bytes) -> None:
        raise StoreError(store.url, f"written at {name}", OSError("no network"))

    def drive() -> None:
        with open_workspace(url, TOY) as opened:
            monkeypatch.setattr(Store, "write", fail)
            append(opened.local / "toy", "a")
            time.sleep(0.1)
            monkeypatch.setattr(Store, "write", write)
            wait_until_equal(folder, opened.local / "toy")
            monkeypatch.setattr(Store, "write", fail)
            append(opened.local / "toy", "b")

    with pytest.raises(DiskError, match=r"no network; what is new is kept in \S+, and the same command"):
        drive()
    monkeypatch.setattr(Store, "write", write)
    open_and_close(url)
    assert content(folder) == content(url.local_copy / "toy")


# The lease


def test_a_second_driver_is_refused_with_who_the_first_is(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_workspace(url, TOY):
        use_machine("two", tmp_path, monkeypatch)
        with pytest.raises(FolderError, match=f"being run by process {os.getpid()} on {socket.gethostname()}"):
            open_and_close(url)
        open_and_close(url, READ_TOY)
    open_and_close(url)


@pytest.fixture
def foreign_lease(url: Url) -> Path:
    """The lease of a driver on another machine."""
    Store(url).write("toy/driver.lock", json.dumps({"holder": "process 7 on far", "id": "x", "copy": "y"}).encode())
    return Path(url.path) / "toy" / "driver.lock"


def test_a_lease_expires(url: Url, foreign_lease: Path) -> None:
    with pytest.raises(FolderError, match=r"process 7 on far, last seen 0 s ago.*taken over in 60 s"):
        open_and_close(url)
    assert json.loads(foreign_lease.read_text())["id"] == "x"
    expired = time.time() - lease.EXPIRY_SECONDS - 1
    os.utime(foreign_lease, (expired, expired))
    with open_workspace(url, TOY):
        assert f"process {os.getpid()} on" in foreign_lease.read_text()
    assert not foreign_lease.exists()


def test_a_killed_driver_of_this_machine_is_followed_at_once(url: Url, foreign_lease: Path) -> None:
    open_and_close(url, SweepAccess("other", must_exist=False))
    copy = (url.local_copy / ".copy-id").read_text()
    foreign_lease.write_text(json.dumps({**json.loads(foreign_lease.read_text()), "copy": copy}))
    open_and_close(url)


def test_of_two_drivers_that_claim_at_once_one_is_refused(url: Url) -> None:
    one, other = Lease(Store(url), "one"), Lease(Store(url), "other")
    one._write()
    other._write()
    other.check()
    with pytest.raises(LeaseLost):
        one.check()


def test_a_driver_whose_sweep_was_taken_over_stops(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_copy, "SNAPSHOT_SECONDS", 0.01)
    taken = json.dumps({"holder": "process 7 on far", "id": "another"}).encode()

    def drive() -> None:
        with open_workspace(url, TOY):
            Store(url).write("toy/driver.lock", taken)
            time.sleep(10)  # until it is interrupted

    with pytest.raises(LeaseLost, match="which process 7 on far does"):
        drive()
    assert Store(url).read("toy/driver.lock") == taken


def test_an_address_in_a_path_is_refused() -> None:
    with pytest.raises(FolderError, match="expected an address as a string"):
        open_workspace(Path("s3://bucket/runs")).__enter__()
