"""Limits of a worker: threads, GPU share, time, checkpoint interval."""

import os
from dataclasses import dataclass
from typing import Self

from harness.space import Resources


@dataclass(frozen=True)
class WorkerOptions:
    """Options of a worker process; the same for all trials of a sweep.

    Args:
        threads: number of torch threads.
        working_dir: the driver's working directory, to which paths in a configuration are relative. Ignored on a node
            that has no such folder.
        gpu: number of GPUs; a share below 1 limits the GPU memory that a trial may allocate.
        limit_seconds: maximum compute time of a trial; None: no limit.
        checkpoint_seconds: minimum training time between two checkpoints.
        half_batch: whether a trial that runs out of memory is tried once more with half the batch size.
        keep_model: whether the weights of the first seed's model are saved at the end.
    """

    threads: int = 1
    working_dir: str = ""
    gpu: float = 0.0
    limit_seconds: float | None = None
    checkpoint_seconds: float = 5.0
    half_batch: bool = False
    keep_model: bool = False

    @classmethod
    def from_resources(cls, resources: Resources, *, keep_model: bool = False) -> Self:
        """Options of a worker with these resources, started by this process."""
        return cls(
            threads=max(1, int(resources.cpu)),
            working_dir=os.getcwd(),
            gpu=resources.gpu or 0.0,
            limit_seconds=resources.limit_seconds,
            checkpoint_seconds=resources.checkpoint_seconds,
            half_batch=resources.half_batch,
            keep_model=keep_model,
        )
