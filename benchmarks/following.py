"""Cost of labels that follow the model: a step of the learned method with label_follow above 0, against one without.

    python benchmarks/following.py --model mlp --labels instance --form exponentiated --rounds 100

Steps of a trial on the digits with 40 % wrong labels and `train_on_meta`, batch 64, in one process and thread: of the
method and the optimiser, without loading a batch. A round is an epoch of each, in turns; the clock is the thread's
computing time. It prints the median time of a step, and the median ratio within a round with its quartiles.
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


class TimedEpoch:
    """Steps of one run, an epoch at a time, through the same whole batches."""

    def __init__(self, config: RunConfig) -> None:
        self.run = Run(config)
        index = split_into_batches(self.run.task.training_index, config.batch_size)[:-1]
        task = self.run.task
        self.batches = [
            Batch(rows, self.run.images.batch(rows), task.given[rows], task.trusted[rows], number, 1.0)
            for number, rows in enumerate(index)
        ]

    def seconds(self) -> float:
        """Run the steps of an epoch and return the computing time of one, their mean."""
        started = time.thread_time()
        for batch in self.batches:
            self.run.method.step(batch)
            optimizer_step(self.run.optimizer)
        return (time.thread_time() - started) / len(self.batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=WIDTHS, default="mlp")
    parser.add_argument("--labels", choices=("instance", "class"), default="instance")
    parser.add_argument("--form", choices=("simplex", "softmax", "exponentiated"), default="exponentiated")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| step | without, ms | following, ms | ratio (quartiles) |\n| --- | --- | --- | --- |")
    for kind, warmup in (("plain", EPOCHS), ("label", 0)):
        without, following = (
            TimedEpoch(
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
                    label_warmup_epochs=warmup,
                )
            )
            for rate in (0.0, 0.1)
        )
        seconds = [(without.seconds(), following.seconds()) for _ in range(options.rounds + 1)][
            1:
        ]  # the first warms up
        low, middle, high = statistics.quantiles([b / a for a, b in seconds], n=4)
        medians = (f"{1e3 * statistics.median(taken):.3f}" for taken in zip(*seconds, strict=True))
        print(f"| {kind} | {' | '.join(medians)} | {middle:.3f} ({low:.3f}–{high:.3f}) |", flush=True)


if __name__ == "__main__":
    main()
