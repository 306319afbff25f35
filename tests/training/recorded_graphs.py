"""CUDA graphs as far as a CPU can have them: operations are recorded with the memory they use, and run again on it.

As in a graph, a replay runs no Python: what Python decided, and each number that it passed, is that of the recording.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from harness.training import graphs
from tests.training.run_helpers import tensors


class RecordedCapture:
    """A `graphs.Capture` on the CPU. `run` has to be set before the first step: its tensors are restored after one."""

    def __init__(self, fails_with: Exception | None = None) -> None:
        self.run: object = None
        self.fails_with = fails_with
        self.recorded = self.replays = self.warm_ups = self.released = 0

    def warm_up(self, step: Callable[[], Tensor]) -> Tensor:
        self.warm_ups += 1
        return step()

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        if self.fails_with is not None:
            raise self.fails_with
        self.recorded += 1
        operations = Operations()
        with unchanged(self.run), operations:
            loss = step()

        def replay() -> None:
            self.replays += 1
            operations.run_again()

        return replay, loss

    def release(self) -> None:
        self.released += 1


class Operations(TorchDispatchMode):
    """The operations inside the block, with views of the memory of their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        generators = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Generator)]
        assert not generators, f"{operation} draws on the CPU, within a step that is captured"
        places = tree_map(in_place, (args, kwargs))
        found = operation(*args, **kwargs)
        given = {each.untyped_storage().data_ptr() for each in tree_leaves(places) if isinstance(each, Tensor)}
        results = [
            (number, in_place(each))
            for number, each in enumerate(tree_leaves(found))
            if isinstance(each, Tensor) and each.untyped_storage().data_ptr() not in given
        ]
        self.calls.append((operation, *places, results))
        return found

    @torch.no_grad()
    def run_again(self) -> None:
        for operation, args, kwargs, results in self.calls:
            found = tree_leaves(operation(*args, **kwargs))
            for number, place in results:
                place.copy_(found[number])


def in_place(value: Any) -> Any:
    """A tensor on the same memory, which stays there whatever becomes of the tensor itself."""
    return value.detach() if isinstance(value, Tensor) else value


@contextmanager
def unchanged(run: object) -> Iterator[None]:
    """Restore the tensors and the random state after the block: a recording does not run what it records."""
    before = [(in_place(tensor), tensor.detach().clone()) for tensor in tensors(run)]
    assert before
    with torch.random.fork_rng():
        yield
    for place, value in before:
        place.copy_(value)


def recorded_on_the_cpu(monkeypatch: Any, capture: graphs.Capture) -> None:
    """Let runs on the CPU capture their steps with `capture`."""
    monkeypatch.setattr("harness.training.run.find_capture", lambda device: capture)
