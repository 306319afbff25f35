"""Logits of a teacher on the images that it was trained on, for its students.

    FOLDER/SEED/logits.npz     logits [N, C] float32, images [N] (indices in the pool: training, then meta), dataset

A run's seed draws its images. A student therefore learns from the teacher of its own seed: none of its validation
images was in the teacher's training. The images are not augmented.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.common.atomic_files import write_atomically
from harness.training.config.run_config import RunConfig
from harness.training.config.teacher_files import teacher_logits_file
from harness.training.data.images import Images
from harness.training.errors import DataError
from harness.training.metrics import logits_in_batches


def export_logits(model: nn.Module, images: Images, dataset: str, file: Path) -> None:
    """Write the logits of `model` in eval mode on `images`, all that it may train on."""
    logits = [logits.float() for _, logits in logits_in_batches(model, len(images), images.batch)]

    def write(temporary: Path) -> None:
        index = images.index.cpu().numpy()
        np.savez_compressed(temporary, logits=torch.cat(logits).cpu().numpy(), images=index, dataset=np.array(dataset))

    write_atomically(file, write)


def load_teacher_logits(config: RunConfig, teacher: str, images: Tensor, classes: int) -> Tensor:
    """Return the logits [images, classes] of a student's teacher; DataError if they are of other images.

    `teacher` is the folder of its logits; `images` are those that the student may train on, as indices in the pool.
    """
    file = teacher_logits_file(teacher, config.seed)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            logits, theirs, name = arrays["logits"], arrays["images"], str(arrays["dataset"])
    except Exception as error:
        raise DataError(f"teacher: expected its logits in {file}, which cannot be read ({error}); remove it") from error
    own = images.cpu().numpy()
    if name != config.dataset or logits.shape != (len(own), classes) or not np.array_equal(theirs, own):
        raise DataError(
            f"teacher: expected logits of the student's {len(own)} images of {config.dataset}, got {file}, which has "
            f"other images, {len(theirs)} of {name}; leave dataset, train_size, meta_size, val_size and noise as the "
            "teacher had them"
        )
    return torch.from_numpy(logits).to(images.device)
