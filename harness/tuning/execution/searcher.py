"""Ray Tune's source of configurations: the ledger, and nothing else.

Ray's own `OptunaSearch` keeps a study beside the journal, tells stopped trials as complete and loses failed ones; this
one keeps nothing. A trial's end is written by the scheduler, which sees results and losses.

How many trials there are at once is asked for anew each time, not said once: nodes join a cluster and leave it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ray.tune.search import Searcher

from harness.common.urls import Url
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.worker.options import WorkerOptions


class LedgerSearcher(Searcher):  # type: ignore[misc]  # ray ships no types for it
    """Suggests the ledger's next trial.

    Args:
        ledger: the sweep's ledger; never copied, though Ray copies its searchers.
        trials: where the folders of the trials lie.
        slots: how many trials may be run at once, as things are.
        options: of the workers.
        keep_models: have trials leave their weights.
    """

    def __init__(
        self,
        ledger: SweepStudy,
        trials: Path | Url,
        slots: Callable[[], int],
        options: WorkerOptions,
        keep_models: bool = False,
    ) -> None:
        super().__init__()
        self.ledger = ledger
        self.trials = trials
        self.slots = slots
        self.options = options
        self.keep_models = keep_models
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.numbers) >= self.slots():
            return None
        trial = self.ledger.next()
        if trial is None:
            return None if self.numbers else str(Searcher.FINISHED)  # a trial under way may come back yet
        self.numbers[trial_id] = trial.number
        return {
            "number": trial.number,
            "config": trial.config.model_dump(),
            "seeds": trial.seeds,
            "folder": str(self.trials / str(trial.number)),
            "keep_model": self.keep_models,
            "options": self.options,
            "at_end": trial.at_end,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.numbers.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; the journal is the state."""
        Path(checkpoint_path).write_text(json.dumps({"see": "study.journal"}))

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a new searcher reads the journal."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())
