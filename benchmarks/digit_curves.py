"""Learning curves to search over: runs of this project on the digits of scikit-learn, every cell of a grid once.

    python -m benchmarks.digit_curves         # digit_curves.json beside this file; about five minutes of one core

No registry package that we found ships the curves of a grid of training runs (see search_efficiency.md), so these are
made here, of what this project is for: 40% of the labels wrong, a small MLP, 40 epochs. A curve is the share of the
validation images that are right after each epoch, kept as their number, so that nothing is rounded.
"""

import argparse
import itertools
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.training.config import RunConfig
from harness.training.run import Run

FILE = Path(__file__).with_suffix(".json")

FIXED: dict[str, Any] = {
    "dataset": "digits", "noise": "symmetric", "noise_rate": 0.4, "model": "mlp", "width": 128, "epochs": 40,
    "val_size": 250,
}  # fmt: skip

GRIDS: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "digits_learned": (
        {"method": "learned", "labels": "instance"},
        {
            "label_lr": [0.01, 0.022, 0.048, 0.105, 0.23, 0.5],
            "meta_interval": [1, 2, 4, 8],
            "lr": [0.02, 0.042, 0.089, 0.19, 0.4],
        },
    ),
    "digits_smoothing": (
        {"method": "label_smoothing", "train_on_meta": True},
        {
            "label_smoothing": [0.0, 0.2, 0.4, 0.6, 0.8],
            "lr": [0.01, 0.02, 0.042, 0.089, 0.19, 0.4],
            "batch_size": [32, 64, 128],
        },
    ),
}
"""For each table: what is fixed in it, and its axes."""


def curve(config: RunConfig) -> list[int]:
    """Validation images that are right after each epoch."""
    run = Run(config)
    right = []
    while not run.done:
        right.append(round(run.train_epoch()["val_accuracy"] * config.val_size))
    return right


def table(fixed: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], seed: int) -> dict[str, Any]:
    """All curves of a grid, its last axis running fastest."""
    curves = []
    for values in itertools.product(*axes.values()):
        config = RunConfig.model_validate({**FIXED, **fixed, "seed": seed, **dict(zip(axes, values, strict=True))})
        curves.append(curve(config))
    return {"fixed": {**FIXED, **fixed, "seed": seed}, "axes": axes, "right": curves}


def main() -> None:
    parser = argparse.ArgumentParser(description="Learning curves of this project's runs on the digits.")
    parser.add_argument("--seed", type=int, default=0, help="of every run: split, noise, initial weights, order")
    parser.add_argument("--json", type=Path, default=FILE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = {
        "provenance": {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()},
        "tables": {name: table(fixed, axes, options.seed) for name, (fixed, axes) in GRIDS.items()},
    }
    options.json.write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
