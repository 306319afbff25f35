"""`python -m harness.search --space label_lr.yaml`: search the hyperparameters of a space, track every run.

Whatever earlier calls of the same sweep left is continued.

    run           the function `search`, which a notebook can call with a `Space` from `harness.space.load`
    plan          `--dry-run`: what a sweep would do; `forecast` measures an epoch and simulates the sweep's time
    warm_start    `--warm-start`: the best configurations of an earlier sweep are tried first
    terminal      what the command line of `__main__` prints
"""

from harness.common.callable_module import make_callable
from harness.search.run import search

__all__ = ["search"]

make_callable(__name__, "search")
