"""A small space file to damage, and how its problems read."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.space import Space, SpaceError, load

SPACE = """\
study: small
fixed:
  noise: symmetric
  noise_rate: 0.4
parameters:
  lr: {type: float, low: 0.01, high: 0.5, log: true}
arms:
  learned:
    method: learned
    parameters:
      label_lr: {type: float, low: 0.01, high: 10.0, log: true}
      meta_interval: {type: int, low: 1, high: 8}
baselines:
  one_hot:
    method: one_hot
    parameters:
      epochs: {type: int, low: 2, high: 40, log: true}
search:
  trials: 5
"""


@pytest.fixture
def space_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`small.yaml`, in a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "small.yaml"
    file.write_text(SPACE)
    return file


@pytest.fixture
def loaded(space_file: Path) -> Callable[..., Space]:
    """The small space, with a piece of its text replaced and overrides made."""

    def load_it(old: str = "", new: str = "", overrides: Sequence[str] = ()) -> Space:
        text = space_file.read_text()
        assert old in text
        space_file.write_text(text.replace(old, new, 1) if old else text + new)
        return load("small.yaml", overrides)

    return load_it


@pytest.fixture
def problems(loaded: Callable[..., Space]) -> Callable[..., list[str]]:
    """The lines that refuse the small space, changed likewise."""

    def refuse(old: str = "", new: str = "", overrides: Sequence[str] = ()) -> list[str]:
        with pytest.raises(SpaceError) as refusal:
            loaded(old, new, overrides)
        return str(refusal.value).splitlines()

    return refuse
