"""`python -m harness.labels`: labels of real runs, ranked, in a table, on a page and in files."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

import harness
from analysis.report import labels_page
from harness.labels.__main__ import main
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import SweepEnded, SweepStarted, TrialEnded, TrialStarted
from harness.training.config.run_config import RunConfig
from harness.training.data.pool import load_pool
from harness.training.run import Run
from harness.tuning.worker.runner import save_labels
from tests.conftest import run
from tests.support.browser import visit
from tests.support.results import arm_summary, configuration, confirmation, summary
from tests.training.conftest import forget_data

NAMES = ["<img src=x onerror=boom()>", 'cat, "black"', "dog; big", "naïve"]
LEARNED = {
    "label_form": "exponentiated", "label_smoothing": 0.5, "label_lr": 0.3, "train_on_meta": True,
    "epochs": 12, "lr": 0.05, "meta_size": 40, "val_size": 40, "width": 32, "batch_size": 32,
}  # fmt: skip
WRONG_SHARE = 0.2


@dataclass(frozen=True)
class Sweep:
    """A sweep `photos` under `runs`, whose trial 0 is of the arm `learned`, and its data."""

    runs: Path
    data: Path
    truth: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.runs / "photos"

    def command(self, *arguments: str) -> int:
        return main(["photos", "--runs-dir", str(self.runs), *arguments])


def leave_sweep(runs: Path, config: RunConfig, method: str = "learned") -> Path:
    """What a search leaves of one trial of an arm of this name."""
    folder = runs / "photos"
    folder.mkdir(parents=True)
    (folder / "study.journal").touch()
    tags = {"arm": method, "role": "arm", "state": "complete"}
    with EventLog(folder / "spool") as log:
        log.append(SweepStarted(name="photos", tags={"study": "photos"}))
        log.append(TrialStarted(trial=0, name=f"{method}-0", params=config.model_dump(), tags=tags))
        log.append(TrialEnded(trial=0, state="complete"))
        log.append(SweepEnded())
    summary({method: arm_summary(), "one_hot": arm_summary("baseline", trial=1)}).save(folder)
    train(config, folder / "trials" / "0")
    return folder


def train(config: RunConfig, folder: Path) -> None:
    """Train a run, and leave its labels in `folder`."""
    folder.mkdir(parents=True)
    done = Run(config)
    while not done.done:
        done.train_epoch()
    save_labels(done, folder)


def write_photos(folder: Path, *, trusted: bool = True) -> dict[str, str]:
    """Digits 0 to 3 as images in folders of classes, a fifth of train/ in a wrong one; returns path → true class."""
    digits = load_digits(n_class=4)
    draw = np.random.default_rng(0)
    truth = {}
    for number, (pixels, c) in enumerate(zip(digits.images[:500], digits.target[:500], strict=True)):
        part = "trusted" if trusted and number < 150 else "train"
        wrong = part == "train" and draw.random() < WRONG_SHARE
        shown = (c + draw.integers(1, 4)) % 4 if wrong else c
        file = folder / part / NAMES[shown] / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((15.9 * pixels).astype(np.uint8)).save(file)
        truth[file.relative_to(folder).as_posix()] = NAMES[c]
    return truth


@pytest.fixture(autouse=True)
def fresh_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget_data()
    yield
    forget_data()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Of a folder with trusted images: the true classes of train/ are known to the test alone."""
    home = tmp_path_factory.mktemp("photos")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(home / "cache"))
        truth = write_photos(home / "data")
        leave_sweep(home / "runs", RunConfig(dataset=f"folder:{home / 'data'}", noise="given", **LEARNED))
    return Sweep(home / "runs", home / "data", truth)


@pytest.fixture
def sweep(trained: Sweep, tmp_path: Path) -> Sweep:
    """The same in folders of its own."""
    shutil.copytree(trained.runs, tmp_path / "runs")
    return Sweep(tmp_path / "runs", trained.data, trained.truth)


