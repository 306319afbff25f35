"""`harness.compare` sets sweeps of a real store side by side, and says in words when they do not compare."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness import compare
from harness.space import dump, load
from harness.tracking.spool.events import Event, SweepEnded, SweepStarted
from tests.analysis.sweeps import BEGIN, trial_events
from tests.support.provenance import provenance
from tests.support.results import configuration, confirmation
from tests.tracking.conftest import empty_database, free_port, other_store, runs, server, store
from tests.tracking.sweeps import send, write_events

__all__ = ["empty_database", "other_store", "runs", "server", "store"]

CONFIRMATION = confirmation(
    {"learned": configuration(0, [0.912] * 5, ci95=(0.9, 0.924))}, verdict="learned labels beat the best baseline"
)


def swept(
    uri: str,
    runs: Path,
    name: str,
    *changes: str,
    commit: str = "a" * 40,
    torch: str = "2.14",
    rates: Sequence[float] = (0.1, 0.3),
    verdict: str = "",
) -> None:
    """A sweep of two arms as it stands on a server: its trials, space.yaml, provenance.json, and its verdict."""
    home = runs / name
    home.mkdir()
    space = load("label_lr.yaml", [*changes])
    facts = provenance(git={"commit": commit, "dirty": False}, versions={"torch": torch})
    (home / "space.yaml").write_text(dump(space))
    facts.save(home)
    CONFIRMATION.save(home)
    files = tuple(str(home / file) for file in ("space.yaml", "provenance.json", "confirm.json"))
    tags = {"study": space.study, **({"verdict": verdict} if verdict else {})}
    records: list[Event] = [SweepStarted(name=name, tags=tags, artifacts=files, time=BEGIN)]
    learned = space.arm("learned")
    for number, rate in enumerate(rates):
        config = learned.config({"label_lr": rate, "meta_interval": 2, "lr": 0.1})
        records += trial_events(number, "learned", config.model_copy(update={"epochs": 3}))
    config = space.arm("one_hot").config({"epochs": 4, "lr": 0.1})
    records += trial_events(9, "one_hot", config)
    send(write_events(home / "spool", [*records, SweepEnded(time=BEGIN + 10_000_000)]), uri)


@pytest.fixture
def compared(store: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Compare sweeps of the store; what was printed, lines joined: where they break is the width's affair."""

    def compared(*words: str) -> str:
        assert compare.main(["--tracking-uri", store, *words]) == 0
        return re.sub(r"\s+", " ", capsys.readouterr().out)

    return compared


def test_arms_of_two_sweeps_stand_side_by_side_with_intervals(
    store: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(store, runs, "narrow")
    swept(store, runs, "wide", "width=256", rates=(0.2, 0.25))
    assert compare.main(["narrow", "wide", "--tracking-uri", store]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    rows = [line.split() for line in printed.splitlines()]
    assert ["learned", "narrow", "2", "0.743"] in [row[:4] for row in rows]
    assert ["wide", "2", "0.738"] in [row[:3] for row in rows]
    assert "[0.685, 0.793]" in printed  # Wilson's, of 0.743 on 250 images


def test_sweeps_that_differ_in_what_was_asked_alone_are_comparable(
    store: str, runs: Path, compared: Callable[..., str]
) -> None:
    swept(store, runs, "narrow")
    swept(store, runs, "wide", "width=256")
    said = compared("narrow", "wide")
    assert "wide and narrow are comparable fixed.width: 128 → 256 (learned, one_hot, label_smoothing)" in said
    assert "level with the best of narrow" in said
    assert "chance alone moves such a difference by up to" in said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("noise_rate=0.2", "other noise (noise_rate 0.4 → 0.2)"),
        ("noise=pair", "other noise (noise symmetric → pair)"),
        ("seed=3", "other validation images, other noise (seed 0 → 3)"),
        ("val_size=200", "other validation images (val_size 250 → 200)"),
        ("meta_size=100", "other images in every part (meta_size 150 → 100)"),
        ("dataset=MNIST", "other data (dataset digits → MNIST)"),
    ],
)
def test_sweeps_on_other_data_are_not_comparable_and_no_gap_is_printed(
    change: str, reason: str, store: str, runs: Path, compared: Callable[..., str]
) -> None:
    swept(store, runs, "one")
    swept(store, runs, "other", change)
    said = compared("one", "other")
    assert "other and one are not comparable:" in said
    assert reason in said
    assert "chance alone" not in said


