"""docs/your-own-tuner.md: its code runs, and does what the page says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.docs.code_blocks import ROOT, run_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray warns of its own code
]

PAGE = ROOT / "docs" / "your-own-tuner.md"


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Of the page's code after its last line, run in an empty folder on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        yield run_page(PAGE)
    torch.set_num_threads(threads)


def test_the_tuner_finds_a_model_that_is_better_than_chance(namespace: dict[str, Any]) -> None:
    best = namespace["best"]
    assert best.metrics["epoch"] == 8
    assert best.metrics["val_accuracy"] > 0.5
    assert Path(namespace["storage"], "own_tuner").is_dir()


def test_the_schedule_runs_on_another_seed(namespace: dict[str, Any]) -> None:
    assert not namespace["results"].errors
    assert namespace["config"]["changes"]
    assert len(namespace["curve"]) == 8
