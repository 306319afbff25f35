"""The Trainable that Ray Tune starts on a worker and reuses for one trial after another.

A step lasts about half a second and returns the metrics of every epoch trained in it: with short epochs, a message an
epoch would overload the driver.
"""

from typing import TYPE_CHECKING, Any

from ray import tune

from harness.tuning.worker.chunk_report import ChunkReport

if TYPE_CHECKING:
    from harness.tuning.worker.runner import TrialRunner


class TrialTrainable(tune.Trainable):  # type: ignore[misc]  # ray ships no types for it
    """Runs trials. The config: see `run_trials`."""

    runner: "TrialRunner | None" = None

    def setup(self, config: dict[str, Any]) -> None:
        self.cleanup()
        self.runner = None
        self.failure = ""
        try:
            from harness.tuning.worker import runner  # not at the top: the driver imports this module, without torch

            runner.configure_process(config["run"]["resources"], config["working_dir"])
            self.runner = runner.TrialRunner(**config["run"])
        except Exception as error:  # such as a missing package: Ray would try again and again
            self.failure = f"{type(error).__name__}: {error}"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """A `ChunkReport`. It never says "done": the scheduler ends the trial, and recording the end may still fail."""
        if self.runner is None:
            return {"chunk": ChunkReport(failure=self.failure, finished=True)}
        return {"chunk": self.runner.run_chunk()}

    def cleanup(self) -> None:
        if self.runner is not None:
            self.runner.cleanup()
