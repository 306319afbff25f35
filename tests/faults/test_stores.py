"""`--runs-dir s3://…`, as a user meets it: a server that speaks S3, machines that share nothing else.

A machine is pretended by a cache folder of its own; the workers of the session's cluster have another than any driver.
"""

import http.server
import json
import re
import socket
import subprocess
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
from harness.tuning.storage.object_store_sync import JOURNAL, LENGTHS, SPOOL
from tests.conftest import Result, finish, run, start
from tests.support.kills import ended
from tests.support.outcomes import told
from tests.support.short_intervals import EXPIRY_SECONDS
from tests.support.stores import S3, names, served
from tests.tracking.conftest import free_port

pytestmark = pytest.mark.timeout(600)

TRIALS = 4
SMALL = (
    *("--space", "label_lr.yaml", "--set", "width=32", "--set", "epochs=30", "--set", "search.sampler=random"),
    *("--set", "search.pruner=none", "--concurrency", "1", "--trials", str(TRIALS)),
)


@dataclass(frozen=True)
class Swept:
    """A sweep that was killed on one machine, lost its store while it went on on another, and ended on the first."""

    url: str
    calm: Path
    home: Path
    address: str
    refused: Result
    stopped: Result
    last: Result

    @property
    def tracked(self) -> tuple[str, str]:
        return "--tracking-uri", f"sqlite:///{self.home}/mlflow.db"

    def on(self, machine: str, module: str, *arguments: str) -> Result:
        return run(module, *arguments, "--runs-dir", self.url, XDG_CACHE_HOME=str(self.home / machine))

    def copy(self, machine: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(self.home / machine))
            return Url.parse(self.url).copy / "label_lr"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Iterator[Swept]:
    home = tmp_path_factory.mktemp("machines")
    tracked = ("--tracking-uri", f"sqlite:///{home}/mlflow.db")
    command = [*SMALL, "--address", ray_address]
    assert run("harness.search", *command, *tracked, "--runs-dir", str(home / "calm"), "--name", "calm").code == 0

    def driver(machine: str) -> subprocess.Popen[str]:
        where = {"XDG_CACHE_HOME": str(home / machine)}
        return start("tests.support.short_intervals", *command, *tracked, "--runs-dir", url, **where)

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
        yield Swept(url, home / "calm" / "calm", home, ray_address, refused, stopped, last)


def wait_for(so: Callable[[], bool], timeout: float = 120) -> None:
    until = time.monotonic() + timeout
    while not so():
        assert time.monotonic() < until, f"nothing within {timeout} s"
        time.sleep(0.1)


def wait_for_labels(url: str, count: int) -> None:
    """Wait until so many trials have left their labels in the store, and the next snapshots are there."""
    wait_for(lambda: len(labels(url)) >= count)
    lengths = snapshot(url)
    wait_for(lambda: snapshot(url) != lengths)


def snapshot(url: str) -> bytes:
    """The lengths that the latest snapshot names; empty before the first."""
    with suppress(FileNotFoundError):
        return object_store.Store(Url.parse(url)).read(f"label_lr/{LENGTHS}")
    return b""


def labels(url: str) -> list[str]:
    return [name for name in names(url) if name.endswith("labels.npz")]


@pytest.mark.slow
def test_a_sweep_killed_on_two_machines_ends_as_one_that_nobody_disturbed(swept: Swept) -> None:
    assert swept.last.code == 0, swept.last.all
    assert swept.last.err == ""
    assert len(told(swept.calm)) == TRIALS
    assert told(swept.copy("one")) == told(swept.calm), "each trial once, with the same curve"
    assert swept.last.out.splitlines()[0].endswith(f"→ {Url.parse(swept.url) / 'label_lr'}")
    assert f"--runs-dir '{swept.url}'" in swept.last.out, "what goes on with it says where it lies"


