"""What Ray starts on a worker and hands from trial to trial.

A call returns after about half a second, with the metrics of each epoch trained in it: short epochs would else drown
the driver in messages. The driver goes through them in order, so where a trial is pruned does not depend on how they
were bundled.
"""

from pathlib import Path
from typing import Any

from ray import tune


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # ray ships no types for it
    """Config: `config` (fields of `RunConfig`), `folder` (of the trial), `threads` (for torch)."""

    def setup(self, config: dict[str, Any]) -> None:
        import torch  # here and not above: the driver holds this class too, and has no use for torch

        from harness.tuning.work import Work

        torch.set_num_threads(config["threads"])
        self.work = Work(config["config"], Path(config["folder"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Ray hands this worker to the next trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        result = self.work.advance()
        return {**result, "done": result["finished"]}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        self.work.save(Path(checkpoint_dir) / "checkpoint.pt")

    def load_checkpoint(self, checkpoint: str) -> None:
        self.work.restore(Path(checkpoint) / "checkpoint.pt")
