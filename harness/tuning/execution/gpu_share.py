"""Several trials on one GPU: each within its share of the memory, and the share tried before the first trial.

A process that asks a device for more than is left takes it from nobody, and fails; which one of several asks last is
chance. So each is held to its share: who needs more fails by itself, and its neighbours live. Beside what torch
allocates, CUDA holds some memory for each process, which is taken off the share.
"""

from typing import Any

import ray

from harness.space import CategoricalParameter, Resources, Space
from harness.space.parameters import AnyParameter, Value
from harness.tuning.cluster.address import ClusterError
from harness.tuning.cluster.cluster import remote_options
from harness.tuning.worker.options import WorkerOptions

STEPS = 2
"""Model steps of a trial of the share: the second finds the optimiser's state there."""


def check_share(space: Space, need: Resources) -> None:
    """Return if a trial of each arm, at the upper end of its parameters, fits into its share of a GPU.

    Only shares of less than one GPU are tried, all arms at once, each on a worker as trials get one; where a trial
    whose memory runs out is tried again with half the batch, none is.

    Raises:
        ClusterError: one does not; says how much it needs.
    """
    options = WorkerOptions.from_resources(need)
    if not 0 < options.gpu < 1 or options.half_batch:
        return
    asked = ray.remote(**remote_options(need), max_retries=0, max_calls=1)(_tried)
    tried = {arm.name: asked.remote(options, arm.config(arm.draw(_upper)).model_dump()) for arm in space.arms}
    for name, trial in tried.items():
        problem = ray.get(trial)
        if problem:
            raise ClusterError(
                f"search.resources.gpu: expected a share that a trial fits into, got {options.gpu:g}, and of the arm "
                f"'{name}' at the upper end of its parameters {problem}; ask for more of a GPU, search "
                "smaller trials, or set half_batch"
            )


def _upper(name: str, parameter: AnyParameter) -> Value:
    """Of numbers the largest; of names, which have no order, the last."""
    if not isinstance(parameter, CategoricalParameter):
        return parameter.high
    numbers = [choice for choice in parameter.choices if isinstance(choice, int | float)]
    return max(numbers) if len(numbers) == len(parameter.choices) else parameter.choices[-1]


def _tried(options: WorkerOptions, config: dict[str, Any]) -> str:
    """On the worker: what went wrong for want of memory, empty where nothing did."""
    from harness.training.config.run_config import RunConfig
    from harness.training.run import Run
    from harness.tuning.worker import runner

    runner.configure_process(options)
    short = {"label_warmup_epochs": 0, "train_size": STEPS * config["batch_size"], "epochs": 1}
    try:
        Run(RunConfig(**{**config, **short})).train_epoch()
    except Exception as error:  # of any other kind the trials will tell
        if runner.is_out_of_memory(error):
            return f"memory ran out ({str(error).splitlines()[0]})"
    return ""
