"""When a session stops because none of its trials can run."""

import pytest

from harness.common.errors import NothingCompleted
from harness.training.errors import DataError
from harness.tuning.execution.failure_watch import FailureWatch

BROKEN = "KeyError: 'no such layer 5'"


def failed(*reasons: str) -> FailureWatch:
    watch = FailureWatch()
    for number, reason in enumerate(reasons):
        watch.trial_failed(f"learned-{number}", reason)
    return watch


def test_three_failures_for_one_reason_stop_the_session_and_are_told() -> None:
    assert failed(BROKEN, BROKEN).verdict is None
    verdict = failed(BROKEN, BROKEN, BROKEN).verdict
    assert isinstance(verdict, NothingCompleted)
    assert str(verdict).startswith(
        f"the first 3 trials (learned-0, learned-1, learned-2) failed for one reason, whatever their settings: {BROKEN}"
    )
    assert "--retry-failed" in str(verdict)
    assert "traceback" not in str(verdict)


def test_the_first_traceback_is_named() -> None:
    watch = failed(BROKEN)
    for number in (1, 2):
        watch.trial_failed(f"learned-{number}", BROKEN, f"runs/mine/trials/{number}/error.txt")
    assert f"{BROKEN}; its traceback is in runs/mine/trials/1/error.txt; mend it, and" in str(watch.verdict)


def test_numbers_in_a_reason_do_not_make_it_another() -> None:
    assert failed("OSError: file 1", "OSError: file 2", "OSError: file 10").in_doubt


@pytest.mark.parametrize(
    "reasons",
    [
        ("diverged: train_loss is nan",) * 5,
        ("out of memory: CUDA",) * 5,
        ("time limit: not done after 600 s",) * 5,
        (BROKEN, BROKEN, "ValueError: another"),
    ],
    ids=["diverged", "memory", "time", "different reasons"],
)
def test_failures_of_settings_or_for_different_reasons_stop_nothing(reasons: tuple[str, ...]) -> None:
    assert failed(*reasons).verdict is None


def test_after_one_epoch_of_any_trial_nothing_is_stopped() -> None:
    watch = failed(BROKEN, BROKEN, BROKEN)
    watch.epoch_reached()
    assert watch.verdict is None
    assert not watch.cannot_begin("learned-9", [], "data: expected …")


def test_data_that_no_trial_of_an_arm_can_use_stop_the_session_at_once() -> None:
    watch = FailureWatch()
    assert not watch.cannot_begin("learned-0", ["lr", "meta_size"], "meta_size 900: …"), "another trial has another"
    assert watch.cannot_begin("learned-0", ["lr"], "model mlp: expected …")
    assert isinstance(watch.error, DataError)
    assert str(watch.verdict) == "learned-0: model mlp: expected …"
