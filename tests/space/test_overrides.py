"""`--set key=value`, as a user types it."""

from collections.abc import Callable

import pytest

from harness.space import FloatParameter, IntParameter, Space, dump, parse
from harness.space.strategies import Median, NoPruner, Random, Tpe

Loaded = Callable[..., Space]


def test_a_dotted_path_changes_one_place(loaded: Loaded) -> None:
    changed = loaded(overrides=["arms.learned.parameters.label_lr.high=3", "search.trials=12", "study=other"])
    assert changed.arm("learned").parameters["label_lr"] == FloatParameter(low=0.01, high=3.0, log=True)
    assert changed.search.trials == 12
    assert changed.study == "other"


def test_a_section_that_the_file_lacks_is_made(loaded: Loaded) -> None:
    changed = loaded(
        overrides=[
            "search.sampler.type=tpe",
            "search.sampler.startup_trials=3",
            "objective={metric: val_loss}",
            "objective.direction=minimize",
        ]
    )
    assert changed.search.sampler == Tpe(startup_trials=3)
    assert changed.objective.direction == "minimize"


def test_several_objectives_take_the_place_of_one_and_the_other_way_round(loaded: Loaded) -> None:
    one = "objective={metric: val_loss}"
    several = "objectives=[{metric: val_accuracy}, {metric: val_calibration_error}, {metric: epochs}]"
    space = loaded(overrides=[one, several])
    assert [str(objective) for objective in space.objectives] == [
        "maximize val_accuracy",
        "minimize val_calibration_error",
        "minimize epochs",
    ]
    assert space.search.pruner == NoPruner(), "nobody asked for one, and several cannot be pruned"
    assert parse(dump(space)) == space
    assert [str(objective) for objective in loaded(overrides=[several, one]).objectives] == ["minimize val_loss"]


@pytest.mark.parametrize("override", ["lr=0.3", " lr = 0.3", "weight_decay=0.3"])
def test_a_bare_setting_is_fixed_for_every_arm_and_searched_in_none(loaded: Loaded, override: str) -> None:
    name = override.partition("=")[0].strip()
    for arm in loaded(overrides=[override]).arms:
        assert arm.fixed[name] == 0.3
        assert name not in arm.parameters


def test_a_bare_parameter_of_a_method_is_fixed_in_the_arms_of_that_method(loaded: Loaded) -> None:
    learned, one_hot = loaded(overrides=["label_lr=0.3"]).arms
    assert learned.fixed["label_lr"] == 0.3
    assert "label_lr" not in {**learned.parameters, **one_hot.fixed, **one_hot.parameters}


def test_a_bare_setting_goes_before_an_arms_own_fixed(loaded: Loaded) -> None:
    space = loaded("method: learned", "method: learned\n    fixed: {epochs: 7}", ["epochs=3"])
    assert [arm.fixed["epochs"] for arm in space.arms] == [3, 3]


def test_a_setting_now_fixed_is_tried_first_in_no_point(loaded: Loaded) -> None:
    file = "method: learned\n    points: [{label_lr: 1.0, meta_interval: 2}]"
    assert loaded("method: learned", file, ["label_lr=0.3"]).arm("learned").points == ({"meta_interval": 2},)


def test_a_key_of_search_needs_no_path_unless_it_is_also_a_setting(loaded: Loaded) -> None:
    space = loaded(overrides=["trials=7", "sampler=random", "seed=3"])
    assert (space.search.sampler, space.search.seed, space.arms[0].fixed["seed"]) == (Random(), 0, 3)


def test_another_type_of_pruner_drops_the_options_of_the_first(loaded: Loaded) -> None:
    space = loaded(new="  pruner: {type: hyperband, max_epochs: 9}\n", overrides=["search.pruner.type=median"])
    assert space.search.pruner == Median()


def test_another_type_of_parameter_keeps_its_bounds(loaded: Loaded) -> None:
    space = loaded(overrides=["parameters.epochs={type: float, low: 2, high: 9}", "parameters.epochs.type=int"])
    assert space.arm("learned").parameters["epochs"] == IntParameter(low=2, high=9)


def test_later_overrides_go_before_earlier_ones(loaded: Loaded) -> None:
    assert loaded(overrides=["trials=7", "search.trials=9"]).search.trials == 9


def test_overrides_change_what_a_sweep_left_behind(loaded: Loaded) -> None:
    assert parse(dump(loaded()), "space.yaml", ["lr=0.3"]) == loaded(overrides=["lr=0.3"])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("labl_lr=3", "--set labl_lr=3: labl_lr: expected a key of the space file or a setting, got the unknown key "
         "labl_lr; did you mean label_lr?"),
        ("trails=3", "--set trails=3: trails: expected a key of the space file or a setting, got the unknown key "
         "trails; did you mean trials?"),
        ("arms.leanred.fixed.lr=3", "--set arms.leanred.fixed.lr=3: arms.leanred.fixed.lr: expected one of the arms, "
         "got leanred; did you mean learned?"),
        ("search.trails=3", "--set search.trails=3: search.trails: expected a known key, got the unknown key trails; "
         "did you mean trials?"),
        ("label_lr='1e-3'", "--set label_lr='1e-3': fixed.label_lr: expected a number, got the string '1e-3'; write "
         "0.001"),
        ("label_lr=", "--set label_lr=: fixed.label_lr: expected a number, got nothing; write a number"),
        ("label_lr", "--set label_lr: expected key=value, got something else; write --set label_lr=0.3"),
        ("label_lr=[", "--set label_lr=[: fixed.label_lr: expected readable YAML, got '<stream end>'; check the "
         "quotes, brackets, colons and indentation (spaces, not tabs)"),
        ("study.name=3", "--set study.name=3: study.name: expected a path through mappings, got something else at "
         "study; set the whole of that key"),
        ("method=one_hot", "--set method=one_hot: method: expected a setting, got method, which is an arm's own; name "
         "the arm: arms.NAME.method=…"),
        ("study=a/../b", "--set study=a/../b: study: expected letters, digits and . _ - only, a letter or digit first, "
         "got the string 'a/../b'; choose another name"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_reported_as_typed(problems: Callable[..., list[str]], override: str, line: str) -> None:
    assert problems(overrides=[override]) == [line]


def test_a_path_with_a_number_sign_is_not_cut_at_it(loaded: Loaded, problems: Callable[..., list[str]]) -> None:
    assert loaded(overrides=["dataset='folder:set #2'"]).arms[0].fixed["dataset"] == "folder:set #2"
    [line] = problems(overrides=["dataset=folder:set #2"])
    assert line.endswith("got ' #', which begins a comment; write dataset='\"…\"', quotes within quotes")
