"""Methods, noises and data sets of a user's own: what is wrong with one is said before anything begins."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import harness
from harness.common.errors import HarnessError
from harness.results.sweep_data import read_data
from harness.space import SpaceError, parse
from harness.training.config.checks import check_config
from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.splits import load_splits
from harness.training.run import Run
from tests.conftest import run

METHODS = """
from typing import Literal
from pydantic import Field
from harness.training.methods import Method, MetaStepParameters, MethodParameters
from harness.training.methods.learned import LearnedLabels

class Good(Method):
    class Parameters(MethodParameters):
        own_rate: float = Field(default=0.5, ge=0, le=1, description="a rate")
        own_kind: Literal["a", "b"] = "a"

class Plain(Method): ...
class Slower(LearnedLabels): ...
class Meta(Method):
    class Parameters(MetaStepParameters):
        own_rate: float = 0.5
class Shadow(Method):
    class Parameters(MethodParameters):
        lr: float = 0.5
class Attribute(Method):
    class Parameters(MethodParameters):
        at_epoch: float = 0.5
class Metric(Method):
    class Parameters(MethodParameters):
        val_loss: float = 0.5
class NoDefault(Method):
    class Parameters(MethodParameters):
        own_rate: float
class WrongDefault(Method):
    class Parameters(MethodParameters):
        own_rate: float = Field(default=2.0, le=1)
class NotScalar(Method):
    class Parameters(MethodParameters):
        own_rates: list[float] = []
class NotParameters(Method):
    class Parameters:
        own_rate: float = 0.5
class NoMethod: ...
def function(): ...
"""

NOISES = """
import torch
def good(images, config, generator):
    return images.targets.roll(1)
def short(images, config, generator):
    return images.targets[:5]
def outside(images, config, generator):
    return images.targets + 1
def floats(images, config, generator):
    return images.targets.float()
def nothing(images, config, generator): ...
def in_place(images, config, generator):
    images.targets[:] = 0
    return images.targets
def raises(images, config, generator):
    return images.no_such_thing
"""

DATA = """
from pathlib import Path
import numpy as np
from harness import RawDataset, RawPart
rng = np.random.default_rng(0)
def part(n=400, classes=3, **more):
    return RawPart(rng.integers(0, 255, (n, 6, 5), dtype=np.uint8), np.arange(n) % 3, classes, **more)
def good(config):
    return RawDataset(part(), part(90), ("a", "b", "c"))
def given(config):
    return RawDataset(part(given=np.zeros(400, int)), None, ("a", "b", "c"))
def cached(config):
    with Path(config.data_root, "calls.txt").open("a") as file:
        file.write("x")
    return RawDataset(part(), None, ("a", "b", "c"))
cached.files = lambda config: [Path(config.data_root, "source.txt")]
def arrays(config):
    return np.zeros((5, 4)), np.zeros(5)
def nothing(config): ...
def classes(config):
    return RawDataset(part(), None, ("a", "b"))
def labels(config):
    return RawDataset(RawPart(rng.integers(0, 255, (9, 4, 4), dtype=np.uint8), np.full(9, 7), 3), None, ("a", "b", "c"))
def lists(config):
    return RawDataset(RawPart([[1, 2]], [0], 3), None, ("a", "b", "c"))
def raises(config):
    return open("/no/such/file")
def no_files(config):
    return good(config)