def test_wrong_labels_whose_truth_is_unknown_come_first(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    csv, data = sweep.runs / "all.csv", sweep.runs / "all.json"
    assert sweep.command("--csv", str(csv), "--json", str(data), "--rows", "7") == 0
    table = pd.read_csv(csv)
    assert list(table) == ["index", "image", "given", "learned", "probability", "given_mass", "proposed", "runs"]
    assert all(
        Path(image).parts[:2] == ("train", given) for image, given in zip(table["image"], table["given"], strict=True)
    )
    truth = table["image"].map(sweep.truth)
    wrong = truth != table["given"]
    assert len(table) == sum(path.startswith("train") for path in sweep.truth)
    assert wrong.mean() == pytest.approx(WRONG_SHARE, abs=0.05)
    assert average_precision_score(wrong, -table.index) > 0.95
    assert wrong[table["proposed"]].mean() > 0.8
    assert (table["learned"] == truth)[table["proposed"] & wrong].mean() > 0.9
    assert (table["proposed"] == (table["given"] != table["learned"])).all()
    assert table["proposed"].is_monotonic_decreasing, "the cut is a place in the ranking"
    margin = np.where(table["proposed"], table["given_mass"] - table["probability"], table["given_mass"])
    assert (np.diff(margin[table["proposed"]]) > -3e-4).all()
    assert json.loads(data.read_text())["labels"][3]["image"] == table["image"][3]
    out = capsys.readouterr().out
    assert "How many labels are wrong is not known." in out
    assert "their true class is known" in " ".join(out.split())
    shown = out.split("look at it:")[0].split("digest")[1].splitlines()
    assert all(len(line) <= 80 for line in shown), out
    assert f"The first 7 of {len(table)} labels" in out
    page = (sweep.folder / "labels.html").read_text()
    assert page.count("<article") == page.count('src="data:image/png;base64,') == len(table)
    assert not re.search(r'(src|href)="(?!data:)', page), "nothing is loaded"
    assert "<img src=x" not in page
    assert list(sweep.folder.glob("*.tmp*")) == []


def test_where_the_truth_is_known_precision_and_recall_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pixels of digits are bytes from 0 to 16: drawn from black to white."""
    config = RunConfig(noise="symmetric", noise_rate=0.3, **{**LEARNED, "epochs": 9, "width": 64})
    folder = leave_sweep(tmp_path / "runs", config)
    with np.load(folder / "trials" / "0" / "labels.npz") as held:
        labels, given, truth, index = (held[name] for name in ("labels", "given", "truth", "index"))
    rows, others = np.arange(len(given)), labels.copy()
    others[rows, given] = -1
    margin, wrong = labels[rows, given] - others.max(1), given != truth
    ranking = harness.labels("photos", runs_dir=tmp_path / "runs", pictures=5)
    detection = ranking.detection
    assert detection is not None
    assert (detection.known, detection.wrong, detection.proposed) == (len(given), wrong.sum(), (margin < 0).sum())
    assert detection.precision == pytest.approx(wrong[margin < 0].mean())
    assert detection.recall == pytest.approx((margin < 0)[wrong].mean())
    assert detection.average_precision == pytest.approx(average_precision_score(wrong, -margin))
    assert detection.precision_ci95 is not None
    assert detection.precision_ci95[0] < detection.precision <= detection.precision_ci95[1]
    assert ranking.table["index"].tolist() == index[np.argsort(margin, kind="stable")].tolist()
    assert "image" not in ranking.table
    by_index = dict(zip(index.tolist(), truth.tolist(), strict=True))
    assert ranking.table["truth"].tolist() == [str(by_index[i]) for i in ranking.table["index"]]
    assert str(ranking).startswith("LabelRanking(photos: learned-0 proposes another class for ")
    assert ranking.page is not None
    page = ranking.page.read_text()
    assert page.count("<article") == ranking.on_page == 5
    assert f"The 5 most suspicious of {len(given):,} labels, worst first; {detection.proposed - 5:,} more are" in page
    assert main(["photos", "--runs-dir", str(tmp_path / "runs"), "--rows", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert detection.sentence in said
    assert f"recall {detection.recall:.3f} [" in said
    assert "truth" in said


def test_the_mean_over_the_seeds_of_a_confirmation_covers_more_images(sweep: Sweep) -> None:
    config = RunConfig(dataset=f"folder:{sweep.data}", noise="given", **{**LEARNED, "epochs": 2})
    for seed in (7, 5):
        train(config.model_copy(update={"seed": seed}), sweep.folder / "confirm" / "learned-0" / str(seed))
    confirmation({"learned": configuration(0, [0.9, 0.8], seeds=[7, 5])}).save(sweep.folder)
    ranking = harness.labels("photos", runs_dir=sweep.runs)
    assert "Mean of the labels over 2 fresh seeds." in ranking.notes
    sums: dict[int, np.ndarray] = {}
    counts: dict[int, int] = {}
    for file in sorted((sweep.folder / "confirm").glob("*/*/labels.npz")):
        with np.load(file) as held:
            for i, row in zip(held["index"].tolist(), held["labels"], strict=True):
                sums[i], counts[i] = sums.get(i, 0) + row.astype(float), counts.get(i, 0) + 1
    by_index = ranking.table.set_index("index")
    assert {1, 2} >= set(by_index["runs"]) == {counts[i] for i in by_index.index}
    classes = {name: c for c, name in enumerate(ranking.class_names)}
    for i, row in by_index.iterrows():
        assert row["given_mass"] == pytest.approx(sums[i][classes[row["given"]]] / counts[i], abs=1e-4)
    alone = harness.labels("photos", runs_dir=sweep.runs, trial=0)
    assert alone.runs == 2, "a trial that was confirmed has the labels of its seeds"


def test_noise_that_each_seed_draws_anew_is_no_mean(tmp_path: Path) -> None:
    config = RunConfig(noise="symmetric", noise_rate=0.3, **{**LEARNED, "epochs": 1})
    folder = leave_sweep(tmp_path / "runs", config)
    for seed in (7, 15):
        train(config.model_copy(update={"seed": seed}), folder / "confirm" / "learned-0" / str(seed))
    confirmation({"learned": configuration(0, [0.9, 0.8], seeds=[15, 7])}).save(folder)
    ranking = harness.labels("photos", runs_dir=tmp_path / "runs")
    assert ranking.runs == 1
    words = "Labels of seed 15 alone: noise symmetric draws other wrong labels for each of 2 fresh seeds."
    assert ranking.notes[0] == words
    with np.load(folder / "confirm" / "learned-0" / "15" / "labels.npz") as held:
        assert sorted(held["index"].tolist()) == sorted(ranking.table["index"])


def test_feature_vectors_have_rows_in_place_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = load_digits()
    file = tmp_path / "vectors.npz"
    given = digits.target.copy()
    given[::9] = (given[::9] + 1) % 10
    x = digits.data.astype(np.float32) / 16
    np.savez(file, x_train=x[:900], y_train=digits.target[:900], y_train_given=given[:900])
    config = RunConfig(dataset=f"npz:{file}", noise="given", **{**LEARNED, "epochs": 4})
    folder = leave_sweep(tmp_path / "runs", config)
    assert main(["photos", "--runs-dir", str(tmp_path / "runs"), "--rows", "3"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^row +given +learned", out, re.MULTILINE)
    assert "vectors are not ranked" in out
    page = (folder / "labels.html").read_text()
    assert "<img" not in page.split("<main")[1].split("<script")[0]
    assert "save corrected.csv" in page


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [((12, 10, 3), np.uint8, "png"), ((200, 120), np.float32, "jpeg"), ((40, 40, 2), np.uint16, "jpeg")],
)
def test_pictures_of_any_size_depth_and_number_of_channels_are_shown_small(
    shape: tuple[int, ...], dtype: type, kind: str, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    truth = np.arange(60) % 3
    images = (draw.random((60, *shape)) + truth.reshape(-1, *(1 for _ in shape))) * 60
    file = tmp_path / "images.npz"
    np.savez(file, x_train=images.astype(dtype), y_train=truth)
    settings = {**LEARNED, "epochs": 1, "meta_size": 6, "val_size": 6}
    config = RunConfig(dataset=f"npz:{file}", noise="symmetric", noise_rate=0.2, **settings)
    page = (leave_sweep(tmp_path / "runs", config) / "labels.html").parent / "labels.html"
    assert main(["photos", "--runs-dir", str(tmp_path / "runs")]) == 0
    text = page.read_text()
    assert text.count(f"data:image/{kind};base64,") == text.count("<article") == 36
    assert len(text) < 300_000


def test_a_page_ends_before_it_is_too_large_for_a_browser(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = harness.labels("photos", runs_dir=sweep.runs)
    monkeypatch.setattr(labels_page, "MAX_BYTES", 20_000)
    cut = harness.labels("photos", runs_dir=sweep.runs)
    assert 5 < cut.on_page < whole.on_page
    assert f"The {cut.on_page} most suspicious of {whole.on_page} labels" in (cut.page or Path()).read_text()


def test_what_cannot_be_ranked_is_refused_in_words_and_leaves_nothing(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels_file = sweep.folder / "trials" / "0" / "labels.npz"
    with np.load(labels_file) as held:
        arrays = dict(held)
    one_hot = sweep.folder / "trials" / "1"
    one_hot.mkdir()
    np.savez(one_hot / "labels.npz", **{**arrays, "labels": np.eye(4)[arrays["given"]]})

    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in sweep.runs.rglob("*") if path.is_file()}

    before = files()
    for arguments, words in (
        (
            ["--arm", "one_hot"],
            "expected labels that differ between the images of a class, got those of one_hot-1",
        ),
        (["--arm", "lerned"], "--arm: expected one of learned, one_hot, got 'lerned'; choose one"),
        (["--trial", "8"], "--trial: expected a trial of"),
        (["--csv", str(tmp_path / "no" / "a.csv")], "--csv: expected a file in a folder that exists, got"),
        (["--html", str(tmp_path / "no" / "a.html")], "--html: expected a file in a folder that exists, got"),
        (["--html", str(tmp_path)], "--html: expected a file that can be written, got"),
    ):
        assert sweep.command(*arguments) == 2, arguments
        assert words in capsys.readouterr().err
        assert files() == before
    assert main(["fotos", "--runs-dir", str(sweep.runs)]) == 2
    assert "did you mean photos?" in capsys.readouterr().err
    labels_file.write_bytes(b"PK damaged")
    assert sweep.command() == 2
    assert "labels.npz: expected the labels of a run, got the error" in capsys.readouterr().err
    labels_file.unlink()
    assert sweep.command() == 1
    assert "expected labels.npz of learned-0, got none; run the trial again" in capsys.readouterr().err
    (sweep.folder / "summary.json").unlink()
    assert sweep.command() == 1
    assert "no arm has a complete trial yet; go on with the search" in capsys.readouterr().err
    assert not (sweep.folder / "labels.html").exists()


SAVE = """
const pair = document.getElementById("pair");
const shown = () => [...document.querySelectorAll(".suspects article")].filter((card) => card.checkVisibility());
const press = (id) => document.getElementById(id).click();
const said = () => document.getElementById("said").textContent;
const choose = (select, value) => {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
};
const all = shown().length;
choose(pair, pair.options[1].value);
const ofPair = { label: pair.options[1].textContent, shown: shown().length, pairs: [...new Set(shown().map((card) =>
  card.dataset.pair))] };
press("tick");
choose(pair, "");
const other = shown().find((card) => card.classList.contains("proposed") && !card.querySelector(":checked"));
const field = other.querySelector("input[list]");
field.value = "no such class";
field.dispatchEvent(new Event("change", { bubbles: true }));
press("save");
const refused = { said: said(), marked: document.querySelectorAll(".unknown").length };
field.value = CHOSEN;
press("save");
choose(document.getElementById("which"), "ticked");
await new Promise((done) => setTimeout(done, 1500));
return { all, ofPair, refused, said: said(), ticked: shown().map((card) => card.dataset.name),
  other: other.dataset.name };
"""


@pytest.mark.slow
@pytest.mark.parametrize("held", ["trusted", "given.csv"])
def test_ticked_labels_are_saved_from_the_page_as_a_table_that_the_folder_reads(held: str, tmp_path: Path) -> None:
    """In a browser. With `given.csv` the folder has one already, and every row of it that is not ticked stays."""
    data, saved = tmp_path / "data", tmp_path / "saved"
    write_photos(data, trusted=held == "trusted")
    if held == "given.csv":
        files = sorted((data / "train" / NAMES[3]).iterdir())[:20]
        rows = [f"train/{NAMES[3]}/{file.name};{NAMES[0]}\n" for file in files]
        (data / "given.csv").write_text("image;class\n" + "".join(rows))
    config = RunConfig(dataset=f"folder:{data}", noise="given", **LEARNED)
    folder = leave_sweep(tmp_path / "runs", config)
    before = _given_by_path(config)
    assert main(["photos", "--runs-dir", str(tmp_path / "runs"), "--csv", str(tmp_path / "all.csv")]) == 0
    script = SAVE.replace("CHOSEN", json.dumps(NAMES[2]))
    seen = visit((folder / "labels.html").as_uri(), script, tmp_path / "labels.png", downloads=saved)
    assert seen.errors == []
    found, table = seen.found, pd.read_csv(tmp_path / "all.csv").set_index("image")
    assert found["all"] == len(table)
    assert len(found["ofPair"]["pairs"]) == 1
    assert found["ofPair"]["label"] == f"{found['ofPair']['pairs'][0]} ({found['ofPair']['shown']})"
    assert found["refused"]["said"].startswith("1 ticked without a class of the data set; write one of ")
    assert found["refused"]["marked"] == 1
    assert len(found["ticked"]) == found["ofPair"]["shown"] + 1
    assert found["said"].startswith(f"given.csv: {len(found['ticked'])} corrected")
    expected = before | {name: str(table["learned"][name]) for name in found["ticked"]} | {found["other"]: NAMES[2]}
    assert sum(expected[path] != before[path] for path in before) >= 2
    shutil.copy(saved / "given.csv", data / "given.csv")
    forget_data()
    assert _given_by_path(config) == expected


def _given_by_path(config: RunConfig) -> dict[str, str]:
    """The given class of each image that may be trained on."""
    from harness.training.data.arrays import data_config, load_arrays

    pool, paths = load_pool(config), load_arrays(data_config(config))["pool_paths"]
    assert pool.given is not None
    return {path.decode(): pool.class_names[c] for path, c in zip(paths, pool.given.tolist(), strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_fits_a_wide_and_a_narrow_window(sweep: Sweep, width: int, tmp_path: Path) -> None:
    assert sweep.command() == 0
    script = "const page = document.documentElement; return { wide: page.scrollWidth, room: page.clientWidth };"
    seen = visit((sweep.folder / "labels.html").as_uri(), script, tmp_path / f"labels-{width}.png", width)
    assert seen.errors == []
    assert seen.found["wide"] <= seen.found["room"]


@pytest.mark.slow
def test_a_real_sweep_and_its_confirmation_are_read(ray_address: str, tmp_path: Path) -> None:
    write_photos(tmp_path / "data")
    shared = ("--runs-dir", str(tmp_path / "runs"), "--address", ray_address)
    settings = {**LEARNED, "epochs": 3, "dataset": f"folder:{tmp_path / 'data'}", "noise": "given"}
    fixed = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in settings.items())
    space = "study: photos\nfixed:\n" + fixed + "arms: {learned: {method: learned}}\nsearch: {trials: 1}\n"
    (tmp_path / "photos.yaml").write_text(space)
    searched = run("harness.search", "--space", str(tmp_path / "photos.yaml"), *shared)
    assert searched.code == 0, searched.all
    first = run("harness.labels", "photos", "--runs-dir", str(tmp_path / "runs"))
    assert first.code == 0, first.all
    assert "Labels of one trial of the search" in first.out
    assert (tmp_path / "runs" / "photos" / "labels.html").is_file()
    confirmed = run("harness.confirm", "photos", "--seeds", "2", *shared)
    assert confirmed.code == 0, confirmed.all
    second = run("harness.labels", "photos", "--runs-dir", str(tmp_path / "runs"), "--json", str(tmp_path / "a.json"))
    assert second.code == 0, second.all
    assert json.loads((tmp_path / "a.json").read_text())["runs"] == 2
