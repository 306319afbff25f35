"""`--runs-dir s3://…` with a server that speaks S3, and machines that share nothing else.

Another cache folder stands for another machine; the workers of the session's cluster have one of their own.
"""

import http.server
import importlib
import json
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.common.urls import BadUrl, Url
from harness.tuning.storage import object_store
from harness.tuning.storage.object_store_sync import JOURNAL, SPOOL
from harness.tuning.storage.sweep_folder import LENGTHS
from tests.conftest import Process, Result, finish, run, start
from tests.support.fork_server import ForkedCommand
from tests.support.kills import ended
from tests.support.short_intervals import EXPIRY_SECONDS
from tests.support.stores import S3, names, served
from tests.support.trial_records import comparable_trials
from tests.tracking.conftest import free_port

pytestmark = pytest.mark.timeout(600)

TRIALS = 4
SMALL = (
    *("--space", "label_lr.yaml", "--set", "width=32", "--set", "epochs=30", "--set", "search.sampler=random"),
    *("--set", "search.pruner=none", "--concurrency", "1", "--trials", str(TRIALS)),
)


@dataclass(frozen=True)
class Swept:
    """A sweep whose driver was killed on machine "one"; on "two" its store went away; on "one" it ended.

    On "three", a driver was refused while "one" was at work. `undisturbed` is the folder of the same sweep on a disk.
    """

    url: str
    undisturbed: Path
    machines: Path
    address: str
    refused: Result
    stopped: Result
    last: Result

    def run_on(self, machine: str, module: str, *arguments: str) -> Result:
        result = run(module, *arguments, "--runs-dir", self.url, XDG_CACHE_HOME=str(self.machines / machine))
        assert result.code == 0, result.all
        return result

    def follow_up(self, machine: str, module: str, *arguments: str) -> set[str]:
        """Run a command that follows a search on a machine; return the files that are in the store then."""
        tracked = ("--tracking-uri", f"sqlite:///{self.machines}/mlflow.db")
        self.run_on(machine, module, "label_lr", *arguments, "--address", self.address, *tracked)
        return names(self.url)

    def copy(self, machine: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.machines / machine))
            return Url.parse(self.url).local_copy / "label_lr"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Iterator[Swept]:
    home = tmp_path_factory.mktemp("machines")
    command = [*SMALL, "--address", ray_address, "--tracking-uri", f"sqlite:///{home}/mlflow.db"]
    assert run("harness.search", *command, "--runs-dir", str(home / "disk"), "--name", "undisturbed").code == 0

    def driver(machine: str) -> Process:
        where = {"XDG_CACHE_HOME": str(home / machine)}
        return start("tests.support.short_intervals", *command, "--runs-dir", url, **where)

    with served() as store:
        url = store.url("some%20where/runs")
        with ended(driver("one")):  # by a kill
            wait_for(lambda: "label_lr/driver.lock" in names(url))
            refused = finish(driver("three"))
            wait_for_labels(url, 1)
        time.sleep(EXPIRY_SECONDS + 1)  # a store tells times in whole seconds
        second = driver("two")
        wait_for_labels(url, len(labels(url)) + 1)
    stopped = finish(second)
    with served(int(store.endpoint.rpartition(":")[2])):
        last = finish(driver("one"))
        yield Swept(url, home / "disk" / "undisturbed", home, ray_address, refused, stopped, last)


def wait_for(condition: Callable[[], bool], timeout: float = 120) -> None:
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, f"nothing within {timeout} s"
        time.sleep(0.1)


def wait_for_labels(url: str, count: int) -> None:
    """Wait until so many trials have left their labels in the store, and for the next snapshot."""
    wait_for(lambda: len(labels(url)) >= count)
    lengths = snapshot_lengths(url)
    wait_for(lambda: snapshot_lengths(url) != lengths)


def snapshot_lengths(url: str) -> bytes:
    with suppress(FileNotFoundError):
        return object_store.Store(Url.parse(url)).read(f"label_lr/{LENGTHS}")
    return b""


def labels(url: str) -> list[str]:
    return [name for name in names(url) if name.endswith("labels.npz")]