no_files.files = lambda config: 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the modules."""
    sources = {"own_methods": METHODS, "own_noises": NOISES, "own_data": DATA, "leaves": "raise SystemExit(3)"}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def space_of(method: str, **arm: object) -> str:
    return f"study: s\narms:\n  x: {{method: '{method}', fixed: {arm.get('fixed', '{}')}}}\n"


WRONG_METHODS = {
    "no_module:M": "which is in no module that can be found: no_module; start from the folder that holds it",
    "own_methods:Absent": "own_methods:Absent, which is not in own_methods; mend it",
    "own_methods:NoMethod": "expected a subclass of harness.training.methods.Method, got own_methods:NoMethod",
    "own_methods:function": "own_methods:function, which is a function; derive it from Method",
    "own_methods:Shadow": "got lr, which every run has already; rename it",
    "own_methods:Attribute": "got at_epoch, which every run has already; rename it",
    "own_methods:Metric": "got val_loss, which is a metric; rename it",
    "own_methods:NoDefault": "expected a valid default for each parameter of own_methods:NoDefault.Parameters",
    "own_methods:WrongDefault": "input should be less than or equal to 1 for own_rate; write NAME: TYPE = DEFAULT",
    "own_methods:NotScalar": "expected float, int, bool, str or Literal, got list for own_rates of",
    "own_methods:NotParameters": "expected a subclass of harness.training.methods.MethodParameters as",
    "leaves:M": "which raises SystemExit: 3, at leaves.py:1; keep what it does as a program under",
}


@pytest.mark.parametrize(("name", "words"), WRONG_METHODS.items())
def test_a_wrong_method_is_refused_at_its_line(name: str, words: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse(space_of(name), "own.yaml")
    assert str(caught.value).startswith("own.yaml:3: arms.x.method: expected ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_of_an_own_method_are_keys_of_its_arms_alone() -> None:
    space = parse(
        "study: s\nparameters: {own_rate: {type: float, low: 0.1, high: 0.9}}\nconstraints: ['own_rate * lr <= 1']\n"
        "arms:\n  x: {method: 'own_methods:Good', fixed: {own_kind: b}}\n  y: {method: one_hot}\n"
    )
    own, one_hot = space.arms
    assert own.fixed["own_kind"] == "b"
    assert own.parameters.keys() == {"own_rate"}
    assert own.config({"own_rate": 0.3}).model_dump()["own_rate"] == 0.3
    assert not {"own_rate", "own_kind", "label_lr"} & {*one_hot.fixed, *one_hot.parameters}


@pytest.mark.parametrize(
    ("method", "fixed", "words"),
    [
        ("own_methods:Good", "{own_rate: 2.0}", "own_rate: expected a number of at most 1, got 2.0"),
        ("own_methods:Good", "{own_kind: c}", "own_kind: expected one of a, b, got the string 'c'"),
        ("own_methods:Good", "{own_rat: 0.2}", "own_rat: expected a known key, got the unknown key own_rat; did you"),
        ("own_methods:Good", "{gce_q: 0.2}", "got gce_q, a parameter of gce; remove it, or choose that method"),
        ("one_hot", "{label_lr: 0.2}", "expected a setting of every run or of one_hot, got label_lr, a parameter of"),
    ],
)
def test_values_of_parameters_are_checked(method: str, fixed: str, words: str) -> None:
    with pytest.raises(SpaceError, match=r"^own\.yaml:3: arms\.x\.fixed") as caught:
        parse(space_of(method, fixed=fixed), "own.yaml")
    assert words in str(caught.value)


def test_a_configuration_is_flat_frozen_and_crosses_process_boundaries() -> None:
    config = harness.RunConfig(method="own_methods:Good", own_rate=1)
    assert (config.own_rate, config.own_kind) == (1.0, "a")  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(pickle.loads(pickle.dumps(config))) == hash(config)
    assert config != config.model_copy(update={"own_rate": 0.5})
    assert "own_rate" not in config.model_copy(update={"method": "elr"}).model_dump()
    with pytest.raises(ValidationError):
        config.own_rate = 0.5  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match="a parameter of learned"):
        harness.RunConfig(method="own_methods:Good", label_lr=0.5)


@pytest.mark.parametrize("name", ["Good", "Plain", "Slower", "Meta"])
def test_an_own_method_trains(name: str) -> None:
    run = Run(RunConfig(method=f"own_methods:{name}", width=8, epochs=2, train_size=200))
    first, second = run.train_epoch(), run.train_epoch()
    assert second["train_loss"] < first["train_loss"]
    assert hasattr(run.method.parameters, "label_lr") == (name == "Slower")


WRONG_NOISES = {
    "short": "to 9, the noisy class of each image, got torch.int64 [5]; return a tensor of classes",
    "outside": "got 1 to 10; stay within them",
    "floats": "got torch.float32 [1038]; return a tensor of classes",
    "nothing": "got a NoneType; return a tensor of classes",
    "in_place": "expected images.targets as they were, got others; change a clone of them",
    "raises": "got the error AttributeError: 'Images' object has no attribute 'no_such_thing', at own_noises.py:",
    "absent": "which has no absent; mend it",
}


@pytest.mark.parametrize(("name", "words"), WRONG_NOISES.items())
def test_a_wrong_noise_is_refused(name: str, words: str) -> None:
    with pytest.raises(HarnessError) as caught:
        read_data([RunConfig(noise=f"own_noises:{name}", noise_rate=0.4)])
    assert words in str(caught.value)
    assert str(caught.value).startswith("noise")


def test_an_own_noise_corrupts_the_training_labels_alone() -> None:
    config = RunConfig(noise="own_noises:good")
    assert read_data([config]).data_sets
    splits = load_splits(config)
    assert torch.equal(splits.noisy, splits.train.targets.roll(1))


WRONG_DATA = {
    "arrays": "expected a harness.RawDataset, got a tuple; return RawDataset(train, test, class_names)",
    "nothing": "expected a harness.RawDataset, got a NoneType",
    "classes": "train: expected a harness.RawPart of 2 classes, as class_names has, got one of 3 classes",
    "labels": "dataset own_data:labels: train: true classes",
    "lists": "expected NumPy arrays of images and labels in train, got the error",
    "raises": "got the error FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file', at own_data.py:",
    "no_files": "expected a list of paths from own_data:no_files.files, got the error TypeError",
    "absent": "dataset: expected a data set, or a function that returns a harness.RawDataset, got own_data:absent",
}


@pytest.mark.parametrize(("name", "words"), WRONG_DATA.items())
def test_a_wrong_data_set_is_refused(name: str, words: str) -> None:
    with pytest.raises(HarnessError) as caught:
        read_data([RunConfig(dataset=f"own_data:{name}")])
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_an_own_data_set_is_read_summarised_and_may_have_given_labels() -> None:
    config = RunConfig(dataset="own_data:given", noise="given", meta_size=30, val_size=30)
    assert check_config(config) == []
    summary = load_summary(config)
    assert summary.class_names == ["a", "b", "c"]
    assert summary.text.startswith("data: own_data:given · 400 images")
    assert load_splits(config).noisy.unique().tolist() == [0]
    assert load_summary(RunConfig(dataset="own_data:good")).shape == [1, 6, 5]


def test_an_own_data_set_that_names_its_files_is_cached_until_one_or_its_module_changes(here: Path) -> None:
    config = RunConfig(dataset="own_data:cached", data_root=str(here))
    (here / "source.txt").write_text("1")
    for change, calls in ((None, 1), (None, 1), ("source.txt", 2), ("own_data.py", 3), (None, 3)):
        if change:
            (here / change).write_text((here / change).read_text() + "\n# changed\n")
        load_summary(config)
        assert len((here / "calls.txt").read_text()) == calls


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("arms.learned.method=leaves:M", "arms.learned.method: expected a method, or a subclass of"),
        ("dataset=own_data:arrays", "expected a harness.RawDataset, got a tuple"),
        ("noise=own_noises:short", "got torch.int64 [5]; return a tensor of classes"),
    ],
)
def test_a_sweep_is_refused_and_leaves_nothing(here: Path, override: str, words: str) -> None:
    (here / "s.yaml").write_text("study: s\narms: {learned: {method: learned}}\nsearch: {trials: 1}\n")
    before = {path.name for path in here.iterdir()} | {"cache", "__pycache__"}
    result = run("harness.search", "--space", "s.yaml", "--set", override, "--runs-dir", "runs", cwd=here)
    assert result.code == 2, result.all
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert {path.name for path in here.iterdir()} <= before


def test_arrays_of_an_own_data_set_reach_a_run() -> None:
    config = RunConfig(dataset="own_data:good", method="one_hot", meta_size=30, val_size=30, epochs=1, width=4)
    assert np.isfinite(Run(config).train_epoch()["train_loss"])
