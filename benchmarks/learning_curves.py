"""Learning curves to search over: runs of this project, every cell of a grid once.

    python -m benchmarks.learning_curves      # learning_curves.json beside this file; some seven minutes of one core
    python -m benchmarks.learning_curves --table fashion_smoothing      # this one alone; the others stay as they are

We found no package with the curves of a grid of training runs (see search_efficiency.md), so these are measured here,
on what this project is for: 40% of the labels wrong, a small MLP; the digits of scikit-learn over 40 epochs,
and 2,000 images of FashionMNIST (Debian's dataset-fashion-mnist) over 25. A curve is the share of the validation images
that are right after each epoch, kept as their number, so that nothing is rounded.
"""

import argparse
import itertools
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.training.config.run_config import RunConfig
from harness.training.run import Run

FILE = Path(__file__).with_suffix(".json")

FIXED: dict[str, Any] = {
    "dataset": "digits", "noise": "symmetric", "noise_rate": 0.4, "model": "mlp", "width": 128, "epochs": 40,
    "val_size": 250,
}  # fmt: skip

FASHION: dict[str, Any] = {
    "dataset": "FashionMNIST", "train_size": 2000, "meta_size": 200, "val_size": 500, "epochs": 25,
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
    "fashion_smoothing": (
        {**FASHION, "method": "label_smoothing", "train_on_meta": True},
        {
            "label_smoothing": [0.0, 0.27, 0.53, 0.8],
            "lr": [0.005, 0.014, 0.04, 0.11, 0.3],
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
    parser = argparse.ArgumentParser(description="Learning curves of this project's runs.")
    parser.add_argument("--table", action="append", choices=list(GRIDS), help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="of every run: split, noise, initial weights, order")
    parser.add_argument("--json", type=Path, default=FILE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    again = options.table and options.json.exists()
    kept = json.loads(options.json.read_text(encoding="utf-8"))["tables"] if again else {}
    anew = {name: table(*GRIDS[name], options.seed) for name in options.table or GRIDS}
    made = {
        "provenance": {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()},
        "tables": {**kept, **anew},
    }
    options.json.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
