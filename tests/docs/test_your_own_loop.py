"""docs/your-own-loop.md: its code runs, and does what the page says."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.docs.code_blocks import ROOT, code_blocks, run_page

PAGE = ROOT / "docs" / "your-own-loop.md"


@pytest.fixture(scope="module")
def namespace() -> Iterator[dict[str, Any]]:
    """Of the page's code after its last line, run on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield run_page(PAGE)
    torch.set_num_threads(threads)


def test_the_loop_of_the_page_has_about_25_lines() -> None:
    data, loop, *_ = code_blocks(PAGE)
    assert sum(bool(line.strip()) for line in (data.code + loop.code).splitlines()) < 32


def test_the_loop_puts_wrong_labels_right_and_keeps_right_ones(namespace: dict[str, Any]) -> None:
    truth, wrong, learned = (namespace[name] for name in ("truth", "wrong", "learned"))
    assert 0.25 < wrong.float().mean() < 0.35
    assert namespace["put_right"] > 0.7
    assert (learned.argmax(1) == truth)[~wrong].float().mean() > 0.98


def test_labels_that_follow_the_model_put_more_right(namespace: dict[str, Any]) -> None:
    right = namespace["following"].as_tensor().argmax(1) == namespace["truth"]
    assert right[namespace["wrong"]].float().mean() > max(0.8, namespace["put_right"])


def test_so_does_the_loop_of_a_model_that_takes_a_dict_and_returns_an_object(namespace: dict[str, Any]) -> None:
    right = namespace["text_labels"].as_tensor().argmax(1) == namespace["truth"]
    assert right.float().mean() > 0.88
    assert right[namespace["wrong"]].float().mean() > 0.6


def test_the_further_sections_take_steps_that_are_finite(namespace: dict[str, Any]) -> None:
    assert all(parameter.isfinite().all() for parameter in namespace["model"].parameters())
    for name in ("labels", "class_labels"):
        labels = namespace[name]
        assert torch.allclose(labels.as_tensor().sum(1), torch.ones(len(labels.table)))
        assert not torch.equal(labels.as_tensor(), labels.initial[labels.assignment])
    assert torch.equal(namespace["saved"]["labels"]["table"], namespace["class_labels"].table)
    assert namespace["scheduler"].get_last_lr()[0] == pytest.approx(0, abs=1e-9)  # the cosine is at its end
    assert float(namespace["norm"]) > 0
    assert namespace["step"].scale == 16 / 0.05  # of the plain SGD step beside RMSprop, and its last batch


def test_the_error_at_the_end_is_the_one_that_the_page_quotes(namespace: dict[str, Any]) -> None:
    quoted = "labels: expected floating soft labels [batch, classes], got torch.int64 of shape [64]; "
    assert namespace["message"].startswith(quoted)
    assert quoted in PAGE.read_text()