def test_a_sweep_of_several_objectives_is_compared_by_accuracy_alone_and_this_is_stated(
    store: str, runs: Path, compared: Callable[..., str]
) -> None:
    swept(store, runs, "one")
    swept(store, runs, "both", "objectives=[{metric: val_accuracy}, {metric: epochs}]", "search.pruner=none")
    page = runs / "page.html"
    said = compared("one", "both", "--html", str(page))
    assert "both: complete, 3 trials" in said
    assert "searched to minimize epochs too; below, each arm's best validation accuracy alone" in said
    assert "other objective (maximize val_accuracy → maximize val_accuracy and minimize epochs)" in said
    assert "both searched to minimize epochs too" in page.read_text()


def test_other_code_libraries_and_budget_call_for_care(store: str, runs: Path, compared: Callable[..., str]) -> None:
    swept(store, runs, "one")
    swept(store, runs, "other", commit="b" * 40, torch="2.15", rates=(0.1, 0.2, 0.3))
    said = compared("one", "other")
    assert "other and one are comparable with care:" in said
    assert "other code (aaaaaaaaaa → bbbbbbbbbb)" in said
    assert "other libraries (torch 2.14 → 2.15)" in said
    assert "other budget (learned 2 → 3 trials)" in said


def test_a_confirmation_is_shown_with_its_test_accuracy(store: str, runs: Path, compared: Callable[..., str]) -> None:
    swept(store, runs, "plain")
    swept(store, runs, "confirmed", verdict=CONFIRMATION.verdict)
    said = compared("plain", "confirmed")
    assert "0.912" in said
    assert "[0.900, 0.924]" in said
    assert "confirmed, confirmed: learned labels beat the best baseline" in said


def test_files_hold_what_was_printed(store: str, runs: Path, tmp_path: Path, compared: Callable[..., str]) -> None:
    swept(store, runs, "one")
    swept(store, runs, "o.ther", "noise_rate=0.2")
    csv_file, json_file, html_file = (tmp_path / f"out.{kind}" for kind in ("csv", "json", "html"))
    compared("one", "o.ther", "--csv", str(csv_file), "--json", str(json_file), "--html", str(html_file))
    rows = list(csv.DictReader(csv_file.read_text().splitlines()))
    expected = [(arm, sweep) for arm in ("learned", "one_hot") for sweep in ("one", "o.ther")]
    assert [(row["arm"], row["sweep"]) for row in rows] == expected
    data = json.loads(json_file.read_text())
    assert [sweep["sweep"] for sweep in data["sweeps"]] == ["one", "o.ther"]
    assert data["relations"][0]["comparable"] == "no"
    assert data["arms"][0]["val_low"] < data["arms"][0]["val_accuracy"] < data["arms"][0]["val_high"]
    page = html_file.read_text()
    assert "o.ther and one are not comparable" in page
    assert "http://" not in page.replace("http-equiv", "")


def test_bad_input_ends_in_words_and_with_2(
    store: str, other_store: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(store, runs, "one")
    folder = runs.parent
    for words, expected in [
        (["onne", "--tracking-uri", store], "did you mean one"),
        (["one", "one", "--tracking-uri", store], "'one' and 'one' are one sweep"),
        (["one", "--tracking-uri", other_store], "run one with --tracking-uri"),
        (["one", "--runs-dir", str(folder / "no")], "expected MLflow's database"),
        (["one", "--tracking-uri", f"http://127.0.0.1:{free_port()}"], "127.0.0.1"),
        (["one", "--tracking-uri", store, "--csv", str(folder / "no" / "a.csv")], "in a folder that exists"),
    ]:
        assert compare.main(words) == 2, words
        captured = capsys.readouterr()
        assert expected in captured.err
        assert captured.out == ""


@pytest.mark.slow
def test_sweeps_are_read_over_http_with_their_files(server: str, runs: Path, compared: Callable[..., str]) -> None:
    swept(server, runs, "narrow")
    swept(server, runs, "wide", "width=256")
    assert "fixed.width: 128 → 256" in compared("narrow", "wide", "--tracking-uri", server)
