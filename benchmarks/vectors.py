"""How long a trial on feature vectors takes: 20 epochs of learned labels, 50,000 vectors of 768 features, one core.

    python -m benchmarks.vectors
    python -m benchmarks.vectors --rows 5000 --features 64     # toy size

The vectors are drawn around a centre for each of ten classes, 40 % of the labels are wrong. Each method runs as a trial
runs, evaluation after each epoch included; reading the file and starting the process are timed separately.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from harness.tracking.provenance import collect
from harness.training.config.run_config import RunConfig
from harness.training.run import Run

CLASSES, EPOCHS = 10, 20
SETTINGS = {"noise": "symmetric", "noise_rate": 0.4, "meta_size": 1000, "val_size": 5000, "batch_size": 256}
ARMS = {
    "one_hot, linear": {"method": "one_hot", "model": "linear", "train_on_meta": True},
    "learned, linear, interval 2": {"model": "linear", "meta_interval": 2, "label_lr": 0.3},
    "learned, mlp of 128, interval 2": {"model": "mlp", "meta_interval": 2, "label_lr": 0.3},
}


def write_vectors(file: Path, rows: int, features: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, features)) * 4 / np.sqrt(features)
    y = rng.integers(CLASSES, size=rows)
    x = (centres[y] + rng.normal(size=(rows, features))).astype(np.float32)
    np.savez(file, x_train=x, y_train=y)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vectors", description="Seconds a trial on vectors.")
    parser.add_argument("--rows", type=int, default=50_000, help="vectors, test part included (default 50000)")
    parser.add_argument("--features", type=int, default=768, help="of each (default 768)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trials = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        file = Path(folder, "vectors.npz")
        write_vectors(file, options.rows, options.features)
        print("| trial | read, s | 20 epochs, s | validation accuracy | labels right |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, arm in ARMS.items():
            began = time.perf_counter()
            run = Run(RunConfig(dataset=f"npz:{file}", epochs=EPOCHS, **SETTINGS, **arm))
            read, began = time.perf_counter() - began, time.perf_counter()
            while not run.done:
                metrics = run.train_epoch()
            seconds = time.perf_counter() - began
            trials.append({"trial": name, "read_s": read, "seconds": seconds, **metrics})
            cells = f"{read:.1f} | {seconds:.1f} | {metrics['val_accuracy']:.3f} | {metrics['label_accuracy']:.3f}"
            print(f"| {name} | {cells} |", flush=True)
    record = {"rows": options.rows, "features": options.features, "trials": trials}
    record["provenance"] = collect().model_dump(mode="json")
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