@pytest.mark.slow
def test_a_sweep_killed_on_one_machine_and_cut_off_on_another_ends_as_an_undisturbed_one(swept: Swept) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    assert swept.last.code == 0, swept.last.all
    assert swept.last.err == ""
    undisturbed = comparable_trials(swept.undisturbed)
    assert len(undisturbed) == TRIALS
    assert comparable_trials(swept.copy("one")) == undisturbed, "each trial once, with the same curve"
    assert swept.last.out.splitlines()[0].endswith(f"→ {Url.parse(swept.url) / 'label_lr'}")
    assert f"--runs-dir '{swept.url}'" in swept.last.out
    sweep = MlflowReader(f"sqlite:///{swept.machines}/mlflow.db").sweep("label_lr")
    states = sweep.trials().set_index("trial")["state"].to_dict()
    assert states == {number: state for number, _, state, *_ in undisturbed}
    steps = sweep.curves(["val_accuracy"]).groupby("trial")["step"].agg(list).to_dict()
    assert steps == {number: sorted(curve) for number, *_, curve in undisturbed}


@pytest.mark.slow
def test_a_second_driver_and_a_store_that_becomes_unreachable_are_reported_in_words(swept: Swept) -> None:
    assert swept.refused.code == 2, swept.refused.all
    assert re.search(rf"being run by process \d+ on {socket.gethostname()}, last seen \d+ s ago", swept.refused.err)
    assert not list((swept.machines / "three").rglob("study.journal"))
    assert swept.stopped.code == 3, swept.stopped.all
    words = r"expected a store that can be \w+ at \S+, got: no answer.*the same command goes on"
    assert re.search(words, swept.stopped.err)
    assert "Traceback" not in swept.stopped.all


@pytest.mark.slow
def test_the_store_holds_what_a_disk_would_and_trials_ran_on_the_workers(swept: Swept) -> None:
    there = {name.removeprefix("label_lr/") for name in names(swept.url)}
    sweep = {JOURNAL, SPOOL, LENGTHS, "space.yaml", "data.json", "provenance.json", "summary.json", "report.html"}
    assert sweep <= there
    complete = [number for number, _, state, *_ in comparable_trials(swept.undisturbed) if state == "complete"]
    assert complete
    assert {f"trials/{number}/labels.npz" for number in complete} <= there
    others = [name for name in there - sweep if not name.startswith("confirm")]
    assert all(re.fullmatch(r"trials/\d+/(label|checkpoint)[\w.]*", name) for name in others), others
    assert not {f"trials/{number}/checkpoint.pt" for number in complete} & there
    assert (swept.copy("one") / "trials").is_dir()
    assert not list(swept.copy("one").rglob("checkpoint*")), "a trial ran in its driver's folder"
    assert not list((swept.machines / "one" / "soft-label-harness").glob("scratch"))


# From a machine that has nothing of it


@pytest.mark.slow
def test_it_is_confirmed_and_reported(swept: Swept) -> None:
    there = swept.follow_up("four", "harness.confirm", "--top", "1", "--seeds", "1")
    assert "label_lr/confirm.json" in there
    seeds = [name for name in there if re.fullmatch(r"label_lr/confirm/.*/\d+/labels\.npz", name)]
    assert len(seeds) == 3
    page = Path(swept.run_on("five", "harness.report", "label_lr").out.strip()).read_text()
    assert "endpoint_override" in page, "how to run it again says where it lies"
    assert "test accuracy" in page


@pytest.mark.slow
def test_its_best_become_teachers(swept: Swept) -> None:
    there = swept.follow_up("eight", "harness.distill", "--trials", "1", "--seeds", "2", "--epochs", "2")
    assert {"label_lr-distill/distill.json", "label_lr-distill/report.html", "label_lr-distill/study.journal"} <= there
    assert any(re.fullmatch(r"label_lr/distill/learned-\d+/\d+/logits\.npz", name) for name in there), sorted(there)


@pytest.mark.slow
def test_it_is_sent_to_a_tracking_server(swept: Swept, tmp_path: Path) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    uri = f"sqlite:///{tmp_path}/another.db"
    swept.run_on("seven", "harness.sync", "label_lr", "--tracking-uri", uri)
    assert sorted(MlflowReader(uri).sweep("label_lr").trials()["trial"]) == list(range(TRIALS))