@pytest.mark.slow
def test_the_store_holds_a_runs_folder_as_a_disk_would_and_nothing_of_the_way_there(swept: Swept) -> None:
    there = {name.removeprefix("label_lr/") for name in names(swept.url)}
    whole = {JOURNAL, SPOOL, LENGTHS, "space.yaml", "provenance.json", "summary.json", "report.html"}
    assert whole <= there
    complete = [number for number, _, state, *_ in told(swept.calm) if state == "complete"]
    assert complete
    assert {f"trials/{number}/labels.npz" for number in complete} <= there
    others = [name for name in there - whole if not name.startswith("confirm")]
    assert all(re.fullmatch(r"trials/\d+/(label|checkpoint)[\w.]*", name) for name in others), others
    assert not {f"trials/{number}/checkpoint.pt" for number in complete} & there


@pytest.mark.slow
def test_workers_shared_no_folder_with_the_driver(swept: Swept) -> None:
    assert (swept.copy("one") / "trials").is_dir()
    assert not list(swept.copy("one").rglob("checkpoint*")), "a trial ran in its driver's folder"
    assert not list((swept.home / "one" / "soft-label-harness").glob("scratch"))


@pytest.mark.slow
def test_a_second_driver_on_another_machine_is_refused(swept: Swept) -> None:
    assert swept.refused.code == 2, swept.refused.all
    assert re.search(rf"being run by process \d+ on {socket.gethostname()}, heard of \d+ s ago", swept.refused.err)
    assert not list((swept.home / "three").rglob("study.journal"))


@pytest.mark.slow
def test_a_store_that_goes_away_stops_the_sweep_in_words(swept: Swept) -> None:
    said = swept.stopped
    assert said.code == 3, said.all
    assert re.search(r"expected a store that can be \w+ at \S+, got: no answer.*the same command goes on", said.err)
    assert "Traceback" not in said.all


@pytest.mark.slow
def test_every_view_of_the_sweep_has_each_trial_once(swept: Swept) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    sweep = MlflowReader(f"sqlite:///{swept.home}/mlflow.db").sweep("label_lr")
    states = sweep.trials().set_index("trial")["state"].to_dict()
    assert states == {number: state for number, _, state, *_ in told(swept.calm)}
    steps = sweep.curves(["val_accuracy"]).groupby("trial")["step"].agg(list).to_dict()
    assert steps == {number: sorted(curve) for number, *_, curve in told(swept.calm)}


@pytest.mark.slow
def test_it_is_confirmed_and_reported_from_a_machine_that_has_nothing_of_it(swept: Swept) -> None:
    words = ("--top", "1", "--seeds", "1", "--address", swept.address)
    confirmed = swept.on("four", "harness.confirm", "label_lr", *words, *swept.tracked)
    assert confirmed.code == 0, confirmed.all
    there = {name.removeprefix("label_lr/") for name in names(swept.url)}
    assert "confirm.json" in there
    results = [name for name in there if name.startswith("confirm/") and name.endswith("result.json")]
    assert len(results) == 3
    assert {name.replace("result.json", "labels.npz") for name in results} <= there
    reported = swept.on("five", "harness.report", "label_lr")
    assert reported.code == 0, reported.all
    page = Path(reported.out.strip()).read_text()
    assert "endpoint_override" in page, "how to run it again says where it lies"
    assert "test accuracy" in page


@pytest.mark.slow
def test_a_server_is_filled_from_a_machine_that_has_nothing_of_it(swept: Swept, tmp_path: Path) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    uri = f"sqlite:///{tmp_path}/another.db"
    sent = swept.on("seven", "harness.sync", "label_lr", "--tracking-uri", uri)
    assert sent.code == 0, sent.all
    trials = MlflowReader(uri).sweep("label_lr").trials()
    assert sorted(trials["trial"]) == list(range(TRIALS))


@pytest.mark.slow
def test_its_best_are_teachers_from_a_machine_that_has_nothing_of_it(swept: Swept) -> None:
    words = ("--trials", "1", "--seeds", "2", "--epochs", "2", "--address", swept.address)
    taught = swept.on("eight", "harness.distill", "label_lr", *words, *swept.tracked)
    assert taught.code == 0, taught.all
    there = names(swept.url)
    assert {"label_lr-distill/distill.json", "label_lr-distill/report.html", "label_lr-distill/study.journal"} <= there
    assert any(re.fullmatch(r"label_lr/distill/learned-\d+/\d+/logits\.npz", name) for name in there), sorted(there)


