"""How long an epoch takes, from a few steps of it, here and now, on one core.

An epoch's time is taken to be affine in the images that are trained on, which tells steps from evaluation: two small
training sets are passed over, and the line through them is drawn out to the whole one. A set that is hardly larger is
passed over itself. Label steps are taken from the start, so that a warm-up does not hide them.
"""

import time

from harness.training.config.run_config import RunConfig
from harness.training.run import Run

STEPS = (4, 12)  # model steps of the two small passes
LONG_ENOUGH = 0.3  # seconds of passes that are worth a mean; the first one, which warms up, is left out if short


def epoch_seconds(config: RunConfig) -> tuple[float, float]:
    """Seconds that an epoch of `config` takes, and that come before the first."""
    config = config.model_copy(update={"label_warmup_epochs": 0, "epochs": max(config.epochs, 1000)})
    images = len(Run(config).parts.train)  # reads the data, which trials share
    sizes = [steps * config.batch_size for steps in STEPS]
    if images <= 1.5 * sizes[-1]:
        seconds, before = _passed(config)
        return seconds, before
    small, before = _passed(config.model_copy(update={"train_size": sizes[0]}))
    large, _ = _passed(config.model_copy(update={"train_size": sizes[1]}))
    return large + max(0.0, large - small) * (images - sizes[1]) / (sizes[1] - sizes[0]), before


def _passed(config: RunConfig) -> tuple[float, float]:
    """Mean seconds of an epoch, and those before the first."""
    began = time.perf_counter()
    run = Run(config)
    before = time.perf_counter() - began
    began = time.perf_counter()
    run.train_epoch()
    first = time.perf_counter() - began
    if first > LONG_ENOUGH:
        return first, before
    began, epochs = time.perf_counter(), 0
    while time.perf_counter() - began < LONG_ENOUGH:
        run.train_epoch()
        epochs += 1
    return (time.perf_counter() - began) / epochs, before