@pytest.mark.slow
def test_functions_take_its_address(swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.semantics import semantics

    groups = tmp_path / "groups.yaml"
    groups.write_text("round: [0, 6, 8, 9]\nstraight: [1, 4, 7]\nboth: [2, 3, 5]\n")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(swept.machines / "ten"))
        semantics("label_lr", reference=f"superclasses:{groups}", runs_dir=swept.url)
    assert "label_lr/semantics.json" in names(swept.url)


@pytest.mark.slow
def test_the_dashboard_shows_it(swept: Swept) -> None:
    port = str(free_port())
    where = {"XDG_CACHE_HOME": str(swept.machines / "nine")}
    command = ("harness.dashboard", "label_lr", "--runs-dir", swept.url, "--port", port)
    with ended(start(*command, **where)) as process:
        assert isinstance(process, ForkedCommand)
        wait_for(lambda: f"http://127.0.0.1:{port}/dashboard/" in process.output())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as answer:
            studies = {study["study_name"] for study in json.load(answer)["study_summaries"]}
    assert studies == {"learned", "one_hot", "label_smoothing"}


# Bad input, reported in the first seconds


@contextmanager
def http_server(status: int) -> Iterator[str]:
    """The HOST:PORT of a server that answers every request with that status."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = answer

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def refuse(capsys: pytest.CaptureFixture[str], url: str, module: str = "search") -> str:
    """What a command that was given this runs folder prints to standard error."""
    package = f"harness.{module}" + (".__main__" if module in ("search", "confirm") else "")
    sweep = ["--space", "label_lr.yaml"] if module in ("search", "submit") else ["label_lr"]
    began = time.monotonic()
    try:
        code = importlib.import_module(package).main([*sweep, "--runs-dir", url])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert time.monotonic() < began + 15
    printed = capsys.readouterr()
    assert not re.search("hunter|ter2", printed.out + printed.err)
    return printed.err


@pytest.fixture(autouse=True)
def nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("url", ["ftp://host/runs", "http://host/runs", "s3:///runs", "file://runs", "s4://bucket"])
def test_an_address_of_no_store_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected a folder, or s3://BUCKET/PREFIX" in refuse(capsys, url)


def test_a_store_that_cannot_be_used_is_refused_with_its_reason(
    s3: S3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = refuse(capsys, s3.url(bucket="another"))
    assert re.search(r"s3://another/\S+: expected a store that can be listed, got: there is no such bucket", missing)
    assert re.search(
        r"expected a sweep in s3://\S+/, got 'label_lr'; it holds none", refuse(capsys, s3.url(), "report")
    )
    with http_server(403) as endpoint:
        assert "got: access denied (403)" in refuse(capsys, S3(endpoint).url())
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
    assert "got: no answer: Failed to connect" in refuse(capsys, S3(endpoint).url())
    monkeypatch.setattr(object_store, "REQUEST_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:  # which never answers
        assert "got: no answer" in refuse(capsys, S3(f"127.0.0.1:{server.getsockname()[1]}").url())


@pytest.mark.parametrize("module", ["search", "confirm", "report", "submit", "sync"])
@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hunter2@bucket/runs",
        "s3://KEY:hun/ter2@bucket/runs",
        "s3://bucket/runs?secret_key=hunter2",
        "s3://bucket/runs?endpoint_override=KEY:hunter2@host",
        "s3://bucket/runs?endpoint_override=KEY:hunter2%40host",
        "gs://KEY:hunter2@bucket/runs",
        "abfs://account:hunter2@container/runs",
        "s4://KEY:hunter2@bucket/runs",
    ],
)
def test_an_address_with_a_secret_is_refused_and_never_shown(
    url: str, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected" in refuse(capsys, url, module)
    with pytest.raises(BadUrl, match="expected"):
        Url.parse(url)


@pytest.mark.parametrize("name", ["../elsewhere", "..", "a/b", "", "-x"])
def test_names_that_leave_the_folder_are_refused(name: str, s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.confirm.__main__ import main

    assert main(["--runs-dir", s3.url(), "--", name]) == 2
    assert "NAME: expected letters, digits and ._-" in capsys.readouterr().err
