"""A sweep's folder and its place in a store, here a folder again (file://), without Ray."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from harness.common.urls import Url
from harness.tuning.storage import lease, object_store_sync, runs_dir, workspace
from harness.tuning.storage.lease import Lease, TakenOver
from harness.tuning.storage.object_store import Store
from harness.tuning.storage.object_store_sync import ObjectStoreSync
from harness.tuning.storage.runs_dir import Need, opened
from harness.tuning.storage.sweep_folder import FolderError, SweepFolder

NEW = Need("toy", exists=False, argument="--name")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Url:
    on_machine("one", tmp_path, monkeypatch)
    monkeypatch.setattr(lease, "SETTLE", 0.0)
    return Url.parse(f"file://{tmp_path}/store/runs")


def on_machine(name: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """As if on another one: what is not in the store is not there."""
    patch.setenv("XDG_CACHE_HOME", str(home / name))


def append(folder: Path, *lines: str) -> None:
    for name in object_store_sync.GROWING:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.writelines(f"{line} of {name}\n" for line in lines)


def held(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in object_store_sync.GROWING}


def stored(url: Url) -> set[str]:
    return set(Store(url / "toy").listed())


def sit(url: Url, need: Need = NEW) -> None:
    with opened(url, need):
        pass


def by_hand(url: Url) -> ObjectStoreSync:
    return ObjectStoreSync(Store(url), url.copy, "toy")


def test_what_a_sitting_left_is_there_on_another_machine(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(url, NEW) as here:
        append(here / "toy", "a")
        (here / "toy" / "space.yaml").write_text("study: toy\n")
        (here / "toy" / "trials" / "0" / "model").mkdir(parents=True)
        (here / "toy" / "trials" / "0" / "model" / "MLmodel").write_text("left by the driver")
    assert stored(url) == {"study.journal", "spool/records.log", "space.yaml", "trials/0/model/MLmodel"}
    before = held(here / "toy")
    on_machine("two", tmp_path, monkeypatch)
    with opened(url, NEW) as there:
        assert there != here
        assert held(there / "toy") == before
        assert (there / "toy" / "space.yaml").read_text() == "study: toy\n"
        append(there / "toy", "b")
    on_machine("one", tmp_path, monkeypatch)
    with opened(url, NEW) as again:
        assert held(again / "toy") == held(there / "toy"), "the copy that is behind is brought forward"


def test_a_killed_driver_leaves_segments_that_any_machine_goes_on_from(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = by_hand(url)
    for line in "abc":
        append(killed.folder, line)
        (killed.folder / "summary.json").write_text(line)
        killed.push()
    assert {name for name in stored(url) if not name.startswith("tail/")} == {"summary.json"}
    assert len(stored(url)) == 4
    on_machine("two", tmp_path, monkeypatch)
    with opened(url, NEW) as there:
        assert held(there / "toy") == held(killed.folder)
        assert (there / "toy" / "summary.json").read_text() == "c"
        append(there / "toy", "d")
    assert not [name for name in stored(url) if name.startswith("tail/")], "a sitting's end leaves whole files"
    on_machine("one", tmp_path, monkeypatch)
    with opened(url, NEW) as again:
        assert again / "toy" == killed.folder
        assert held(again / "toy") == held(there / "toy")


def test_a_copy_that_is_ahead_of_the_store_is_kept_and_half_a_line_is_not_sent(url: Url) -> None:
    killed = by_hand(url)
    append(killed.folder, "a")
    killed.push()
    append(killed.folder, "b")
    with (killed.folder / "study.journal").open("a") as journal:
        journal.write("half")
    with opened(url, NEW) as here:
        assert held(here / "toy")["study.journal"] == "a of study.journal\nb of study.journal\nhalf"
    assert Store(url).read("toy/study.journal") == b"a of study.journal\nb of study.journal\n"


def test_what_a_killed_driver_had_not_sent_is_dropped_where_another_went_on(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = by_hand(url)
    append(killed.folder, "a")
    killed.push()
    append(killed.folder, "b")
    cursor = killed.folder / "spool" / "cursor-12345678.json"
    cursor.write_text("how far a server was fed with it")
    on_machine("two", tmp_path, monkeypatch)
    with opened(url, NEW) as there:
        append(there / "toy", "another b", "c")
    on_machine("one", tmp_path, monkeypatch)
    with opened(url, NEW) as here:
        assert here / "toy" == killed.folder
        assert held(here / "toy") == held(there / "toy")
        assert not cursor.exists()


def test_a_store_that_lacks_what_a_copy_had_sent_is_refused_with_what_to_do(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = by_hand(url)
    for line in "ab":
        append(killed.folder, line)
        killed.push()
    *_, last = sorted((tmp_path / "store" / "runs" / "toy" / "tail").iterdir())
    last.unlink()
    on_machine("two", tmp_path, monkeypatch)
    with opened(url, NEW) as there:
        append(there / "toy", "another b")
    on_machine("one", tmp_path, monkeypatch)
    with pytest.raises(FolderError, match=f"the copy in {killed.folder} brought there.*remove that folder"):
        sit(url)
    assert not {name for name in stored(url) if "lock" in name}, "what was claimed for it is let go"


def test_a_sweep_that_was_removed_from_the_store_does_not_come_back_from_a_copy(url: Url, tmp_path: Path) -> None:
    import shutil

    with opened(url, NEW) as here:
        append(here / "toy", "a")
        (here / "toy" / "space.yaml").write_text("study: toy\n")
    shutil.rmtree(tmp_path / "store" / "runs" / "toy")
    with pytest.raises(FolderError, match="is a copy of, found nothing; remove that folder"):
        sit(url)


def test_what_a_full_disk_took_back_is_taken_back_in_the_store(url: Url) -> None:
    carrier = by_hand(url)
    append(carrier.folder, "a", "b")
    carrier.push()
    first = len("a of study.journal\n")
    os.truncate(carrier.folder / "study.journal", first)
    carrier.push()
    append(carrier.folder, "c")
    carrier.push()
    other = ObjectStoreSync(Store(url), url.copy.parent / "other", "toy")
    other.pull()
    assert held(other.folder) == held(carrier.folder)


def test_many_segments_are_put_together(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store_sync, "SEGMENTS", 3)
    carrier = by_hand(url)
    for line in "abcdefgh":
        append(carrier.folder, line)
        carrier.push()
    assert len([name for name in stored(url) if name.startswith("tail/")]) <= 3
    other = ObjectStoreSync(Store(url), url.copy.parent / "other", "toy")
    other.pull()
    assert held(other.folder) == held(carrier.folder)


@pytest.mark.parametrize("inject_noise", ["remove", "damage"])
def test_a_segment_that_is_missing_or_damaged_is_told(url: Url, tmp_path: Path, inject_noise: str) -> None:
    killed = by_hand(url)
    for line in "abc":
        append(killed.folder, line)
        killed.push()
    tail = sorted((tmp_path / "store" / "runs" / "toy" / "tail").iterdir())
    if inject_noise == "remove":
        tail[1].unlink()
    else:
        tail[1].write_bytes(tail[1].read_bytes().replace(b"b of", b"x of"))
    with pytest.raises(FolderError, match="is missing" if inject_noise == "remove" else f"{tail[1].name}.*checksum"):
        ObjectStoreSync(Store(url), url.copy.parent / "other", "toy").pull()


def test_names_that_lead_out_of_the_folder_are_refused() -> None:
    for name in ("../x", "/etc/x", "trials/../../x", ""):
        with pytest.raises(FolderError, match="leads out of it"):
            object_store_sync._inside(Path("/runs/toy"), name)


def test_what_a_trial_left_is_forgotten_in_the_store_too(url: Url) -> None:
    store = Store(url)
    with opened(url, NEW) as here:
        store.write("toy/trials/3/checkpoint.pt", b"a worker's")
        store.write("toy/trials/3/error.txt", b"a worker's")
        folder = SweepFolder(here / "toy")
        workspace.bring(folder.trial(3))
        assert not (folder.trial(3) / "checkpoint.pt").exists(), "a driver has no use for it"
        assert (folder.trial(3) / "error.txt").exists()
        folder.forget(3)
        assert not (folder.trial(3) / "error.txt").exists()
    assert not {name for name in stored(url) if name.startswith("trials/")}


def test_who_follows_a_sweep_sees_what_its_driver_adds(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_dir, "FOLLOW_SECONDS", 0.01)
    driver = by_hand(url)
    append(driver.folder, "a")
    driver.push()
    on_machine("two", tmp_path, monkeypatch)
    with opened(url, Need("toy", writes=False, follows=True)) as there:
        assert held(there / "toy") == held(driver.folder)
        append(driver.folder, "b")
        driver.push()
        until = time.monotonic() + 20
        while held(there / "toy") != held(driver.folder):
            assert time.monotonic() < until
            time.sleep(0.01)


# Who drives


def test_a_second_driver_is_refused_with_who_the_first_is(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(url, NEW):
        on_machine("two", tmp_path, monkeypatch)
        with pytest.raises(FolderError, match=f"being run by process {os.getpid()} on {socket.gethostname()}"):
            sit(url)
        sit(url, Need("toy", writes=False, exists=False))  # who only looks may
    sit(url)


@pytest.fixture
def elsewhere(url: Url) -> Path:
    """The object of a driver of another machine."""
    word = {"holder": "process 7 on far", "id": "another", "machine": "far", "process": [7, 7.0]}
    Store(url).write("toy/driver.lock", json.dumps(word).encode())
    return Path(Store(url)._path("toy/driver.lock"))


def test_a_driver_that_was_not_heard_of_for_long_is_followed(url: Url, elsewhere: Path) -> None:
    with (
        pytest.raises(FolderError, match=r"process 7 on far, heard of 0 s ago.*taken over\s+in 60 s"),
        opened(url, NEW),
    ):
        pass
    assert json.loads(elsewhere.read_text())["id"] == "another"
    then = time.time() - lease.STALE - 1
    os.utime(elsewhere, (then, then))
    with opened(url, NEW):
        assert f"process {os.getpid()} on" in elsewhere.read_text()
    assert not elsewhere.exists()


def test_a_driver_of_this_machine_that_is_gone_is_followed_at_once(url: Url, elsewhere: Path) -> None:
    held = json.loads(elsewhere.read_text()) | {"machine": lease._machine(), "process": [os.getpid(), 1.0]}
    elsewhere.write_text(json.dumps(held))
    sit(url)


def test_of_two_that_begin_at_once_one_is_refused(url: Url) -> None:
    one, other = Lease(Store(url), "toy"), Lease(Store(url), "toy")
    one._write()
    other._write()
    other.settle()
    with pytest.raises(TakenOver):
        one.settle()


def test_a_driver_whose_sweep_was_taken_over_stops(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_dir, "PUSH_SECONDS", 0.01)
    monkeypatch.setattr(lease, "BEAT", 0.0)
    monkeypatch.setattr(Lease.beat, "__defaults__", (0.0,))

    def drive() -> None:
        with opened(url, NEW) as here:
            append(here / "toy", "a")
            Store(url).write("toy/driver.lock", json.dumps({"holder": "process 7 on far", "id": "another"}).encode())
            time.sleep(10)  # until it is interrupted

    with pytest.raises(TakenOver, match="which process 7 on far does"):
        drive()
    assert "another" in Store(url).read("toy/driver.lock").decode(), "what is another's is left"
