"""What a space file becomes."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from harness.space import CategoricalParameter, FloatParameter, IntParameter, Space, SpaceError, load
from harness.space.errors.problems import Origin
from harness.space.yaml_file.core_schema import CoreDumper, CoreLoader
from harness.space.yaml_file.reader import read
from harness.training.config.run_config import RunConfig, setting_fields


def test_shared_settings_and_parameters_reach_every_arm(loaded: Callable[..., Space]) -> None:
    space = loaded()
    assert [arm.name for arm in space.arms] == ["learned", "one_hot"]
    assert all(arm.fixed["noise_rate"] == 0.4 for arm in space.arms)
    lr = FloatParameter(low=0.01, high=0.5, log=True)
    assert all(arm.parameters["lr"] == lr for arm in space.arms)
    assert space.arm("learned").parameters["meta_interval"] == IntParameter(low=1, high=8)


def test_fixed_and_searched_settings_are_together_all_there_are(loaded: Callable[..., Space]) -> None:
    for arm in loaded().arms:
        assert arm.fixed.keys() | arm.parameters.keys() | {"method"} == setting_fields([arm.method]).keys()
        assert not arm.fixed.keys() & arm.parameters.keys()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("fixed: {lr: 0.3}", 0.3),
        ("parameters: {lr: {type: categorical, choices: [0.1, 1]}}", CategoricalParameter),
    ],
)
def test_what_an_arm_says_goes_before_what_is_shared(loaded: Callable[..., Space], own: str, expected: object) -> None:
    arm = loaded("search:", f"  second: {{method: one_hot, {own}}}\nsearch:").arm("second")
    assert arm.fixed.get("lr") == expected or isinstance(arm.parameters.get("lr"), expected)  # type: ignore[arg-type]
    assert ("lr" in arm.fixed) != ("lr" in arm.parameters)


def test_baselines_train_on_the_meta_set_by_default(loaded: Callable[..., Space]) -> None:
    assert [arm.fixed["train_on_meta"] for arm in loaded().arms] == [False, True]
    space = loaded("method: one_hot", "method: one_hot\n    fixed: {train_on_meta: false}")
    assert [arm.fixed["train_on_meta"] for arm in space.arms] == [False, False]


def test_a_config_holds_fixed_and_searched_values(loaded: Callable[..., Space]) -> None:
    config = loaded().arm("learned").config({"lr": 0.2, "label_lr": 3.0, "meta_interval": 4})
    assert config == RunConfig(
        method="learned", noise="symmetric", noise_rate=0.4, lr=0.2, label_lr=3.0, meta_interval=4
    )


@pytest.mark.parametrize("params", [{"lr": 0.2}, {"lr": 0.2, "epochs": 3, "width": 4}, {"lr": 0.2, "epochs": 0}])
def test_a_config_is_refused_other_than_the_arms_own_values(
    loaded: Callable[..., Space], params: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"one_hot expects|greater than"):
        loaded().arm("one_hot").config(params)


def test_trials_are_shared_evenly_with_the_remainder_to_the_first(loaded: Callable[..., Space]) -> None:
    assert loaded().trials_per_arm() == {"learned": 3, "one_hot": 2}
    assert loaded(overrides=["trials=1"]).trials_per_arm() == {"learned": 1, "one_hot": 0}


def test_the_name_of_a_sampler_stands_for_its_mapping(loaded: Callable[..., Space]) -> None:
    by_name = loaded(new="  sampler: random\n")
    assert loaded("sampler: random", "sampler: {type: random}") == by_name


@pytest.mark.parametrize("name", ["small", "small.yaml", "search_spaces/small.yaml"])
def test_a_bare_name_is_found_in_search_spaces(space_file: Path, name: str) -> None:
    folder = space_file.parent / "search_spaces"
    folder.mkdir()
    space_file.rename(folder / "small.yaml")
    assert load(name).study == "small"


def test_the_current_folders_spaces_go_before_the_packages_own(space_file: Path) -> None:
    assert load("label_lr").study == "label_lr"
    (space_file.parent / "search_spaces").mkdir()
    space_file.rename(space_file.parent / "search_spaces" / "label_lr.yaml")
    assert load("label_lr").study == "small"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("labl_lr", "did you mean label_lr?"),
        ("nowhere/label_lr.yaml", "did you mean label_lr?"),
        ("", "got Is a directory"),
        (".", "got Is a directory"),
        ("/dev/null", "got nothing"),
        ("a\0b", "nothing of that name"),
        ("x" * 5000, "name too long"),
    ],
)
def test_a_file_that_is_not_there_is_refused_in_one_line(space_file: Path, name: str, said: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        load(name)
    assert said.lower() in str(refusal.value).lower()
    assert len(refusal.value.problems) == 1
    assert len(str(refusal.value)) < 400


CODE = (
    "import sys, time; start = time.perf_counter()\n"
    "from harness.space import load; load('label_lr')\n"
    "assert not {'torch', 'ray', 'optuna', 'mlflow', 'sklearn', 'numpy'} & sys.modules.keys()\n"
    "print(time.perf_counter() - start)"
)


def load_seconds() -> float:
    return float(subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True).stdout)


def test_loading_needs_no_framework() -> None:
    load_seconds()


@pytest.mark.alone
def test_loading_is_quick() -> None:
    assert min(load_seconds() for _ in range(3)) < 1.0  # 0.2 s on an idle core


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1e-3", 0.001),
        ("1E-5", 1e-5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+.5e1", 5.0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-010", -10),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        *(
            (word, word)
            for word in ("1_000", "1:30", "0b1", "2020-01-01", "yes", "No", "on", "off", "y", "1e", ".", "=")
        ),
        ("True", True),
        ("false", False),
        ("~", None),
        ("NULL", None),
        ("'010'", "010"),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(written: str, expected: object) -> None:
    source = read(f"key: {written}", lambda line: Origin("file", line))
    assert source.problems == []
    assert source.data == {"key": expected}
    assert type(source.data["key"]) is type(expected)
    assert yaml.load(yaml.dump(source.data, Dumper=CoreDumper), CoreLoader) == source.data
    if isinstance(expected, str):  # quoted where YAML 1.1, as other tools read it, has another meaning
        assert yaml.safe_load(yaml.dump(source.data, Dumper=CoreDumper)) == source.data


def test_numbers_with_exponents_and_leading_zeros_reach_the_arms(loaded: Callable[..., Space]) -> None:
    space = loaded("noise_rate: 0.4", "width: 010\n  weight_decay: 1e-3", overrides=["label_lr=5E-2"])
    assert [space.arm("learned").fixed[name] for name in ("width", "weight_decay", "label_lr")] == [10, 0.001, 0.05]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_any_line_ending_change_nothing(
    ending: str, space_file: Path, loaded: Callable[..., Space]
) -> None:
    space, text = loaded(), space_file.read_text(encoding="utf-8")
    space_file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", ending).encode())
    assert load("small.yaml") == space
