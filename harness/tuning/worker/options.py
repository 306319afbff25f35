"""What a worker holds to in each run it is given, by the resources that the search asks for."""

import os
from dataclasses import dataclass
from typing import Self

from harness.space import Resources


@dataclass(frozen=True)
class WorkerOptions:
    """The same for all runs of a sweep.

    Args:
        threads: of torch, which else takes every core.
        home: where the driver stands: relative places in a configuration start there, and Ray leaves a worker in a
            folder of its own. Where a node has no such folder, the worker stays where it is.
        gpu: share of one GPU, of whose memory a run may take no more; whole ones are not shared.
        limit_seconds: how long a run may compute in all; None: as long as it takes.
        checkpoint_seconds: of training, between two checkpoints.
        half_batch: whether a run whose memory ran out is tried once more with half the batch.
    """

    threads: int = 1
    home: str = ""
    gpu: float = 0.0
    limit_seconds: float | None = None
    checkpoint_seconds: float = 5.0
    half_batch: bool = False

    @classmethod
    def of(cls, need: Resources) -> Self:
        """For who holds `need`, and whose driver is this process."""
        return cls(
            threads=max(1, int(need.cpu)),
            home=os.getcwd(),
            gpu=need.gpu or 0.0,
            limit_seconds=need.limit_seconds,
            checkpoint_seconds=need.checkpoint_seconds,
            half_batch=need.half_batch,
        )


NONE = WorkerOptions()
"""Of a run that stands alone."""
