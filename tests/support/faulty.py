"""A network that goes wrong in the way its width says, so that a sweep can hold good trials and bad ones.

Found by `model: tests.support.faulty:network`.
"""

import os
import re
import signal
from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.training.models import Shape
from harness.training.models.small_networks import mlp

GOOD, HANGS, GREEDY, DIES = 16, 8, 9, 10
"""Widths."""


def _hang(inputs: Tensor) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, the interpreter's lock held, for longer than anybody lives


def _take_too_much(inputs: Tensor) -> None:
    if len(inputs) > 40:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def _die(inputs: Tensor) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: dict[int, Callable[[Tensor], None]] = {HANGS: _hang, GREEDY: _take_too_much, DIES: _die}


class _Faulty(nn.Module):
    def __init__(self, go_wrong: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.go_wrong = go_wrong

    def forward(self, inputs: Tensor) -> Tensor:
        self.go_wrong(inputs)
        return inputs


def network(shape: Shape, classes: int, width: int) -> nn.Module:
    good = mlp(shape, classes, width)
    return nn.Sequential(_Faulty(FAULTS[width]), good) if width in FAULTS else good
