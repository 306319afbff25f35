"""A journal is read, or refused in words and left as it is; a damaged end costs only what it recorded."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.common.checksums import compact_json, decode_line, encode_line
from harness.space import load
from harness.tracking.spool.event_log import EventLog
from harness.tuning.study.journal import JournalError, ReadOnlyStorage
from harness.tuning.study.sweep_study import FORMAT, SweepStudy, read_trial_records
from tests.conftest import run
from tests.tuning.conftest import measured, next_trial, run_all, run_to_end, space

SMALL = ("search.trials=4", "epochs=2")


@pytest.fixture
def lines(journal: Path) -> list[bytes]:
    """The lines of a finished sweep's journal."""
    run_all(SweepStudy(journal, space(*SMALL)))
    return journal.read_bytes().splitlines(keepends=True)


def refusal(journal: Path, written: list[bytes]) -> str:
    """The message with which a journal of these lines is refused."""
    journal.write_bytes(b"".join(written))
    with pytest.raises(JournalError) as refused:
        SweepStudy(journal, space(*SMALL))
    assert journal.read_bytes() == b"".join(written), "nothing was changed"
    with pytest.raises(JournalError) as other:
        read_trial_records(journal, space(*SMALL))
    assert str(other.value) == str(refused.value), "the message names the original file"
    return str(refused.value)


def changed(line: bytes, **changes: Any) -> bytes:
    """The line with other values, and the checksum of these."""
    return encode_line({**(decode_line(line) or {}), **changes})


def without_checksum(line: bytes) -> bytes:
    return compact_json(decode_line(line) or {}) + b"\n"


def format_lines(written: list[bytes]) -> list[int]:
    return [index for index, line in enumerate(written) if b'"format"' in line]


def test_every_line_has_its_checksum_and_every_study_states_the_format(lines: list[bytes]) -> None:
    assert [changed(line) for line in lines] == lines
    assert [json.loads(lines[index])["user_attr"] for index in format_lines(lines)] == [{"format": FORMAT}] * 2


@pytest.mark.parametrize("found", [FORMAT + 1, FORMAT - 1, "two"])
def test_another_format_is_refused(journal: Path, lines: list[bytes], found: object) -> None:
    index = format_lines(lines)[0]
    other = changed(lines[index], user_attr={"format": found})
    assert refusal(journal, [*lines[:index], other, *lines[index + 1 :]]) == (
        f"{journal}: expected a journal of format {FORMAT}, got format {found}; continue with the version of the "
        "harness that wrote it, or start a new sweep with another --name"
    )


@pytest.mark.parametrize("changes", [{"op_code": 77}, {"op_code": 6, "trial_id": 99, "state": "no"}, {"op_code": 4}])
def test_an_operation_that_optuna_cannot_apply_is_refused(
    journal: Path, lines: list[bytes], changes: dict[str, Any]
) -> None:
    bad = encode_line(changes)
    assert refusal(journal, [*lines[:7], bad, *lines[8:]]).startswith(
        f"{journal}:8: expected an operation that Optuna {optuna.__version__} can apply, got "
    )


@pytest.mark.parametrize(
    "damage",
    [b"\0\0\0\n", b"\n", b'{"op_code"\n', b'{"op_code":5}\n', b"\xff\n", without_checksum],
)
def test_a_damaged_line_before_intact_ones_is_refused_and_the_advice_works(
    journal: Path, lines: list[bytes], damage: bytes | Callable[[bytes], bytes]
) -> None:
    damaged = damage if isinstance(damage, bytes) else damage(lines[7])
    assert refusal(journal, [*lines[:7], damaged, *lines[8:]]) == (
        f"{journal}:8: expected an operation of Optuna's journal with its checksum, got a damaged line; delete it and "
        "all lines after it (what they recorded is run again), put a copy of the file back, or start a new sweep with "
        "another --name"
    )
    journal.write_bytes(b"".join(lines[:7]))
    run_all(SweepStudy(journal, space(*SMALL)))
    assert [record.state for record in SweepStudy(journal, space(*SMALL)).trial_records()] == ["complete"] * 4


@pytest.mark.parametrize("index", [0, 7, -3])
def test_a_flipped_bit_anywhere_in_a_line_is_refused_with_its_number(
    journal: Path, lines: list[bytes], index: int
) -> None:
    number = range(len(lines))[index]
    for position in range(len(lines[number])):
        damaged = bytearray(lines[number])
        damaged[position] ^= 1
        message = refusal(journal, [*lines[:number], bytes(damaged), *lines[number + 1 :]])
        assert message.startswith(f"{journal}:{number + 1}: expected"), f"byte {position}"


