"""Cost of labels that follow the model: a step of the learned method with label_follow above 0, against one without.

    python benchmarks/following.py --model mlp --labels instance --form exponentiated --rounds 1500

Steps of a trial on the digits with 40 % wrong labels and `train_on_meta`, batch 64, in one process and thread: of the
method and the optimiser, without loading a batch. Rounds interleave the four in an order that rotates; the clock is the
thread's computing time. It prints medians, and the median ratio within a round with its quartiles.
"""

import argparse
import statistics
import time

import torch

from harness.metalabel.torch_internals import optimizer_step
from harness.training.batches import split_into_batches
from harness.training.config.run_config import RunConfig
from harness.training.methods import Batch
from harness.training.run import Run

WIDTHS = {"mlp": 128, "cnn": 32}
EPOCHS = 100_000
RATES = (0.0, 0.1)


class TimedSteps:
    """Steps of one run, over and over through the same batches."""

    def __init__(self, config: RunConfig) -> None:
        self.run = Run(config)
        batches = split_into_batches(self.run.task.training_index, config.batch_size)
        self.batches = [batch for batch in batches if len(batch) == config.batch_size]

    def seconds(self, number: int) -> float:
        """Run step `number` of the trial and return its computing time."""
        run, index = self.run, self.batches[number % len(self.batches)]
        inputs = run.images.batch(index)
        batch = Batch(index, inputs, run.task.given[index], run.task.trusted[index], number, 1.0)
        started = time.thread_time()
        run.method.step(batch)
        optimizer_step(run.optimizer)
        return time.thread_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=WIDTHS, default="mlp")
    parser.add_argument("--labels", choices=("instance", "class"), default="instance")
    parser.add_argument("--form", choices=("simplex", "softmax", "exponentiated"), default="exponentiated")
    parser.add_argument("--rounds", type=int, default=1500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps = {
        (kind, rate): TimedSteps(
            RunConfig(
                method="learned",
                noise="symmetric",
                noise_rate=0.4,
                train_on_meta=True,
                epochs=EPOCHS,
                model=options.model,
                width=WIDTHS[options.model],
                labels=options.labels,
                label_form=options.form,
                label_follow=rate,
                label_sharpen=2.0,
                label_warmup_epochs=EPOCHS if kind == "plain" else 0,
            )
        )
        for kind in ("plain", "label")
        for rate in RATES
    }
    names = list(steps)
    seconds: dict[tuple[str, float], list[float]] = {name: [] for name in names}
    warm_up = options.rounds // 20
    for turn in range(warm_up + options.rounds):
        for name in [*names[turn % len(names) :], *names[: turn % len(names)]]:
            taken = steps[name].seconds(turn)
            if turn >= warm_up:
                seconds[name].append(taken)
    print("| step | without, ms | following, ms | ratio (quartiles) |\n| --- | --- | --- | --- |")
    for kind in ("plain", "label"):
        without, following = (seconds[kind, rate] for rate in RATES)
        low, middle, high = statistics.quantiles([b / a for a, b in zip(without, following, strict=True)], n=4)
        medians = (f"{1e3 * statistics.median(taken):.3f}" for taken in (without, following))
        print(f"| {kind} | {' | '.join(medians)} | {middle:.3f} ({low:.3f}–{high:.3f}) |")


if __name__ == "__main__":
    main()
