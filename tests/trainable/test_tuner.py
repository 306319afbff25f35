"""`SoftLabelTrainable` in a Tuner with Ray's own schedulers, searchers, callbacks and restore."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    TrialScheduler,
)
from ray.tune.schedulers.pb2 import PB2

import harness
from harness.common.errors import InputError
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray, its searchers and MLflow warn of their own code
]

EPOCHS = 8
FIXED = {"noise": "symmetric", "noise_rate": 0.4, "epochs": EPOCHS, "width": 16, "meta_size": 50}
SEARCHED = {"label_lr": tune.loguniform(0.02, 1.0), "lr": tune.loguniform(0.05, 0.3)}
RESAMPLED = {**SEARCHED, "meta_interval": [1, 2, 3, 4]}


def make_tuner(folder: Path, trials: int = 4, space: dict[str, Any] | None = None, **options: Any) -> tune.Tuner:
    callbacks = options.pop("callbacks", None)
    return tune.Tuner(
        tune.with_resources(harness.SoftLabelTrainable, {"cpu": 1}),
        param_space=FIXED | SEARCHED | (space or {}),
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", num_samples=trials, reuse_actors=True, **options
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            name="own",
            verbose=0,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=3),
        ),
    )


SCHEDULERS: dict[str, Callable[[], TrialScheduler]] = {
    "ASHA": lambda: ASHAScheduler(time_attr="epoch", max_t=EPOCHS, grace_period=2, reduction_factor=2),
    "HyperBand": lambda: HyperBandScheduler(max_t=EPOCHS, reduction_factor=2),
    "median stopping": lambda: MedianStoppingRule(time_attr="epoch", grace_period=2, min_samples_required=2),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_that_stop_trials(tmp_path: Path, name: str) -> None:
    results = make_tuner(tmp_path, scheduler=SCHEDULERS[name]()).fit()
    assert not results.errors
    assert len(results) == 4
    epochs = [result.metrics["epoch"] for result in results]
    assert max(epochs) == EPOCHS
    assert all(result.metrics["training_iteration"] == epoch for result, epoch in zip(results, epochs, strict=True))
    assert results.get_best_result().metrics["val_accuracy"] > 0.6


def searcher(name: str) -> Any:
    if name == "Optuna":
        from ray.tune.search.optuna import OptunaSearch

        return OptunaSearch(seed=3)
    from ray.tune.search.hyperopt import HyperOptSearch

    return HyperOptSearch(random_state_seed=3)


@pytest.mark.parametrize("name", ["Optuna", "HyperOpt"])
def test_searchers_and_mlflow(tmp_path: Path, name: str) -> None:
    from mlflow.tracking import MlflowClient
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    logger = MLflowLoggerCallback(tracking_uri=uri, experiment_name="own", save_artifact=False)
    results = make_tuner(tmp_path, search_alg=searcher(name), callbacks=[logger]).fit()
    assert not results.errors
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    recorded = {float(run.data.params["label_lr"]): run.data.metrics["val_accuracy"] for run in runs}
    assert recorded == {result.config["label_lr"]: result.metrics["val_accuracy"] for result in results}


def pbt(resampled: dict[str, Any], **options: Any) -> PopulationBasedTraining:
    return PopulationBasedTraining(
        time_attr="epoch",
        perturbation_interval=2,
        quantile_fraction=0.5,
        hyperparam_mutations=resampled,
        **options,
    )


def perturbations(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """(epoch, new config) of each time that a trial took up another's checkpoint."""
    lines = [line for file in sorted(folder.glob("own/pbt_policy_*.txt")) for line in file.read_text().splitlines()]
    return [(record[2], record[5]) for record in map(json.loads, lines)]


def test_population_based_training_takes_up_checkpoints_under_changed_rates(tmp_path: Path) -> None:
    results = make_tuner(tmp_path, scheduler=pbt(RESAMPLED, synch=True), space={"meta_interval": 2}).fit()
    assert not results.errors
    assert [result.metrics["epoch"] for result in results] == [EPOCHS] * 4
    changed = perturbations(tmp_path)
    assert len(changed) >= 4
    rates = {config["label_lr"] for _, config in changed}
    assert {result.config["label_lr"] for result in results} & rates
    share = (1 + math.cos(math.pi * (EPOCHS - 1) / EPOCHS)) / 2  # of the rate, at the begin of the last epoch
    for result in results:
        assert 0 < result.metrics["lr"] < share * result.config["lr"]


