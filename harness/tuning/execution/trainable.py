"""What Ray starts on a worker and hands from trial to trial.

A call returns after about half a second, with the metrics of each epoch trained in it: short epochs would else drown
the driver in messages. The driver goes through them in order, so where a trial is pruned does not depend on how they
were bundled.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from harness.tuning.storage.sweep_folder import CHECKPOINT
from harness.tuning.worker.chunk_report import failure_report

if TYPE_CHECKING:
    from harness.tuning.worker.runner import TrialRunner


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # ray ships no types for it
    """Config: what `TrialRunner` takes: `config` (fields of `RunConfig`), `folder` (the trial's place),
    `seeds` (how many), `keep_model`, `options`, `at_end`.
    """

    work: "TrialRunner | None" = None

    def setup(self, config: dict[str, Any]) -> None:
        self.cleanup()
        self.work = None
        self.failure = ""
        try:
            from harness.tuning.worker import (
                runner,  # here and not above: the driver holds this class too, without torch
            )

            runner.configure_process(config["options"])
            folder, scratch = runner.resolve_dir(config["folder"])
            self.work = runner.TrialRunner(
                config["config"],
                folder,
                config["seeds"],
                config["keep_model"],
                config["options"],
                scratch,
                config["at_end"],
            )
        except Exception as error:  # a worker without a package, say: Ray would try again and again
            self.failure = f"{type(error).__name__}: {error}"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Ray hands this worker to the next trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        if self.work is None:
            return dict(failure_report(self.failure))
        return dict(self.work.run_chunk())  # never "done": the scheduler says so, who may still fail to write it down

    def cleanup(self) -> None:
        """Ray ends this worker, or hands it on."""
        if self.work is not None:
            self.work.cleanup()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        if self.work is not None:
            self.work.save(Path(checkpoint_dir) / CHECKPOINT)

    def load_checkpoint(self, checkpoint: str) -> None:
        if self.work is not None:
            self.work.restore(Path(checkpoint) / CHECKPOINT)