@pytest.mark.parametrize(
    "damage",
    [
        lambda last: last[:-5],
        lambda last: last.replace(b'"op_code":', b'"op_kode":'),
        lambda last: re.sub(rb'"values":\[0\.(.)', lambda match: b'"values":[0.' + bytes([match[1][0] ^ 1]), last),
        lambda last: b"\0" * len(last),
        lambda last: b"\0" * len(last) + b"\n",
        lambda last: b"no operation\n",
        lambda last: last[:-1] + b"\r",
    ],
)
def test_a_damaged_end_is_moved_away_and_what_it_recorded_is_run_again(
    journal: Path, lines: list[bytes], damage: Callable[[bytes], bytes]
) -> None:
    wanted = SweepStudy(journal, space(*SMALL)).trial_records()
    damaged = damage(lines[-1])
    assert damaged != lines[-1]
    journal.write_bytes(b"".join([*lines[:-1], damaged]))
    assert read_trial_records(journal, space(*SMALL))[:-1] == wanted[:-1]
    assert journal.read_bytes() == b"".join([*lines[:-1], damaged]), "reading changes nothing"
    study = SweepStudy(journal, space(*SMALL))
    assert study.warnings == [
        f"{journal}: the {len(damaged)} bytes after line {len(lines) - 1} are damaged and were moved to "
        f"{journal.name}.cut; what they recorded is run again"
    ]
    assert journal.with_name(f"{journal.name}.cut").read_bytes() == damaged + b"\n"
    assert journal.read_bytes() == b"".join(lines[:-1])
    assert study.trial_records()[-1].state == "running"
    run_all(study)
    again = SweepStudy(journal, space(*SMALL))
    assert again.warnings == []
    assert again.trial_records() == wanted


def test_optuna_itself_reads_the_same_trials(journal: Path) -> None:
    """The lists of trials that are kept up to date, across a restart too."""
    settings = space("search.trials=12", "search.pruner={type: median, startup_trials: 2}")
    study = SweepStudy(journal, settings)
    for index in range(12):
        if index == 6:
            study = SweepStudy(journal, settings)
            while study.missing > 6:
                run_to_end(study, next_trial(study))
        trial = next_trial(study)
        if index % 5 == 4:
            study.fail(trial.number, "diverged")
        elif index % 5 != 3:  # those stay running
            run_to_end(study, trial)
        for theirs in (JournalStorage(JournalFileBackend(str(journal))), ReadOnlyStorage(journal)):
            for states in (None, (TrialState.COMPLETE, TrialState.PRUNED)):
                for name in ("learned", "one_hot"):
                    number = theirs.get_study_id_from_name(name)
                    ours = study._storage.get_all_trials(number, states=states)
                    assert ours == theirs.get_all_trials(number, states=states)


def test_metrics_that_are_not_finite_are_recorded(journal: Path) -> None:
    study = SweepStudy(journal, space(*SMALL))
    trial = next_trial(study)
    study.report(trial.number, 1, measured(0.5) | {"val_loss": float("nan")})
    study.fail(trial.number, "diverged")
    (record,) = SweepStudy(journal, space(*SMALL)).trial_records()
    assert str(record.metrics["val_loss"]) == "nan"


def test_a_search_warns_of_what_was_damaged(tmp_path: Path) -> None:
    journal, events = tmp_path / "label_lr" / "study.journal", tmp_path / "label_lr" / "spool" / "events.log"
    events.parent.mkdir(parents=True)
    run_all(SweepStudy(journal, load("label_lr.yaml", ["epochs=1", "search.trials=3"])))
    EventLog(events.parent).close()
    for file in (journal, events):
        file.write_bytes(file.read_bytes() + b'0123 {"cut sho')
    words = ("--space", "label_lr.yaml", "--set", "epochs=1", "--trials", "3", "--runs-dir", str(tmp_path))
    result = run("harness.search", *words)
    assert result.code == 0, result.all
    assert f"{journal}: the 14 bytes after line" in result.err
    assert f"{events}: the last" in result.err
    assert len(result.err.splitlines()) == 2
    assert json.loads((tmp_path / "label_lr" / "summary.json").read_text())["states"]["complete"] == 3
