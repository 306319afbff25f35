"""Ray Tune's source of configurations: the ledger, and nothing else.

Ray's own `OptunaSearch` keeps a study beside the journal, tells stopped trials as complete and loses failed ones; this
one keeps nothing. A trial's end is written by the scheduler, which sees results; only a trial that Ray gave up on is
ended here.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from ray.tune.search import Searcher

from harness.tuning.ledger import Ledger


class LedgerSearcher(Searcher):  # type: ignore[misc]  # ray ships no types for it
    """Suggests the ledger's next trial.

    Args:
        ledger: the sweep's ledger; never copied, though Ray copies its searchers.
        trials: the folder that holds the trials' own.
        threads: torch threads a trial.
        keep_models: have trials leave their weights.
    """

    def __init__(self, ledger: Ledger, trials: Path, threads: int, keep_models: bool = False) -> None:
        super().__init__()
        self.ledger = ledger
        self.trials = trials
        self.threads = threads
        self.keep_models = keep_models
        self.numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        trial = self.ledger.next()
        if trial is None:
            return str(Searcher.FINISHED)
        self.numbers[trial_id] = trial.number
        return {
            "number": trial.number,
            "config": trial.config.model_dump(),
            "seeds": trial.seeds,
            "folder": str(self.trials / str(trial.number)),
            "threads": self.threads,
            "home": os.getcwd(),
            "keep_model": self.keep_models,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        number = self.numbers.pop(trial_id, None)
        if error and number is not None and self.ledger.is_open(number):
            self.ledger.fail(number, "worker lost")

    def save(self, checkpoint_path: str) -> None:
        """Ray wants a file; the journal is the state."""
        Path(checkpoint_path).write_text(json.dumps({"see": "study.journal"}))

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a new searcher reads the journal."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())
