"""Trial: a configuration to train, as a `TrialSource` gives it to a worker."""

from dataclasses import dataclass
from typing import Any, Literal

from harness.training.config.run_config import RunConfig

EndAction = Literal["evaluate_test", "export_logits"]
"""Action of a worker after the last epoch of a trial: evaluate it on the test part, or write its logits."""


@dataclass(frozen=True)
class Trial:
    """A trial about to be run or running.

    Attributes:
        number: unique within the sweep.
        name: what people read, such as `learned-12`.
        params: the searched parameters alone; `config` holds all settings.
        seeds: runs of the trial, from the seed of `config` up; its metrics are their means.
        folder: where its files lie, relative to the sweep's folder.
        at_end: none for a trial of a search, which never sees the test part.
    """

    number: int
    name: str
    arm: str
    params: dict[str, Any]
    config: RunConfig
    folder: str
    seeds: int = 1
    at_end: tuple[EndAction, ...] = ()
