"""Small data sets in the forms of real ones, written for a test."""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.training.config.run_config import RunConfig

Array = NDArray[np.uint8]
SMALL = {"meta_size": 20, "val_size": 10, "noise": "symmetric", "noise_rate": 0.25, "width": 8, "epochs": 1}


def config(dataset: str, root: Path | str = "data", **settings: Any) -> RunConfig:
    """A run of one epoch on few images."""
    return RunConfig(dataset=dataset, data_root=str(root), **{**SMALL, **settings})


def standardised(pictures: Array) -> torch.Tensor:
    """Pictures [N, height, width, channels] as inputs of a model, if they are the whole pool."""
    pool = torch.from_numpy(pictures).permute(0, 3, 1, 2).double()
    deviation, mean = torch.std_mean(pool, dim=(0, 2, 3), keepdim=True, correction=0)
    return ((pool - mean) / deviation).float()


def pictures(count: int, *shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def classes(count: int, number: int = 10) -> Array:
    return (np.arange(count) % number).astype(np.uint8)


def idx(array: Array) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


def write_idx_set(folder: Path, zipped: bool, train: int = 100, test: int = 40) -> dict[str, Array]:
    """MNIST's four files."""
    folder.mkdir(parents=True)
    arrays = {
        "train-images-idx3-ubyte": pictures(train, 28, 28),
        "train-labels-idx1-ubyte": classes(train),
        "t10k-images-idx3-ubyte": pictures(test, 28, 28, seed=1),
        "t10k-labels-idx1-ubyte": classes(test),
    }
    for name, array in arrays.items():
        content = idx(array)
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return arrays


def write_cifar10(root: Path) -> tuple[Array, Array]:
    """Its five training batches, the test batch and the class names, 20 images each; returns training images and test
    images, [N, 32, 32, 3]."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    parts = []
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = pictures(20, 3, 32, 32, seed=number)
        parts.append(images.transpose(0, 2, 3, 1))
        batch = {"data": images.reshape(20, -1), "labels": classes(20).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {c}" for c in range(10)]}))
    return np.concatenate(parts[:5]), parts[5]


def write_cifar100(root: Path) -> Array:
    """Its training and test file and the class names; returns training images, [N, 32, 32, 3]."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    held = {}
    for seed, (name, count) in enumerate({"train": 300, "test": 100}.items()):
        held[name] = pictures(count, 3, 32, 32, seed=seed)
        batch = {"data": held[name].reshape(count, -1), "fine_labels": classes(count, 100).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(c) for c in range(100)]}))
    return held["train"].transpose(0, 2, 3, 1)


CLASSES: NDArray[np.int64] = (np.arange(80) % 4).astype(np.int64)


def npz_labels() -> dict[str, NDArray[np.int64]]:
    """Labels of 80 training images in four classes and of 24 test images, and given labels, some of them wrong."""
    return {"y_train": CLASSES, "y_test": CLASSES[:24], "y_train_given": (CLASSES + (np.arange(80) < 30)) % 4}


def npz(folder: Path, changes: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
    """A run on an npz file of 80 images in four classes, with a test part, given labels and counts of votes."""
    arrays: dict[str, Any] = {
        "x_train": pictures(80, 6, 5, 3),
        "x_test": pictures(24, 6, 5, 3, seed=1),
        **npz_labels(),
        "human_train": np.random.default_rng(0).integers(0, 9, (80, 4)) + 1,
        **(changes or {}),
    }
    np.savez(folder / "mine.npz", **{name: array for name, array in arrays.items() if array is not None})
    if arrays["human_train"] is not None:
        settings = {"reference_labels": "human", **settings}
    return config(f"npz:{folder}/mine.npz", **settings)
