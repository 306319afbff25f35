"""Model steps as CUDA graphs: launched as one, where hundreds of small kernels take longer to launch than to run.

    warm-up    the first steps of a kind run as they are, on a stream of their own
    capture    the next one is recorded, and not run (`torch.cuda.CUDAGraph`)
    replay     from then on its kernels run again, on the same memory

What Python decides is fixed at the capture, and so is every number that Python passes on. Therefore the inputs of a
step are copied into the graph's own tensors, learning rates and counts of steps are tensors (`acceleration`), meta
batches are drawn before a replay, and steps in which a method decides otherwise (`Method.step_kind`), or whose batch
has another size, have graphs of their own. A step computes the same numbers in either way.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from harness.common.errors import first_line
from harness.training.config.run_config import RunConfig
from harness.training.data.meta_set import MetaSet
from harness.training.methods import Method

WARM_UP_STEPS = 3
"""As many as torch asks for: libraries choose their kernels, and optimisers make their state, in these."""

Step = Callable[..., Tensor]
"""A model step on its input tensors; it returns the training loss []."""


class Capture(Protocol):
    """How steps are captured on a device."""

    def warm_up(self, step: Callable[[], Tensor]) -> Tensor:
        """Run a step as it is."""

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Record a step without running it; return what runs it, and the tensor that its result is then in."""

    def release(self) -> None:
        """Be told that nothing that was recorded will run again."""


class CudaCapture:
    """Capture of `torch.cuda.CUDAGraph`s, which share a pool of memory: none keeps anything there between two steps."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Callable[[], Tensor]) -> Tensor:
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            loss = step()
        current.wait_stream(self.stream)
        return loss

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        graph = torch.cuda.CUDAGraph()
        # The outer block: torch leaves the stream as it is where a capture fails. Threads of other work in this process
        # may go on meanwhile, hence thread_local.
        with (
            torch.cuda.stream(torch.cuda.current_stream(self.stream.device)),
            torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"),
        ):
            loss = step()
        return graph.replay, loss

    def release(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()  # torch refuses one whose graphs are all gone


def find_capture(device: torch.device) -> Capture | None:
    """How steps are captured on this device; None where they cannot be."""
    return CudaCapture(device) if device.type == "cuda" else None


def find_obstacle(config: RunConfig, capture: Capture | None, method: Method) -> str:
    """Return why the steps of a run cannot be captured, as the error of `graph: on`; empty if they can."""
    if capture is None:
        return "graph: expected a GPU for on, got a run on the CPU; set graph: auto"
    if config.compile:
        return "graph: expected compile: false beside on, got true; choose one of the two"
    if not method.static_steps:
        return (
            f"graph: expected a method with static_steps = True for on, got {config.method}; say so in its class if "
            "its steps read no value of a tensor, or set graph: auto"
        )
    return ""


@dataclass(frozen=True)
class RecordedStep:
    replay: Callable[[], object]
    inputs: tuple[Tensor, ...]  # the graph's own
    loss: Tensor  # []: of the last replay
    meta_rows: Tensor | None  # the graph's own, where the step draws a meta batch


class GraphedSteps:
    """Runs model steps, by replaying graphs where `capture` is given; `warnings` says why that had to end.

    All that a step reads and writes beside its inputs stays at its place in memory until `reset` is called.
    """

    def __init__(self, meta: MetaSet, capture: Capture | None) -> None:
        self.meta, self.capture = meta, capture
        self.warnings: list[str] = []
        self.recorded: dict[Hashable, RecordedStep] = {}
        self.steps_before: Counter[Hashable] = Counter()

    def reset(self) -> None:
        """Forget all graphs: what steps compute, or the memory they use, is about to change."""
        self.recorded.clear()
        self.steps_before.clear()
        if self.capture is not None:
            self.capture.release()

    def run(self, step: Step, kind: Hashable | None, *inputs: Tensor) -> Tensor:
        """Run a step and return its loss [], which the next one may overwrite.

        `kind` says which steps are the same operations; a step of no kind runs as it is.
        """
        if self.capture is None or kind is None:
            return step(*inputs)
        key = kind, len(inputs[0])
        if key not in self.recorded:
            self.steps_before[key] += 1
            if self.steps_before[key] <= WARM_UP_STEPS:
                return self.capture.warm_up(partial(step, *inputs))
            recorded = self._record(self.capture, step, inputs)
            if recorded is None:
                return step(*inputs)
            self.recorded[key] = recorded
        recorded = self.recorded[key]
        for own, value in zip(recorded.inputs, inputs, strict=True):
            own.copy_(value)
        if recorded.meta_rows is not None:
            recorded.meta_rows.copy_(self.meta.draw_rows())
        recorded.replay()
        return recorded.loss

    def _record(self, capture: Capture, step: Step, inputs: tuple[Tensor, ...]) -> RecordedStep | None:
        own = tuple(value.clone() for value in inputs)
        try:
            with self.meta.hold() as rows:
                replay, loss = capture.record(partial(step, *own))
            if self.meta.held_draws > 1:
                raise RuntimeError("it draws more than one meta batch")
        except Exception as error:  # the same step has run before: it is the capture that fails
            self.warnings.append(
                f"graph: a model step could not be captured ({_first_cause(error)}): training goes on without graphs, "
                "more slowly"
            )
            self.reset()
            self.capture = None
            return None
        return RecordedStep(replay, own, loss, rows if self.meta.held_draws else None)


def _first_cause(error: BaseException) -> str:
    """First line of the error inside a capture; the capture's end raises another one, which does not name the cause."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, torch.OutOfMemoryError):
        return "memory ran out"
    return first_line(error)
