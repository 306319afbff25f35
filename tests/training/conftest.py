"""Small runs of the real thing, on one core."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.training.data import arrays, pool


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Sums in a fixed order, and a core left to whoever else is at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set read before, and an empty cache folder, which is returned."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget_data()
    return tmp_path / "cache"


def forget_data() -> None:
    """Drop the data sets in memory, as in a new process."""
    arrays.data_version.cache_clear()
    arrays._arrays_of_version.cache_clear()
    pool._images.cache_clear()
