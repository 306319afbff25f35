"""Ray Tune's search algorithm: passes on the trials of a `TrialSource`.

It keeps no state of its own, so Ray's saving and restoring of it do nothing. A trial's end is recorded by the
scheduler, which sees results and lost workers. The number of concurrent trials is asked for at each suggestion, since
nodes join and leave a cluster.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ray.tune.search import Searcher

from harness.tuning.execution.trial_source import TrialSource
from harness.tuning.trial import Trial


class SourceSearcher(Searcher):  # type: ignore[misc]  # ray ships no types for it
    """Suggests the next trial of a source.

    Args:
        source: never copied, although Ray copies its searchers.
        max_concurrent: the number of trials that may run at once, as the cluster is now.
        trainable_config: what `TrialTrainable` is given for a trial.
    """

    def __init__(
        self,
        source: TrialSource,
        max_concurrent: Callable[[], int],
        trainable_config: Callable[[Trial], dict[str, Any]],
    ) -> None:
        super().__init__()
        self.source = source
        self.max_concurrent = max_concurrent
        self.trainable_config = trainable_config
        self.running: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.running) >= self.max_concurrent():
            return None
        trial = self.source.next()
        if trial is None:
            return None if self.running else str(Searcher.FINISHED)  # one that runs may be released
        self.running.add(trial_id)
        return self.trainable_config(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the file that Ray expects."""
        Path(checkpoint_path).write_text(json.dumps({}))

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the source has the state."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())
