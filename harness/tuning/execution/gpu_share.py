"""Check that a trial fits into its share of a GPU, before the first trial of a sweep.

Trials that share a GPU are limited to their share of its memory (`worker.runner.configure_process`): one that needs
more fails by itself. Without the limit, whichever trial allocated last would fail.
"""

import os
from typing import Any

import ray

from harness.space import CategoricalParameter, Resources, Space
from harness.space.base import Value
from harness.space.parameters import AnyParameter
from harness.tuning.cluster.address import ClusterError
from harness.tuning.cluster.capacity import remote_options

STEPS, EPOCHS = 2, 3
"""Model steps in an epoch of the check, and its epochs: from the fourth step on, steps are CUDA graphs."""


def check_share(space: Space, resources: Resources) -> None:
    """Train a trial of each arm, at the upper end of its parameters, for a few steps within its share of a GPU.

    Returns at once for whole GPUs, and where a trial that runs out of memory is tried with half the batch.

    Raises:
        ClusterError: memory ran out; says how much was needed.
    """
    if not 0 < (resources.gpu or 0) < 1 or resources.half_batch:
        return
    remote = ray.remote(**remote_options(resources), max_retries=0, max_calls=1)(_memory_error)
    configs = {arm.name: arm.config(arm.sample(_upper_end)).model_dump() for arm in space.arms}
    errors = {name: remote.remote(resources, os.getcwd(), config) for name, config in configs.items()}
    for name, reference in errors.items():
        error = ray.get(reference)
        if error:
            raise ClusterError(
                f"search.resources.gpu: expected a share that a trial fits into, got {resources.gpu:g}, and of the arm "
                f"'{name}' at the upper end of its parameters {error}; ask for more of a GPU, search smaller trials, "
                "or set half_batch"
            )


def _upper_end(name: str, parameter: AnyParameter) -> Value:
    """The largest value; the last of choices that are no numbers."""
    if not isinstance(parameter, CategoricalParameter):
        return parameter.high
    numbers = [choice for choice in parameter.choices if isinstance(choice, int | float)]
    return max(numbers) if len(numbers) == len(parameter.choices) else parameter.choices[-1]


def _memory_error(resources: Resources, working_dir: str, config: dict[str, Any]) -> str:
    """On a worker: train for a few steps; return the error if memory ran out."""
    from harness.training.config.run_config import RunConfig
    from harness.training.run import Run
    from harness.tuning.worker import runner

    runner.configure_process(resources, working_dir)
    short = {"label_warmup_epochs": 0, "train_size": STEPS * config["batch_size"], "epochs": EPOCHS}
    try:
        run = Run(RunConfig(**{name: short.get(name, value) for name, value in config.items()}))
        while not run.done:
            run.train_epoch()
    except Exception as error:  # trials report errors of other kinds
        if runner.is_out_of_memory(error):
            return f"memory ran out ({str(error).splitlines()[0]})"
    return ""
