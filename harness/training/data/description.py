"""The data of a run in a few words, so that two runs can be told to have seen the same.

The digest covers which images of the data set a part holds, in their order, with the classes they are annotated with
(so the noise too), and the pixels of a thousand of them, spread evenly: another preprocessing gives another digest, and
a large set costs no more than a small one.
"""

import hashlib
import json
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits, Images

LOOKED_AT = 1000


def seen(config: RunConfig, parts: DataSplits) -> list[dict[str, Any]]:
    """What each part that is not the test part is, as `part` says."""
    return [
        part(config, "train", parts.train, parts.noisy),
        part(config, "meta", parts.meta, parts.meta.targets),
        part(config, "validation", parts.val, parts.val.targets),
    ]


def part(config: RunConfig, context: str, images: Images, annotated: Tensor) -> dict[str, Any]:
    """What one is: `context` (train, meta, validation, test), `name`, `source`, `digest`, and its sizes."""
    kind, _, place = config.dataset.partition(":")
    shipped = {"digits": "scikit-learn"}
    return {
        "context": context,
        "name": PurePath(place).name or kind,
        "source": place or shipped.get(kind, f"{config.data_root}/{kind}"),
        "digest": _digest(images, annotated),
        "images": len(images),
        "classes": images.classes,
        "shape": json.dumps(list(images.shape)),
    }


def _digest(images: Images, annotated: Tensor) -> str:
    digest = hashlib.blake2b(digest_size=8)
    tested_configurations = images.index[torch.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).long()]
    for tensor in (images.index, annotated, images.pixels.stored[tested_configurations]):
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
