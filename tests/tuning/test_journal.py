"""A journal that cannot be read is refused in words, and left as it is."""

import json
import re
import statistics
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from harness.space import load
from harness.tracking.spool.event_log import Spool
from harness.tuning.study.journal import FORMAT, _Lines, _NoLock
from harness.tuning.study.read_only import onlooker
from harness.tuning.study.sweep_study import JournalError, SweepStudy, read_trial_records
from tests.conftest import run
from tests.tuning.conftest import measured, run_all, run_to_end, space

SMALL = ("search.trials=4", "epochs=2")


@pytest.fixture
def lines(journal: Path) -> list[bytes]:
    """Those of a finished sweep's journal."""
    run_all(SweepStudy(journal, space(*SMALL)))
    return journal.read_bytes().splitlines(keepends=True)


def refused(journal: Path, written: list[bytes]) -> str:
    journal.write_bytes(b"".join(written))
    with pytest.raises(JournalError) as refusal:
        SweepStudy(journal, space(*SMALL))
    assert journal.read_bytes() == b"".join(written), "nothing was changed"
    with pytest.raises(JournalError) as other:
        read_trial_records(journal, space(*SMALL))
    assert str(other.value) == str(refusal.value), "the words name the file that was meant"
    return str(refusal.value)


def operation(line: bytes, **changes: Any) -> bytes:
    """A line as if it had been written so."""
    return summed({key: value for key, value in (json.loads(line) | changes).items() if key != "crc32"})


def summed(operation: dict[str, Any]) -> bytes:
    body = json.dumps(operation, separators=(",", ":"))
    return f'{body[:-1]},"crc32":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def unsummed(line: bytes) -> bytes:
    """A line as it was before there were checksums."""
    return (
        json.dumps({k: v for k, v in json.loads(line).items() if k != "crc32"}, separators=(",", ":")).encode() + b"\n"
    )


def formats(written: list[bytes]) -> list[int]:
    """Places of the lines that say a format."""
    return [place for place, line in enumerate(written) if b'"format"' in line]


def test_a_journal_says_its_format(lines: list[bytes]) -> None:
    assert [json.loads(lines[place])["user_attr"] for place in formats(lines)] == [{"format": FORMAT}] * 2


def test_a_journal_of_before_formats_is_gone_on_with(journal: Path, lines: list[bytes]) -> None:
    said = formats(lines)
    journal.write_bytes(b"".join(line for place, line in enumerate(lines) if place not in said))
    entries = SweepStudy(journal, space(*SMALL)).trial_records()
    assert [entry.state for entry in entries] == ["complete"] * 4
    assert len(run_all(SweepStudy(journal, space("search.trials=6", "epochs=2")))) == 2
    assert len(formats(journal.read_bytes().splitlines())) == 2


@pytest.mark.parametrize("found", [FORMAT + 1, 0, "two", None])
def test_a_journal_of_another_format_is_refused(journal: Path, lines: list[bytes], found: object) -> None:
    place = formats(lines)[0]
    said = refused(journal, [*lines[:place], operation(lines[place], user_attr={"format": found}), *lines[place + 1 :]])
    assert said == (
        f"{journal}: expected a journal of format 1 to {FORMAT}, got format {found}; go on with the version of the "
        "harness that wrote it, or begin anew with another --name"
    )


def test_a_newer_format_is_told_even_where_its_lines_cannot_be_read(journal: Path, lines: list[bytes]) -> None:
    place = formats(lines)[0]
    newer = operation(lines[place], user_attr={"format": 9})
    said = refused(journal, [*lines[:place], newer, operation(lines[-1], op_code=77), *lines[place + 1 :]])
    assert f"{journal}:{place + 1}: expected a journal of format 1 to {FORMAT}, got format 9" in said


def test_an_operation_that_this_optuna_does_not_know_is_told(journal: Path, lines: list[bytes]) -> None:
    said = refused(journal, [*lines[:7], operation(lines[7], op_code=77), *lines[8:]])
    assert said.startswith(
        f"{journal}:8: expected an operation that Optuna {optuna.__version__} knows, got number 77; go on with the "
    )


@pytest.mark.parametrize(
    "damage", [b"\0\0\0\n", b"\n", b"3\n", b'{"op_code"\n', b'{"op_code":5}\n', b'{"a":1}\n', b"\xff\n"]
)
def test_a_damaged_line_in_the_middle_is_told_with_its_number(journal: Path, lines: list[bytes], damage: bytes) -> None:
    said = refused(journal, [*lines[:7], damage, *lines[8:]])
    assert re.match(
        rf"{journal}:8: expected an operation of Optuna's journal, got .+; the file is damaged there: put a copy back, "
        r"or cut it off before that line \(what followed is run again\), or begin anew with another --name$",
        said,
    )


