"""A schedule of the label learning rate, found by population based training.

    python -m benchmarks.label_lr_schedule
    python -m benchmarks.label_lr_schedule --space digits_noise.yaml --arm learned --population 48

Every member of the population starts with a configuration drawn from the ranges of the space's arm, and trains for
40 epochs. Every `--interval` epochs the worse quarter takes up the checkpoints of the better quarter, with another
label_lr; other settings stay as drawn. It prints the best member's settings, as the `fixed` ones of an arm.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

import harness
from harness.space.arm import Arm

MOVING = "label_lr"
EPOCHS = 40


def find_schedule(arm: Arm, population: int, interval: int, folder: Path) -> tuple[dict[str, Any], float]:
    """Return the settings of the best member, with `changes`, and its last validation accuracy."""

    def draw(name: str) -> Any:
        return arm.parameters[name].quantile(random.random())

    def clip(config: dict[str, Any]) -> dict[str, Any]:
        low, high = arm.parameters[MOVING].ends
        config[MOVING] = min(max(config[MOVING], low), high)
        return config

    scheduler = PopulationBasedTraining(
        time_attr="epoch",
        perturbation_interval=interval,
        hyperparam_mutations={MOVING: lambda: draw(MOVING)},
        custom_explore_fn=clip,
        synch=True,
    )
    searched = {name: tune.sample_from(lambda _, name=name: draw(name)) for name in arm.parameters}
    searched["epochs"] = EPOCHS
    tuner = tune.Tuner(
        tune.with_resources(harness.SoftLabelTrainable, {"cpu": 1}),
        param_space={"method": arm.method, **arm.fixed, **searched},
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", num_samples=population, scheduler=scheduler, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="pbt", storage_path=str(folder), verbose=0),
    )
    best = tuner.fit().get_best_result(scope="last")
    policy = folder / "pbt" / f"pbt_policy_{best.metrics['trial_id']}.txt"
    settings = harness.read_pbt_policy(policy) if policy.exists() else {**best.config, "changes": ""}
    return {name: settings[name] for name in (*arm.parameters, "changes")}, best.metrics["val_accuracy"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_lr_schedule", description=__doc__.split("\n")[0])
    parser.add_argument("--space", default="digits_label_lr_schedule.yaml", help="a space file (default: the study's)")
    parser.add_argument("--arm", default="constant", help="its arm (default: constant)")
    parser.add_argument("--population", type=int, default=24, help="members (default 24)")
    parser.add_argument("--interval", type=int, default=4, help="epochs between two perturbations (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")
    parser.add_argument("--cpus", type=int, default=2, help="members trained at once (default 2)")
    options = parser.parse_args(arguments)
    (arm,) = (arm for arm in harness.load_space(options.space).arms if arm.name == options.arm)
    random.seed(options.seed)
    ray.init("local", num_cpus=options.cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        settings, accuracy = find_schedule(arm, options.population, options.interval, Path(folder))
    print(yaml.safe_dump({"fixed": settings}, sort_keys=False, width=1000))
    print(f"validation accuracy of one seed: {accuracy:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
