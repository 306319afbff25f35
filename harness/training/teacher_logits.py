"""Logits of a teacher on the images that it was trained on, for its students.

    FOLDER/SEED/logits.npz     logits [N, C] float32, images [N] (indices in the pool: training, then meta), dataset

A run's seed draws its images. A student therefore learns from the teacher of its own seed: none of its validation
images was in the teacher's training. The images are not augmented.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.common.atomic_files import write_atomically
from harness.training.config.teacher_files import teacher_logits_file
from harness.training.data.images import Images
from harness.training.errors import DataError
from harness.training.metrics import EVALUATION_BATCH

REMEDY = "train it with harness.distill, or set teacher to the folder of one that was"


@torch.no_grad()
def export_logits(model: nn.Module, images: Images, dataset: str, file: Path) -> None:
    """Write the logits of `model` in eval mode on `images`, all that it may train on; it returns to train mode."""
    model.eval()
    rows = torch.arange(len(images), device=images.targets.device)
    logits = [model(images.batch(batch)).float() for batch in rows.split(EVALUATION_BATCH)]
    model.train()
    arrays: dict[str, Any] = {
        "logits": torch.cat(logits).cpu().numpy(),
        "images": images.index.cpu().numpy(),
        "dataset": np.array(dataset),
    }
    write_atomically(file, lambda fresh: np.savez_compressed(fresh, **arrays))


def load_teacher_logits(teacher: str, seed: int, dataset: str, images: Tensor, classes: int) -> Tensor:
    """Return the logits [images, classes] of the teacher of a seed.

    Args:
        teacher: folder of the teacher, or its address in an object store.
        dataset: name of the student's data set.
        images: images that the student may train on, as indices in the pool.

    Raises:
        DataError: there are none, or they are of other images.
    """
    file = teacher_logits_file(teacher, seed)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as held:
            logits, theirs, name = held["logits"], held["images"], str(held["dataset"])
    except FileNotFoundError:
        raise DataError(f"teacher: expected its logits for seed {seed}, got nothing at {file}; {REMEDY}") from None
    except Exception as error:
        raise DataError(f"teacher: expected its logits in {file}, which cannot be read ({error}); remove it") from error
    if name != dataset or logits.shape != (len(images), classes) or not np.array_equal(theirs, images.cpu().numpy()):
        raise DataError(
            f"teacher: expected logits of the student's {len(images)} images of {dataset}, got {file}, which has other "
            f"images, {len(theirs)} of {name}; leave dataset, train_size, meta_size, val_size and noise as the teacher "
            "had them"
        )
    return torch.from_numpy(logits).to(images.device)