def test_pb2(tmp_path: Path) -> None:
    scheduler = PB2(
        time_attr="epoch",
        perturbation_interval=2,
        quantile_fraction=0.5,
        hyperparam_bounds={"label_lr": [0.02, 1.0], "lr": [0.05, 0.3]},
    )
    results = make_tuner(tmp_path, scheduler=scheduler).fit()
    assert not results.errors
    assert perturbations(tmp_path)


def test_a_change_that_no_run_can_take_up_fails_its_trial_in_words(tmp_path: Path) -> None:
    results = make_tuner(tmp_path, scheduler=pbt({"width": [16, 24]}, resample_probability=1.0)).fit()
    assert results.errors
    for error in results.errors:
        assert "expected width 16 as in the saved run, got width 24; only label_decay, label_follow, label_lr" in str(
            error
        )
    assert any(result.metrics.get("epoch") == EPOCHS for result in results if not result.error)


def test_a_config_that_is_not_valid_fails_its_trial_in_words(tmp_path: Path) -> None:
    results = make_tuner(tmp_path, trials=2, space={"epochs": tune.grid_search([EPOCHS, -1])}).fit()
    assert len(results.errors) == 2
    assert all("epochs: expected a number of at least 1, got -1" in str(error) for error in results.errors)
    assert [result.metrics["epoch"] for result in results if not result.error] == [EPOCHS] * 2


class Recorder(tune.Callback):
    """Keeps the last result of each epoch. Ray's own result.json can lose rows when a paused trial goes on."""

    def __init__(self) -> None:
        self.results: dict[int, dict[str, Any]] = {}

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        self.results[result["epoch"]] = result


def steps(policy: Path) -> list[int]:
    return [json.loads(line)[3] for line in policy.read_text().splitlines()]


def test_a_policy_is_replayed_by_ray_and_as_a_configuration(tmp_path: Path) -> None:
    make_tuner(tmp_path, scheduler=pbt(RESAMPLED, synch=True), space={"meta_interval": 2}).fit()
    policies = {policy: steps(policy) for policy in tmp_path.glob("own/pbt_policy_*.txt")}
    # Ray's replay takes up the second of two changes after the same step one step late.
    distinct = [policy for policy, each in policies.items() if len({*each}) == len(each)]
    policy = max(distinct, key=lambda policy: len(policies[policy]))
    recorder = Recorder()
    tuner = tune.Tuner(
        tune.with_resources(harness.SoftLabelTrainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(scheduler=PopulationBasedTrainingReplay(str(policy)), reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="replayed", verbose=0, callbacks=[recorder]),
    )
    (result,) = tuner.fit()
    assert result.error is None

    config = harness.RunConfig(**harness.read_pbt_policy(policy))
    assert config.changes
    torch.set_num_threads(1)  # as the trial: sums over more threads differ in their last bit
    curve = harness.train(config)
    names = ("val_accuracy", "val_loss", "train_loss", "label_accuracy", "lr")
    replayed = [{name: recorder.results[epoch][name] for name in names} for epoch in range(1, EPOCHS + 1)]
    assert replayed == [{name: epoch[name] for name in names} for epoch in curve]
    assert harness.train(config.model_copy(update={"seed": 7})) != curve


def test_no_policy_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: expected a policy of population based training, got no such file"):
        harness.read_pbt_policy(tmp_path / "none")
    (tmp_path / "text").write_text("not JSON")
    with pytest.raises(InputError, match=r"text: expected a policy of population based training, got: Could not read"):
        harness.read_pbt_policy(tmp_path / "text")


KILLED = """
import sys
from pathlib import Path
import ray
from tests.trainable.test_tuner import make_tuner

ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
make_tuner(Path(sys.argv[1]), trials=6, space={"epochs": 30}).fit()
"""


def test_a_killed_tuner_is_restored(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, env=environment, start_new_session=True
    )
    until = time.monotonic() + 180
    while not list(tmp_path.glob("own/*/checkpoint_*/*")) and process.poll() is None:
        assert time.monotonic() < until, "no checkpoint was written"
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    restored = tune.Tuner.restore(
        str(tmp_path / "own"), tune.with_resources(harness.SoftLabelTrainable, {"cpu": 1}), resume_errored=True
    )
    results = restored.fit()
    assert not results.errors
    assert [result.metrics["epoch"] for result in results] == [30] * 6