def test_what_the_words_advise_works(journal: Path, lines: list[bytes]) -> None:
    journal.write_bytes(b"".join(lines[:7]))
    run_all(SweepStudy(journal, space(*SMALL)))
    assert [entry.state for entry in SweepStudy(journal, space(*SMALL)).trial_records()] == ["complete"] * 4


def test_a_search_refuses_a_damaged_journal_and_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "label_lr"
    folder.mkdir()
    (folder / "study.journal").write_bytes(b"no journal\n")
    result = run("harness.search", "--space", "label_lr.yaml", "--runs-dir", str(tmp_path))
    assert result.code == 2
    assert result.err.startswith(f"{folder}/study.journal:1: expected an operation of Optuna's journal, got something")
    assert "Traceback" not in result.all
    assert (folder / "study.journal").read_bytes() == b"no journal\n"
    assert not (folder / "space.yaml").exists()


# Checksums


def test_every_line_has_its_checksum(lines: list[bytes]) -> None:
    assert [operation(line) for line in lines] == lines


@pytest.mark.parametrize("place", [0, 7, -3])
def test_a_flipped_bit_anywhere_in_a_line_is_told_with_its_number(
    journal: Path, lines: list[bytes], place: int
) -> None:
    """Of the first line, too; there alone a bit in the name of the checksum may be any, as it changes no operation."""
    number = range(len(lines))[place]
    kept = lines[number].rpartition(b',"crc32":"')[0]
    for at in range(len(kept) if number == 0 else len(lines[number])):
        damaged = bytearray(lines[number])
        damaged[at] ^= 1
        assert f"{journal}:{number + 1}: expected an operation of Optuna's journal" in refused(
            journal, [*lines[:number], bytes(damaged), *lines[number + 1 :]]
        ), f"byte {at}"


def test_a_line_without_a_checksum_after_lines_with_one_is_damaged(journal: Path, lines: list[bytes]) -> None:
    assert f"{journal}:8: expected" in refused(journal, [*lines[:7], unsummed(lines[7]), *lines[8:]])


@pytest.mark.parametrize("until", [1, 9, None])
def test_a_journal_of_before_checksums_is_gone_on_with(journal: Path, lines: list[bytes], until: int | None) -> None:
    head = [unsummed(line) for line in lines[:until]]
    journal.write_bytes(b"".join([*head, *lines[len(head) :]]))
    ledger = SweepStudy(journal, space(*SMALL))
    assert [entry.state for entry in ledger.trial_records()] == ["complete"] * 4
    assert len(run_all(SweepStudy(journal, space("search.trials=6", "epochs=2")))) == 2
    after = journal.read_bytes().splitlines(keepends=True)
    assert after[: len(head)] == head, "what was written stays as it was"
    assert [operation(line) for line in after[len(head) :]] == after[len(head) :]


@pytest.mark.parametrize(
    "inject_noise",
    [
        lambda last: last[:-5],
        lambda last: last.replace(b'"op_code":', b'"op_kode":'),
        lambda last: b"\0" * len(last),
        lambda last: b"\0" * len(last) + b"\n",
        lambda last: b"no operation\n",
        lambda last: last[:-1] + b"\r",
    ],
)
def test_a_damaged_end_is_put_aside_and_told_and_what_it_said_is_asked_for_again(
    journal: Path, lines: list[bytes], inject_noise: Callable[[bytes], bytes]
) -> None:
    wanted = SweepStudy(journal, space(*SMALL)).trial_records()
    damaged = inject_noise(lines[-1])
    journal.write_bytes(b"".join([*lines[:-1], damaged]))
    assert read_trial_records(journal, space(*SMALL))[:-1] == wanted[:-1], "who only looks changes nothing"
    assert journal.read_bytes() == b"".join([*lines[:-1], damaged])
    ledger = SweepStudy(journal, space(*SMALL))
    assert ledger.warnings == [
        f"{journal}: expected an operation of Optuna's journal after line {len(lines) - 1}, got a damaged end of "
        f"{len(damaged)} bytes; it is kept in {journal.name}.cut, and what it told is asked for again"
    ]
    assert journal.with_name(f"{journal.name}.cut").read_bytes() == damaged + b"\n"
    assert journal.read_bytes() == b"".join(lines[:-1])
    run_all(ledger)
    again = SweepStudy(journal, space(*SMALL))
    assert again.warnings == []
    assert again.trial_records() == wanted


