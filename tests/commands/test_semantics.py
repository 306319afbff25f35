"""`python -m harness.semantics` on sweeps whose labels were written by hand, so that what they say is known."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.frames.class_similarity import superclass_table
from analysis.report.distillation_sections import class_similarity
from harness.results import Semantics
from harness.semantics.__main__ import main
from harness.semantics.references import superclasses
from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import SweepEnded, SweepStarted
from tests.commands.test_confirm import Sweep, pretended
from tests.support.results import configuration, confirmation

GROUPS = {"round": [0, 6, 8, 9], "straight": [1, 4, 7], "both": [2, 3, 5]}
IMAGES = 60


def rows(groups: dict[str, list[int]], seed: int = 0) -> np.ndarray:
    """Class labels that give classes of one group more than others, each pair a little different."""
    classes = sum(map(len, groups.values()))
    generator = np.random.default_rng(seed)
    likeness = 0.02 * superclass_table(groups, [str(c) for c in range(classes)]) + 0.01 * generator.random(
        (classes, classes)
    )
    np.fill_diagonal(likeness, 0)
    table: np.ndarray = likeness + np.diag(1 - likeness.sum(1))
    return table


def leave(folder: Path, table: np.ndarray, names: Sequence[str] = ()) -> None:
    """`labels.npz` as a run with these class labels leaves it."""
    given = np.arange(IMAGES) % len(table)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"labels": table[given].astype(np.float32), "given": given, "truth": given}
    np.savez(folder / "labels.npz", **arrays, class_names=np.array(names or [str(c) for c in range(len(table))]))


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Of the trials 0, 1, 2: learned, one_hot and label_smoothing."""
    made = pretended(tmp_path / "runs", "unused", "labels=class", "train_size=300")
    leave(made.folder / "trials" / "0", rows(GROUPS))
    leave(made.folder / "trials" / "1", np.eye(10))
    leave(made.folder / "trials" / "2", 0.8 * np.eye(10) + 0.02)
    return made


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    file = tmp_path / "groups.yaml"
    file.write_text(json.dumps(GROUPS))
    return file


def ask(sweep: Sweep, *arguments: str) -> int:
    return main(["label_lr", "--runs-dir", str(sweep.runs), *arguments])


def saved_result(sweep: Sweep) -> Semantics:
    return Semantics.load(sweep.folder)


