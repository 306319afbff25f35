"""What a teacher leaves for its students: its logits on the images it was trained on, in a file they find by seed.

    FOLDER/SEED/logits.npz     logits [N, C] float32, images [N] (which of the pool: training, then meta), dataset

A run's seed draws which images it may see. So a teacher has students of its own seed alone, who see what it saw: no
image that they are validated on has passed through it. The logits are those of images as they are, not augmented.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.common.atomic_files import write_atomically
from harness.training.data import DataError, Images
from harness.training.data.readers.paths import teacher_file
from harness.training.metrics import EVALUATION_BATCH

REMEDY = "train it with harness.distill, or set teacher to the folder of one that was"


@torch.no_grad()
def teach(model: nn.Module, images: Images, dataset: str, file: Path) -> None:
    """Write the logits of `model` in eval mode on `images`, all that it may train on; it is left in train mode."""
    model.eval()
    every = torch.arange(len(images), device=images.targets.device)
    logits = [model(images.batch(index)).float() for index in every.split(EVALUATION_BATCH)]
    model.train()
    held = (torch.cat(logits).cpu().numpy(), images.index.cpu().numpy(), np.array(dataset))
    write_atomically(file, lambda fresh: np.savez_compressed(fresh, logits=held[0], images=held[1], dataset=held[2]))


def learn_from(teacher: str, seed: int, dataset: str, images: Tensor, classes: int) -> Tensor:
    """The logits [images, classes] of the teacher of that seed.

    Args:
        teacher: its folder.
        dataset: the student's, by name.
        images: what the student may train on, by their place in the pool.

    Raises:
        DataError: there are none, or they are of other images.
    """
    file = teacher_file(teacher, seed)
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
