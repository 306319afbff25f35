"""Settings that change in mid-run: their text, what they do, and that a stopped run goes on with them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.training.config.checks import check_config
from harness.training.config.mid_run_changes import CHANGEABLE, format_changes, parse_changes
from harness.training.config.run_config import RunConfig
from harness.training.run import Run

CONFIG = {"noise": "symmetric", "noise_rate": 0.4, "epochs": 5, "width": 16, "meta_size": 50}
CHANGES = (
    "1: label_momentum=0.9 label_lr=0.3; 3: lr=0.2 momentum=0.5 meta_interval=2 label_smoothing=0.1 label_decay=0.01"
)


def train_epoch(run: Run) -> dict[str, float]:
    """Metrics of an epoch without its time, and without the way from the first labels: those of a run that was built
    with another smoothing are others."""
    return {name: value for name, value in run.train_epoch().items() if name not in ("seconds", "label_moved")}


def curve(run: Run) -> list[dict[str, float]]:
    metrics = []
    while not run.done:
        metrics.append(train_epoch(run))
    return metrics


@given(
    st.dictionaries(
        st.integers(1, 999),
        st.dictionaries(st.sampled_from(CHANGEABLE), st.floats(1e-9, 1e9) | st.integers(1, 99), min_size=1),
    )
)
def test_the_text_of_changes_is_read_back(changes: dict[int, dict[str, float]]) -> None:
    ordered = dict(sorted(changes.items()))
    assert parse_changes(format_changes(ordered.items())) == ordered


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("8", "expected EPOCH: NAME=VALUE"),
        ("8: label_lr 0.1", "expected EPOCH: NAME=VALUE"),
        ("8: width=3", "expected one of lr, .*, got width; only these may change in mid-run"),
        ("8: lr=much", "expected a number for lr, got much"),
        ("8: lr=0.1; 8: lr=0.2", "expected epochs from 1 on, in order, got 8"),
        ("0: lr=0.1", "expected epochs from 1 on, in order, got 0"),
    ],
)
def test_another_form_is_refused_in_words(text: str, error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        RunConfig(changes=text)


def test_values_out_of_bounds_are_problems_of_the_configuration() -> None:
    (problem,) = check_config(RunConfig(changes="2: lr=-1.0"))
    assert problem.startswith("changes: lr: ")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_change_equals_a_checkpoint_taken_up_under_other_settings(optimizer: str) -> None:
    changing = curve(Run(RunConfig(**CONFIG, optimizer=optimizer, changes=CHANGES)))
    settings: dict[str, Any] = {**CONFIG, "optimizer": optimizer}
    run, expected = Run(RunConfig(**settings)), []
    for epoch in range(5):
        if epoch in parse_changes(CHANGES):
            settings |= parse_changes(CHANGES)[epoch]
            state, run = run.state_dict(), Run(RunConfig(**settings))
            run.load_state_dict(state, CHANGEABLE)
        expected.append(train_epoch(run))
    assert changing == expected
    assert changing[0] == curve(Run(RunConfig(**CONFIG, optimizer=optimizer)))[0]
    assert changing[1:] != curve(Run(RunConfig(**CONFIG, optimizer=optimizer)))[1:]


@pytest.mark.parametrize("stopped", [1, 2, 3, 4])
def test_a_stopped_run_goes_on_with_its_changes(stopped: int) -> None:
    config = RunConfig(**CONFIG, changes=CHANGES)
    whole, first, second = curve(Run(config)), Run(config), Run(config)
    for _ in range(stopped):
        first.train_epoch()
    second.load_state_dict(first.state_dict())
    assert curve(second) == whole[stopped:]
