"""Settings of the data that a space searches: each value is a data set of its own, read, said and told apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.common.errors import InputError
from harness.results.sweep_data import SEARCHABLE, SweepData, example_configs, read_data
from harness.space import Space
from harness.training.data_summary import DATA_SETTINGS
from harness.training.errors import DataError
from harness.tuning.execution.failure_watch import SETTINGS_OF_DATA_ERRORS
from tests.training import data_files as files
from tests.training.conftest import empty_cache  # noqa: F401  (a fixture)
from tests.training.test_label_tables import write_images

pytestmark = pytest.mark.usefixtures("empty_cache")

SMALL = {"meta_size": 4, "val_size": 4, "width": 4, "epochs": 1}


def searched(fixed: dict[str, Any], **choices: list[Any]) -> Space:
    """A space of one arm that searches settings of the data, and its label rate."""
    parameters = {name: {"type": "categorical", "choices": values} for name, values in choices.items()}
    parameters["label_lr"] = {"type": "float", "low": 0.02, "high": 0.3}
    arm = {"method": "learned", "parameters": parameters}
    return Space.model_validate(
        {"study": "mine", "fixed": {**SMALL, **fixed}, "arms": {"learned": arm}, "search": {"trials": 2}}
    )


def write_npz(file: Path, seed: int = 0, **others: Any) -> str:
    np.savez(file, x_train=files.pictures(40, 6, 6, seed=seed), y_train=files.classes(40, 4), **others)
    return f"npz:{file}"


def two_files(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    return {}, [write_npz(folder / "a.npz"), write_npz(folder / "b.npz", seed=1)]


def two_roots(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    for name, size in (("a", 100), ("b", 60)):
        files.write_idx_set(folder / name / "MNIST", zipped=True, train=size)
    return {"dataset": "MNIST"}, [str(folder / "a"), str(folder / "b")]


def two_sizes(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    return {"dataset": write_npz(folder / "a.npz")}, [4, 8]


def two_keys(folder: Path, suffix: str = "") -> tuple[dict[str, Any], list[Any]]:
    labels = {"first": files.classes(40, 4), "second": np.roll(files.classes(40, 4), 1)}
    arrays = {f"{key}{suffix}": np.eye(4)[classes] if suffix else classes for key, classes in labels.items()}
    noise = {} if suffix else {"noise": "given"}
    return {"dataset": write_npz(folder / "a.npz", **arrays), **noise}, ["first", "second"]


WRITE: dict[str, Callable[[Path], tuple[dict[str, Any], list[Any]]]] = {
    "dataset": two_files,
    "data_root": two_roots,
    "image_size": two_sizes,
    "given_labels": two_keys,
    "reference_labels": lambda folder: two_keys(folder, "_train"),
}
"""Setting → what writes data, and returns the other settings and two values of this one."""


@pytest.mark.parametrize("setting", [name for name in DATA_SETTINGS if name != "require_given_labels"])
def test_each_value_of_a_setting_of_the_data_is_a_data_set_of_its_own(setting: str, tmp_path: Path) -> None:
    fixed, values = WRITE[setting](tmp_path)
    configs = list(example_configs(searched(fixed, **{setting: values})))
    data = read_data(configs)
    assert [getattr(summary, setting) for summary in data.data_sets] == values
    assert all(str(value) in " ".join(data.text.split()) for value in values), "each is named where it is said"
    digests = [data.digest(config) for config in configs]
    assert "" not in digests
    assert (len(set(digests)) == 2) == (setting != "image_size"), "the files are the same for each size"
    other = SweepData(data_sets=[data.data_sets[0], data.data_sets[1].model_copy(update={"digest": "0"})])
    assert [line.partition(": ")[2] for line in other.changes_from(data)] == [f"digest: {digests[1]}, now 0"]


def test_a_value_that_asks_for_a_row_of_each_image_is_tried_before_a_sweep(tmp_path: Path) -> None:
    folder = write_images(tmp_path, [f"train/{name}/{n}.png" for name in ("cat", "dog") for n in range(8)])
    (folder / "given.csv").write_text("image,class\ntrain/cat/0.png,dog\n")
    space = searched({"dataset": f"folder:{folder}", "noise": "given"}, require_given_labels=[False, True])
    with pytest.raises(DataError, match="a class for each of 16 training images, got none for 15"):
        read_data(example_configs(space))


def test_combinations_of_settings_are_read(tmp_path: Path) -> None:
    labels = {"first": files.classes(40, 4), "second": np.roll(files.classes(40, 4), 1)}
    names = [write_npz(tmp_path / "a.npz", **labels), write_npz(tmp_path / "b.npz", seed=1, **labels)]
    space = searched({"noise": "given"}, dataset=names, given_labels=["first", "second"])
    data = read_data(example_configs(space))
    assert len({summary.digest for summary in data.data_sets}) == 4


def test_all_lists_of_settings_of_the_data_are_one() -> None:
    assert {*WRITE, "require_given_labels"} == set(DATA_SETTINGS), "tested above"
    assert set(DATA_SETTINGS) <= set(SEARCHABLE)
    assert set(DATA_SETTINGS) <= SETTINGS_OF_DATA_ERRORS


NOISY = {"noise_rate": 0.3}
SEARCHED = {"noise_rate": [0.0, 0.2]}


@pytest.mark.parametrize(
    ("fixed", "choices", "words"),
    [
        (NOISY, {}, "noise_rate is not used, as noise is none; choose a noise, or remove the rate"),
        ({}, SEARCHED, "noise_rate is not used, as noise is none; choose a noise, or remove the rate"),
        ({"noise_map": "2>7"}, {}, "noise_map is not used, as noise is none; asymmetric noise has one"),
        ({**NOISY, "noise": "pair", "noise_map": "2>7"}, {}, "noise_map is not used, as noise is pair; asymmetric"),
        ({"noise": "symmetric"}, {}, "noise symmetric changes no label, as noise_rate is 0; set it"),
        ({**NOISY, "noise": "symmetric"}, {}, ""),
        ({"noise": "symmetric"}, SEARCHED, ""),
        (NOISY, {"noise": ["none", "symmetric"]}, ""),
        ({**NOISY, "noise": "asymmetric", "noise_map": "2>7"}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_settings_of_the_noise_that_no_run_uses_are_said(
    fixed: dict[str, Any], choices: dict[str, list[Any]], words: str
) -> None:
    unused = read_data(example_configs(searched(fixed, **choices))).unused
    assert len(unused) == bool(words)
    assert words in " ".join(unused)


def test_every_choice_of_a_model_is_looked_at_before_a_sweep() -> None:
    with pytest.raises(InputError, match=r"^model: expected the function network of a module that can be imported"):
        read_data(example_configs(searched({}, model=["mlp", "no_such_module:network"])))
