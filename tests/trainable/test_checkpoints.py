"""`SoftLabelTrainable` without a Tuner: results, checkpoints, and checkpoints taken up under another config."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import harness
from harness.common.errors import InputError
from harness.trainable import parse_config
from harness.training.config.mid_run_changes import CHANGEABLE
from harness.training.run import Run

CONFIG = {"noise": "symmetric", "noise_rate": 0.4, "epochs": 4, "model": "mlp", "width": 16, "meta_size": 50}
OTHER: dict[str, Any] = {
    "lr": 0.02,
    "weight_decay": 0.0,
    "momentum": 0.5,
    "label_lr": 0.3,
    "label_momentum": 0.9,
    "label_decay": 0.1,
    "label_smoothing": 0.2,
    "label_follow": 0.3,
    "label_sharpen": 2.0,
    "meta_interval": 3,
}


@pytest.fixture
def make() -> Any:
    return lambda **config: harness.SoftLabelTrainable({**CONFIG, **config})


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name in METRICS}


METRICS = ("epoch", "val_accuracy", "val_loss", "train_loss", "meta_loss", "label_accuracy", "lr", "done")


def curve(trainable: Any) -> list[dict[str, Any]]:
    results = [trainable.train()]
    while not results[-1]["done"]:
        results.append(trainable.train())
    return [without_times(result) for result in results]


def test_a_step_is_an_epoch_with_the_metrics_of_a_run(make: Any) -> None:
    results = curve(make())
    expected = harness.train(harness.RunConfig(**CONFIG))
    assert [result.pop("epoch") for result in results] == [1, 2, 3, 4]
    assert [result.pop("done") for result in results] == [False, False, False, True]
    assert results == [{name: metrics[name] for name in METRICS if name in metrics} for metrics in expected]


def test_a_restored_trial_goes_on_bit_for_bit(make: Any, tmp_path: Path) -> None:
    whole, first, second = make(), make(), make()
    expected = curve(whole)
    begun = [without_times(first.train()) for _ in range(2)]
    first.save_checkpoint(str(tmp_path))
    second.load_checkpoint(str(tmp_path))
    assert begun + curve(second) == expected


def test_the_checkpoint_of_a_finished_trial_gives_its_last_result_again(make: Any, tmp_path: Path) -> None:
    first, second = make(), make(lr=0.01)
    last = curve(first)[-1]
    first.save_checkpoint(str(tmp_path))
    second.load_checkpoint(str(tmp_path))
    assert without_times(second.train()) == last


def test_every_changeable_setting_is_taken_up_from_a_checkpoint(make: Any, tmp_path: Path) -> None:
    assert set(OTHER) == set(CHANGEABLE)
    trial = make()
    trial.train()
    trial.save_checkpoint(str(tmp_path))
    unchanged = make()
    unchanged.load_checkpoint(str(tmp_path))
    expected = without_times(unchanged.train())
    for name, value in OTHER.items():
        beside = {"label_smoothing": {"label_decay": 0.05}, "label_sharpen": {"label_follow": 0.3}}
        changed = make(**{name: value} | beside.get(name, {}))
        changed.load_checkpoint(str(tmp_path))
        result = [without_times(changed.train()) for _ in range(3)][-1]
        assert changed.run.config.model_dump()[name] == value
        assert result != expected, name


def test_the_optimiser_and_labels_go_on_with_the_state_of_the_checkpoint(make: Any, tmp_path: Path) -> None:
    trial, other = make(), make(**OTHER)
    trial.train()
    trial.save_checkpoint(str(tmp_path))
    other.load_checkpoint(str(tmp_path))
    assert other.run.epoch == 1
    assert torch.equal(other.run.soft_labels, trial.run.soft_labels)
    for ours, theirs in zip(other.run.model.parameters(), trial.run.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    (group,) = other.run.optimizer.param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0.0)


@pytest.mark.parametrize("change", [{"width": 32}, {"seed": 1}, {"method": "elr"}, {"batch_size": 32}, {"epochs": 9}])
def test_other_changes_are_refused_in_words(make: Any, tmp_path: Path, change: dict[str, Any]) -> None:
    trial, other = make(), make(**change)
    trial.train()
    trial.save_checkpoint(str(tmp_path))
    before = other.run.state_dict()["epoch"]
    (name, value) = next(iter(change.items()))
    with pytest.raises(ValueError, match=rf"expected {name} .* as in the saved run, got {name} {value!r}; only .*lr"):
        other.load_checkpoint(str(tmp_path))
    assert other.run.epoch == before


def test_a_config_that_is_not_valid_names_every_field() -> None:
    with pytest.raises(InputError) as caught:
        parse_config({"lr": -1.0, "label_learning_rate": 0.1, "meta_interval": 2.5})
    text = str(caught.value)
    assert "lr: expected a number above 0, got -1.0" in text
    assert "label_learning_rate: expected a known key" in text
    assert "meta_interval: expected a whole number, got the number 2.5" in text


def test_numbers_of_numpy_are_those_of_python() -> None:
    import numpy as np

    config = parse_config({"lr": np.float64(0.25), "meta_interval": np.int64(3), "nesterov": np.bool_(True)})
    assert config == harness.RunConfig(lr=0.25, meta_interval=3, nesterov=True)


def test_a_run_itself_takes_up_no_other_config() -> None:
    state = Run(harness.RunConfig(**CONFIG)).state_dict()
    with pytest.raises(ValueError, match=r"expected lr 0\.05 as in the saved run, got lr 0\.1$"):
        Run(harness.RunConfig(**CONFIG | {"lr": 0.1})).load_state_dict(state)


def test_a_policy_of_population_based_training_becomes_changes(tmp_path: Path) -> None:
    configs = [{"epochs": 9, "lr": 0.1}, {"epochs": 9, "lr": 0.2}, {"epochs": 9, "lr": 0.3}, {"epochs": 9, "lr": 0.25}]
    records = [["b", "a", 2, 2, configs[0], configs[1]], ["c", "b", 4, 4, configs[1], configs[2]]]
    records.append(["d", "c", 4, 4, configs[2], configs[3]])  # after the same step again
    policy = tmp_path / "pbt_policy_1.txt"
    policy.write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = harness.read_pbt_policy(policy)
    assert settings == {**configs[0], "changes": "2: lr=0.2; 4: lr=0.25"}
    assert harness.RunConfig(**settings).at_epoch(5).lr == 0.25
