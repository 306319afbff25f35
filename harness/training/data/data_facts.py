"""Description and digest of the data that a run uses; equal digests mean equal data.

The digest covers which images of the data set a part holds, in their order, the classes they are annotated with (so the
noise too), and the pixels of a thousand of them, spread evenly: another preprocessing gives another digest, and a large
set costs no more than a small one.
"""

import hashlib
import json
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits, Images

HASHED_IMAGES = 1000


def describe_splits(config: RunConfig, splits: DataSplits) -> list[dict[str, Any]]:
    """Return `describe_part` of the training, meta and validation part."""
    return [
        describe_part(config, "train", splits.train, splits.noisy),
        describe_part(config, "meta", splits.meta, splits.meta.targets),
        describe_part(config, "validation", splits.val, splits.val.targets),
    ]


def describe_part(config: RunConfig, context: str, images: Images, annotated: Tensor) -> dict[str, Any]:
    """Return `context` (train, meta, validation, test), `name`, `source`, `digest` and sizes of a part."""
    kind, _, path = config.dataset.partition(":")
    digest = hashlib.blake2b(digest_size=8)
    sample = images.index[torch.linspace(0, len(images) - 1, min(HASHED_IMAGES, len(images))).long()]
    for tensor in (images.index, annotated, images.pixels.stored[sample]):
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return {
        "context": context,
        "name": PurePath(path).name or kind,
        "source": path or ("scikit-learn" if kind == "digits" else f"{config.data_root}/{kind}"),
        "digest": digest.hexdigest(),
        "images": len(images),
        "classes": images.classes,
        "shape": json.dumps(list(images.shape)),
    }