def test_a_digit_that_was_flipped_in_the_last_line_is_not_believed(journal: Path, lines: list[bytes]) -> None:
    wanted = SweepStudy(journal, space(*SMALL)).trial_records()
    last = re.sub(rb'"values":\[0\.(.)', lambda found: b'"values":[0.' + bytes([found[1][0] ^ 1]), lines[-1])
    assert last != lines[-1]
    journal.write_bytes(b"".join([*lines[:-1], last]))
    assert SweepStudy(journal, space(*SMALL)).trial_records()[-1].state == "running"
    run_all(SweepStudy(journal, space(*SMALL)))
    assert SweepStudy(journal, space(*SMALL)).trial_records() == wanted


def test_lines_of_a_newer_format_are_not_taken_for_a_damaged_end(journal: Path, lines: list[bytes]) -> None:
    newer = [unsummed(operation(lines[formats(lines)[0]], user_attr={"format": FORMAT + 1})), unsummed(lines[-1])]
    assert f"{journal}:{len(lines) + 1}: expected a journal of format 1 to {FORMAT}, got" in refused(
        journal, [*lines, *newer]
    )


def test_optuna_and_its_dashboard_read_the_same_as_the_harness(journal: Path, lines: list[bytes]) -> None:
    known = SweepStudy(journal, space(*SMALL)).trial_records()
    for storage in (JournalStorage(JournalFileBackend(str(journal))), onlooker(journal)):
        studies = [optuna.load_study(study_name=name, storage=storage) for name in ("learned", "one_hot")]
        values = {trial._trial_id: trial.value for study in studies for trial in study.trials}
        assert values == {entry.number: entry.value for entry in known}


def test_a_checksum_costs_less_than_a_tenth_of_a_millisecond(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it adds to Optuna's own write, whose `fsync` would drown it; the median of 300."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    log = {"op_code": 8, "worker_id": "w" * 40, "trial_id": 1, "user_attr": {"end": measured(0.5) | {"reason": "x"}}}
    own, optunas = (kind(str(journal), lock_obj=_NoLock()) for kind in (_Lines, JournalFileBackend))

    def seconds(backend: JournalFileBackend) -> float:
        began = time.perf_counter()
        backend.append_logs([log])
        return time.perf_counter() - began

    pairs = [(seconds(own), seconds(optunas)) for _ in range(300)]
    added = statistics.median(with_it - without for with_it, without in pairs)
    assert added < 1e-4


def test_a_search_says_what_was_damaged(tmp_path: Path) -> None:
    journal, records = tmp_path / "label_lr" / "study.journal", tmp_path / "label_lr" / "spool" / "records.log"
    records.parent.mkdir(parents=True)
    run_all(SweepStudy(journal, load("label_lr.yaml", ["epochs=1", "search.trials=3"])))
    Spool(records.parent).close()
    for file in (journal, records):
        file.write_bytes(file.read_bytes() + b'0123 {"cut sho')
    words = ("--space", "label_lr.yaml", "--set", "epochs=1", "--trials", "3", "--runs-dir", str(tmp_path))
    result = run("harness.search", *words)
    assert result.code == 0, result.all
    assert f"{journal}: expected an operation of Optuna's journal after line" in result.err
    assert f"{records}: the last record was cut short" in result.err
    assert len(result.err.splitlines()) == 2
    assert json.loads((tmp_path / "label_lr" / "summary.json").read_text())["states"]["complete"] == 3


def test_its_trials_are_those_that_optuna_itself_reads(journal: Path) -> None:
    """They are kept in order as they are written, not gathered anew."""
    ledger = SweepStudy(journal, space("search.trials=12", "search.pruner={type: median, startup_trials: 2}"))
    for at in range(12):
        trial = ledger.next()
        assert trial is not None
        if at % 5 == 4:
            ledger.fail(trial.number, "diverged")
        elif at % 5 != 3:  # those stay under way
            run_to_end(ledger, trial)
        theirs = JournalStorage(JournalFileBackend(str(journal)))
        for study in theirs.get_all_studies():
            assert ledger._storage.get_all_trials(study._study_id) == theirs.get_all_trials(study._study_id)
            ended = (TrialState.COMPLETE, TrialState.PRUNED)
            assert ledger._storage.get_all_trials(study._study_id, states=ended) == theirs.get_all_trials(
                study._study_id, states=ended
            )
