"""Batches of an epoch, and which of them a network with BatchNorm cannot take.

Each batch but the last has `batch_size` images. A rest of one image joins the batch before it, since BatchNorm has no
variance of one image (torch: "Expected more than 1 value per channel when training").
"""

import torch
from torch import Tensor, nn

from harness.training.config.checks import batches_of_one
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def split_into_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split images in the order of an epoch, [images], into `batches_per_epoch` batches."""
    batches = list(order.split(batch_size))
    if len(batches) > batches_per_epoch(len(order), batch_size):
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def batches_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches of an epoch over so many images."""
    joined = images > batch_size > 1 and images % batch_size == 1
    return -(-images // batch_size) - joined


def check_batch_norm(config: RunConfig, model: nn.Module, meta_images: int) -> None:
    """Raise DataError if a network with BatchNorm would be trained on batches of one image."""
    if not any(isinstance(module, BATCH_NORMS) for module in model.modules()):
        return
    if problems := batches_of_one(config, meta_images):
        raise DataError(problems[0])
