"""One core, sums in a fixed order, and the same random numbers in whatever order tests are run.

TEST_DEVICE=cuda runs them on a GPU.
"""

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def device() -> Iterator[str]:
    """Where tensors and models are made, by its name."""
    name = os.environ.get("TEST_DEVICE", "cpu")
    torch.set_default_device(name)
    yield name
    torch.set_default_device(None)


@pytest.fixture(autouse=True)
def seeded(device: str) -> None:
    torch.manual_seed(0)
