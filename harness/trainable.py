"""`SoftLabelTrainable`: one run as a plain Ray Tune Trainable, for a Tuner of your own.

    tuner = tune.Tuner(
        tune.with_resources(harness.SoftLabelTrainable, {"cpu": 1}),
        param_space={"epochs": 30, "noise": "symmetric", "noise_rate": 0.4, "label_lr": tune.loguniform(0.01, 1)},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max", num_samples=20, scheduler=ASHAScheduler()),
    )

It keeps no folder, journal or tracking of its own: searcher, scheduler, callbacks and storage are the Tuner's.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ray import tune

from harness.common.errors import InputError
from harness.space.errors.problems import Problem
from harness.space.errors.validation import describe
from harness.training.config.mid_run_changes import CHANGEABLE, format_changes
from harness.training.config.run_config import RunConfig, known_settings

CHECKPOINT = "checkpoint.pt"


class SoftLabelTrainable(tune.Trainable):  # type: ignore[misc]  # ray ships no types for it
    """Trains one configuration, an epoch a step.

    The config holds fields of `harness.RunConfig`, flat; what it lacks takes the default. A step's result is flat too:
    the metrics of `harness.training.metrics` (`val_accuracy`, `label_accuracy`, …) and `epoch`; `done` after the last.
    The test images are never opened.

    A checkpoint can be taken up under another config, as population based training does, if nothing differs but
    `CHANGEABLE` of `harness.training.config.mid_run_changes`: learning rates, momenta, decays, smoothing, the
    meta-interval, and how labels follow the model. Any other change fails the trial and is named. Actors can be reused
    (`reset_config`). A trial gets as many torch threads as it has CPUs.

    Raises:
        InputError: in `setup`, for a config that is not valid.
        DataError: in `setup`, if the data cannot serve the config.
        DivergenceError: in `step`, if a metric is no longer finite.
    """

    def setup(self, config: dict[str, Any]) -> None:
        import torch  # not at the top: the driver imports this module too

        from harness.training.run import Run

        resources = getattr(self.trial_resources, "required_resources", {})  # outside of a Tuner there are none
        torch.set_num_threads(max(1, int(resources.get("CPU", 1))))
        self.run = Run(parse_config(config))
        self.metrics: dict[str, Any] = {}

    def step(self) -> dict[str, Any]:
        if not self.run.done:  # the checkpoint of a finished trial may be taken up by another
            self.metrics = dict(self.run.train_epoch())
        return {**self.metrics, "epoch": self.run.epoch, "done": self.run.done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        from harness.tuning.worker import checkpoint

        checkpoint.save(Path(checkpoint_dir, CHECKPOINT), {"run": self.run.state_dict(), "metrics": self.metrics})

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        from harness.tuning.worker import checkpoint

        state, damages = checkpoint.load(Path(checkpoint_dir, CHECKPOINT))
        if state is None:
            raise InputError(
                "; ".join(damages) or f"{checkpoint_dir}: expected a checkpoint, got none; restore another"
            )
        self.run.load_state_dict(state["run"], CHANGEABLE)
        self.metrics = state["metrics"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


def read_pbt_policy(path: Path | str) -> dict[str, Any]:
    """Return fields of `RunConfig` that train one run as population based training trained the one of a policy file.

    `path` is a `pbt_policy_*.txt` of the Tuner's folder. What was changed in mid-run stands in the field `changes`, so
    the same schedule runs on another seed, in a space file, or in a confirmation. InputError if there is no such file.
    """
    from harness.tuning.cluster import ray_internals

    if not Path(path).is_file():
        raise InputError(
            f"{path}: expected a policy of population based training, got no such file; look for pbt_policy_*"
        )
    try:
        config, policy = ray_internals.read_pbt_policy(str(path))
    except ValueError as error:
        raise InputError(f"{path}: expected a policy of population based training, got: {error}") from error
    configs = [config, *(later for _, later in policy)]
    changes: dict[int, dict[str, Any]] = {}  # of a checkpoint that was taken up twice after one step, the last
    for (step, after), before in zip(policy, configs, strict=False):
        changed = {name: after[name] for name in CHANGEABLE if name in after and after[name] != before.get(name)}
        changes.setdefault(step, {}).update(changed)
    return {**config, "changes": format_changes(changes.items())}


def parse_config(config: dict[str, Any]) -> RunConfig:
    """Return the run's settings; InputError names every field that is not valid.

    Numbers of NumPy, which samplers return, become Python's.
    """
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}
    try:
        return RunConfig(**plain)
    except ValidationError as error:
        known = known_settings(plain.get("method", RunConfig.model_fields["method"].default))
        problems = [Problem(details["loc"], *describe(details, known)) for details in error.errors()]
        raise InputError("\n".join(map(str, problems))) from None