def test_labels_that_follow_the_groups_are_said_to(
    sweep: Sweep, groups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(sweep, "--reference", f"superclasses:{groups}") == 0
    out = capsys.readouterr().out
    result = saved_result(sweep)
    assert result.significant
    assert result.sentence.startswith(
        "learned labels (learned-0) take the same classes to be alike as the superclasses: rank correlation 0.7"
    )
    assert re.search(r"over 45 pairs of 10 classes, p = 0\.00\d+, 1 run$", result.sentence)
    assert result.sentence in " ".join(out.split())
    assert all(len(line.rstrip()) <= 80 for line in out.split("all numbers:")[0].splitlines()), out
    learned = result.arms["learned"]
    assert learned.off_class_mass == pytest.approx(1 - np.diag(rows(GROUPS)).mean(), abs=1e-6)
    assert learned.symmetric.ci95[0] > 0
    assert learned.directed is None
    assert np.allclose(learned.table, rows(GROUPS))
    inside = {(i, j) for members in GROUPS.values() for i in members for j in members}
    assert {(i, j) for i, j, _ in learned.most_alike} <= inside
    assert result.reference.facts["groups"] == {name: [str(c) for c in members] for name, members in GROUPS.items()}
    flat = result.arms["label_smoothing"]
    assert (flat.symmetric.rho, flat.symmetric.p_value) == (None, None)
    assert flat.off_class_mass == pytest.approx(0.18)


def test_labels_of_other_groups_are_not(sweep: Sweep, groups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apart = {"a": [0, 1, 2], "b": [6, 4, 3], "c": [8, 7, 5], "d": [9]}
    leave(sweep.folder / "trials" / "0", rows(apart))
    assert ask(sweep, "--reference", f"superclasses:{groups}") == 0
    assert not saved_result(sweep).significant
    assert "not shown that learned labels (learned-0) take" in " ".join(capsys.readouterr().out.split())


def test_where_the_sweep_was_confirmed_all_seeds_of_the_preferred_one_are_read(sweep: Sweep, groups: Path) -> None:
    confirmation({"learned": configuration(0, [0.9] * 3)}).save(sweep.folder)
    for seed in range(3):
        leave(sweep.folder / "confirm" / "learned-0" / str(seed), rows(GROUPS, 1 + seed))
    assert ask(sweep, "--reference", f"superclasses:{groups}") == 0
    learned = saved_result(sweep).arms["learned"]
    assert learned.runs == len(learned.rho_by_run) == 3
    assert np.allclose(learned.table, np.mean([rows(GROUPS, 1 + seed) for seed in range(3)], axis=0))
    assert saved_result(sweep).arms["one_hot"].runs == 1


def test_models_of_the_reference_are_trained_once_on_seeds_of_their_own(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(sweep, "--reference", "model", "--models", "2") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reference:")]
    assert lines == ["reference: model 1 of 2, 3 epochs", "reference: model 2 of 2, 3 epochs"]
    first = saved_result(sweep)
    files = sorted((sweep.folder / "semantics").glob("model-*/predictions.json"))
    configs = [json.loads(file.read_text())["config"] for file in files]
    assert len({config["seed"] for config in configs} - {0}) == 2
    assert {(config["method"], config["noise"], config["train_size"]) for config in configs} == {
        ("one_hot", "none", 300)
    }
    # 1,438 images besides the test part, less 300 trained on and 150 of the meta set
    assert {json.loads(file.read_text())["images"] for file in files} == {988}
    table = np.array(first.reference.table)
    assert table.sum(1) == pytest.approx(np.ones(10))
    assert first.reference.facts["accuracy"] > 0.3
    assert first.arms["learned"].directed.pairs == 90
    shutil.rmtree(files[0].parent)  # as if the first session had been cut short
    kept = files[1].stat().st_mtime_ns
    assert ask(sweep, "--reference", "model", "--models", "2") == 0
    assert capsys.readouterr().out.count("reference: model") == 1
    assert files[1].stat().st_mtime_ns == kept
    assert saved_result(sweep) == first, "a model follows from its seed"


@pytest.mark.parametrize("part", ["training", "test"])
def test_people_s_votes_are_taken_where_the_data_have_them(part: str, tmp_path: Path) -> None:
    """Of the test part alone, as CIFAR-10H has them, where the images that may be trained on have none."""
    groups = {"a": [0, 3], "b": [1, 2, 4]}
    generator = np.random.default_rng(0)
    truth = np.arange(300) % 5
    votes = generator.multinomial(40, rows(groups, 5)[truth])
    file = tmp_path / "voted.npz"
    images = generator.integers(0, 255, (300, 8, 8), dtype=np.uint8)
    other = {"x": generator.integers(0, 255, (200, 8, 8), dtype=np.uint8), "y": truth[:200]}
    asked, rest = ("train", "test") if part == "training" else ("test", "train")
    arrays = {f"x_{asked}": images, f"y_{asked}": truth, f"reference_{asked}": votes}
    np.savez(file, **arrays, **{f"{name}_{rest}": array for name, array in other.items()})
    sizes = ("meta_size=20", "val_size=20", "noise=none", "noise_rate=0.0")
    sweep = pretended(tmp_path / "runs", "unused", "labels=class", f"dataset=npz:{file}", *sizes)
    leave(sweep.folder / "trials" / "0", rows(groups))
    assert ask(sweep) == 0
    result = saved_result(sweep)
    reference = result.reference
    assert (reference.kind, reference.facts["part"], reference.facts["images"]) == ("votes", part, 300)
    shares = votes / votes.sum(1, keepdims=True)
    assert np.allclose(result.reference.table[3], shares[truth == 3].mean(0), atol=1e-6)
    assert "as people's votes: rank correlation" in result.sentence


def test_what_cannot_be_compared_is_refused_and_leaves_nothing(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, odd, all_one = (tmp_path / name for name in ("wrong.yaml", "odd.yaml", "all_one.yaml"))
    wrong.write_text("a: [0, 1, 2]\nb: [2, 3]\n")
    odd.write_text("[shoes, hats]\n")
    all_one.write_text("a: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
    before = sorted(path for path in sweep.runs.rglob("*") if path.name != "driver.lock")
    for reference, said in (
        ("people", "--reference: expected one of votes, model, superclasses:FILE, got 'people'"),
        ("superclasses:", "--reference: expected one of votes, model, superclasses:FILE, got 'superclasses:'"),
        ("superclasses:none.yaml", "--reference: expected a YAML file of groups, got nothing at none.yaml"),
        (
            f"superclasses:{wrong}",
            "expected each of 10 classes in one group, got none or two for 2, 4, 5, 6, 7 and 2 more",
        ),
        (
            f"superclasses:{odd}",
            "expected NAME: [class, …] for each group, classes by their name or number, got something",
        ),
        (f"superclasses:{all_one}", "got 1 groups of 10 classes: all pairs are the same"),
        ("votes", "--reference votes: expected soft reference labels in digits, got none"),
    ):
        assert ask(sweep, "--reference", reference) == 2
        assert said in capsys.readouterr().err
    assert main(["label_rl", "--runs-dir", str(sweep.runs)]) == 2
    assert f"expected a sweep in {sweep.runs}/, got 'label_rl'; did you mean label_lr?" in capsys.readouterr().err
    shutil.rmtree(sweep.folder / "trials" / "0")
    assert ask(sweep) == 1
    assert "no arm has left labels yet" in capsys.readouterr().err
    after = sorted(path for path in sweep.runs.rglob("*") if path.name != "driver.lock")
    assert [path for path in before if "trials/0" not in str(path)] == after


ANIMALS = ["ape", "bat", "cat", "cow", "[dog]"]


def test_classes_are_named_in_the_groups_in_the_table_and_on_the_page(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {"wild": [0, 1], "tame": [2, 3, 4]}
    for trial in range(3):
        leave(sweep.folder / "trials" / str(trial), rows(groups), ANIMALS)
    file = tmp_path / "animals.yaml"
    file.write_text("wild: [ape, Bat]\ntame: [cat, cow, '[dog]']\n")
    assert ask(sweep, "--reference", f"superclasses:{file}") == 0
    result = saved_result(sweep)
    assert result.class_names == ANIMALS
    pairs = result.pairs_most_alike(result.arms["learned"], 2)
    assert re.fullmatch(r"\S+~\S+, \S+~\S+", pairs)
    assert pairs in " ".join(capsys.readouterr().out.split())
    assert "[dog]" in result.pairs_most_alike(result.arms["learned"], 5, " ~ ")
    assert result.pairs_most_alike(result.arms["learned"], 5, " ~ ") in str(class_similarity(result))
    file.write_text("wild: [ape, bat]\ntame: [cat, cow, hen]\n")
    assert ask(sweep, "--reference", f"superclasses:{file}") == 2
    assert "a class of ape, bat, cat, cow, [dog], got hen; correct the groups" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "truth", "words"),
    [
        (np.eye(2), None, "expected labels of 3 classes or more, got 2, which are one pair"),
        (np.eye(5), 4, "expected images of each of 5 classes, got none of [dog]; search with more images"),
    ],
)
def test_labels_without_an_order_of_classes_are_refused_in_words(
    table: np.ndarray, truth: int | None, words: str, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    for trial in range(3):
        leave(sweep.folder / "trials" / str(trial), table[:truth, :], ANIMALS[: len(table)])
    assert ask(sweep, "--reference", "model") == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_sweep_that_was_recorded_has_it_on_its_server(sweep: Sweep, groups: Path) -> None:
    with EventLog(sweep.folder / "spool") as spool:
        spool.append(SweepStarted(name="label_lr", tags={"study": "label_lr"}))
        spool.append(SweepEnded())
    assert ask(sweep, "--reference", f"superclasses:{groups}") == 0
    mlflow_sweep = MlflowReader(f"sqlite:///{sweep.runs / 'mlflow.db'}").sweep("label_lr")
    assert mlflow_sweep.tags["semantics"] == saved_result(sweep).sentence
    file = mlflow_sweep.artifact("semantics.json", sweep.runs.parent)
    assert Semantics.load(file).model_dump() == saved_result(sweep).model_dump()
    assert mlflow_sweep.state in ("complete", "paused")


def test_classes_in_a_file_of_groups_are_text_whatever_yaml_takes_them_for(tmp_path: Path) -> None:
    (tmp_path / "groups.yaml").write_text("a: [no, 010]\nb: [1:30, 1e3, ~]\n")
    reference = superclasses(tmp_path / "groups.yaml", ("010", "1:30", "1e3", "no", "~"))
    assert reference.facts["groups"] == {"a": ["no", "010"], "b": ["1:30", "1e3", "~"]}
    assert np.array_equal(reference.table, superclass_table({"a": [0, 3], "b": [1, 2, 4]}, "abcde"))