@pytest.mark.slow
def test_functions_take_its_address(swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.semantics import semantics

    groups = tmp_path / "groups.yaml"
    groups.write_text("round: [0, 6, 8, 9]\nstraight: [1, 4, 7]\nboth: [2, 3, 5]\n")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(swept.home / "ten"))
        semantics("label_lr", reference=f"superclasses:{groups}", runs_dir=swept.url)
    assert "label_lr/semantics.json" in names(swept.url)


@pytest.mark.slow
def test_the_dashboard_shows_it_on_a_machine_that_has_nothing_of_it(swept: Swept) -> None:
    port = str(free_port())
    where = {"XDG_CACHE_HOME": str(swept.home / "nine")}
    command = ("harness.dashboard", "label_lr", "--runs-dir", swept.url, "--port", port)
    with ended(start(*command, **where)) as process:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/dashboard/" in process.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as answer:
            shown = {study["study_name"] for study in json.load(answer)["study_summaries"]}
    assert shown == {"learned", "one_hot", "label_smoothing"}


# Bad input, told in the first seconds


@contextmanager
def answering(code: int) -> Iterator[str]:
    """A server that answers everything so."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(code)
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


def refused(url: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    from harness.search.__main__ import main

    began = time.monotonic()
    try:
        code = main(["--space", "label_lr.yaml", "--runs-dir", url, *more])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert time.monotonic() < began + 15
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("url", ["ftp://host/runs", "http://host/runs", "s3:///runs", "file://runs", "s4://bucket"])
def test_an_address_of_no_store_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected a folder, or s3://BUCKET/PREFIX" in refused(url, capsys)


def test_a_bucket_that_is_not_there_is_told(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(s3.url(bucket="another"), capsys)
    assert re.search(r"s3://another/\S+: expected a store that can be listed, got: there is no such bucket", told)


def test_a_store_that_refuses_is_told(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(403) as endpoint:
        assert "got: access denied (403)" in refused(S3(endpoint).url(), capsys)


def test_an_endpoint_where_nothing_listens_is_told(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        endpoint = f"127.0.0.1:{one.getsockname()[1]}"
    assert "got: no answer: Failed to connect" in refused(S3(endpoint).url(), capsys)


def test_an_endpoint_that_never_answers_is_told(
    s3: S3, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "FIRST_REQUEST_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert "got: no answer" in refused(S3(f"127.0.0.1:{mute.getsockname()[1]}").url(), capsys)


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
@pytest.mark.parametrize("module", ["search", "confirm", "report", "submit", "sync"])
def test_an_address_with_a_secret_is_refused_without_a_word_of_it(
    url: str, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    main = importlib.import_module(f"harness.{module}{'.__main__' if module in ('search', 'confirm') else ''}").main
    words = ["--space", "label_lr.yaml"] if module in ("search", "submit") else ["label_lr"]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--runs-dir", url])
    said = capsys.readouterr()
    assert "expected" in said.err
    assert not re.search("hunter|ter2", said.out + said.err)
    with pytest.raises(BadUrl, match="expected"):
        Url.parse(url)


@pytest.mark.parametrize("name", ["../elsewhere", "..", "a/b", "", "-x"])
def test_names_that_leave_the_folder_are_refused(name: str, s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.confirm.__main__ import main

    assert main(["--runs-dir", s3.url(), "--", name]) == 2
    assert "NAME: expected letters, digits and ._-" in capsys.readouterr().err


def test_a_sweep_that_is_not_there_is_told(s3: S3, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.report import main

    assert main(["label_lr", "--runs-dir", s3.url()]) == 2
    assert re.search(r"NAME: expected a sweep in s3://\S+/, got 'label_lr'; it holds none", capsys.readouterr().err)
