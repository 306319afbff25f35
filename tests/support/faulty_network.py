"""A network that fails in the way its width says, so that a sweep has good trials and bad ones.

A space names it as `model: tests.support.faulty_network:network`.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.training.models import Shape
from harness.training.models.small_networks import mlp

GOOD, HANGS, GREEDY, DIES, BROKEN, EXITS, CRASHES = 16, 8, 9, 10, 11, 12, 13
"""Widths."""


def _hang(inputs: Tensor) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, the interpreter's lock held, for longer than anybody lives


def _take_too_much(inputs: Tensor) -> None:
    if len(inputs) > 40:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def _read_missing_file(inputs: Tensor) -> None:
    if Path(os.environ.get("XDG_CACHE_HOME", ""), "broken").exists():
        raise OSError("the disk is not there")


def _die(inputs: Tensor) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit(inputs: Tensor) -> None:
    sys.exit("enough of this")


def _crash(inputs: Tensor) -> None:
    ctypes.string_at(0)


FAULTS: dict[int, Callable[[Tensor], None]] = {
    HANGS: _hang,
    GREEDY: _take_too_much,
    DIES: _die,
    BROKEN: _read_missing_file,
    EXITS: _exit,
    CRASHES: _crash,
}


class _Faulty(nn.Module):
    def __init__(self, fail: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.fail = fail

    def forward(self, inputs: Tensor) -> Tensor:
        self.fail(inputs)
        return inputs


def network(shape: Shape, classes: int, width: int) -> nn.Module:
    good = mlp(shape, classes, width)
    return nn.Sequential(_Faulty(FAULTS[width]), good) if width in FAULTS else good
