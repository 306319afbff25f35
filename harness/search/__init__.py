"""`python -m harness.search --space label_lr.yaml`: search, track, and say what won.

`sitting` holds the function `search`, which a notebook can call with a `Space` from `harness.space.load`; `__main__` is
its command line, and `terminal` what that prints. `plan` says what a sweep would do: `probe` measures an epoch,
`forecast` runs the sweep in simulated time. `warm_start` begins a sweep with the best of another.
"""

from harness.common.callable_module import make_callable
from harness.search.run import search

__all__ = ["search"]

make_callable(__name__, "search")
