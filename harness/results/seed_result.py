"""The result of one run on a fresh seed."""

from typing import ClassVar, Literal

from harness.results.result_file import ResultFile
from harness.space.arm import Role
from harness.training.config.run_config import RunConfig


class SeedResult(ResultFile):
    """State, settings and metrics of an ended run on a fresh seed.

    `metrics` are those of the last epoch, never the best over epochs; `test` was measured once, after it. A run that
    diverged has the state `failed` and a reason.
    """

    FILE: ClassVar[str] = "result.json"
    WRITTEN_BY: ClassVar[str] = "harness.confirm"

    role: Role
    config: RunConfig
    state: Literal["complete", "failed"]
    epochs: int
    metrics: dict[str, float]
    test: dict[str, float]
    test_images: int
    seconds: float
    reason: str = ""
