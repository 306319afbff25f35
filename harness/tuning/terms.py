"""What a worker holds to in each run it is given, by the resources that the search asks for."""

import os
from dataclasses import dataclass
from typing import Self

from harness.space import Resources


@dataclass(frozen=True)
class Terms:
    """The same for all runs of a sweep.

    Args:
        threads: of torch, which else takes every core.
        home: where the driver stands: relative places in a configuration start there, and Ray leaves a worker in a
            folder of its own. Where a node has no such folder, the worker stays where it is.
        gpu: share of one GPU, of whose memory a run may take no more; whole ones are not shared.
        limit_seconds: how long a run may compute in all; None: as long as it takes.
        half_batch: whether a run whose memory ran out is tried once more with half the batch.
    """

    threads: int = 1
    home: str = ""
    gpu: float = 0.0
    limit_seconds: float | None = None
    half_batch: bool = False

    @classmethod
    def of(cls, need: Resources) -> Self:
        """For who holds `need`, and whose driver is this process."""
        return cls(max(1, int(need.cpu)), os.getcwd(), need.gpu or 0.0, need.limit_seconds, need.half_batch)


NONE = Terms()
"""Of a run that stands alone."""
