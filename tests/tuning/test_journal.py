"""A journal that cannot be read is refused in words, and left as it is."""

import json
import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from harness.tuning.journal import FORMAT
from harness.tuning.ledger import Ledger, LedgerError, entries_of
from tests.conftest import run
from tests.tuning.conftest import run_all, space

SMALL = ("search.trials=4", "epochs=2")


@pytest.fixture
def lines(journal: Path) -> list[bytes]:
    """Those of a finished sweep's journal."""
    run_all(Ledger(journal, space(*SMALL)))
    return journal.read_bytes().splitlines(keepends=True)


def refused(journal: Path, written: list[bytes]) -> str:
    journal.write_bytes(b"".join(written))
    with pytest.raises(LedgerError) as refusal:
        Ledger(journal, space(*SMALL))
    assert journal.read_bytes() == b"".join(written), "nothing was changed"
    with pytest.raises(LedgerError) as other:
        entries_of(journal, space(*SMALL))
    assert str(other.value) == str(refusal.value), "the words name the file that was meant"
    return str(refusal.value)


def operation(line: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(line) | changes).encode() + b"\n"


def formats(written: list[bytes]) -> list[int]:
    """Places of the lines that say a format."""
    return [place for place, line in enumerate(written) if b'"format"' in line]


def test_a_journal_says_its_format(lines: list[bytes]) -> None:
    assert [json.loads(lines[place])["user_attr"] for place in formats(lines)] == [{"format": FORMAT}] * 2


def test_a_journal_of_before_formats_is_gone_on_with(journal: Path, lines: list[bytes]) -> None:
    said = formats(lines)
    journal.write_bytes(b"".join(line for place, line in enumerate(lines) if place not in said))
    entries = Ledger(journal, space(*SMALL)).entries()
    assert [entry.state for entry in entries] == ["complete"] * 4
    assert len(run_all(Ledger(journal, space("search.trials=6", "epochs=2")))) == 2
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
    run_all(Ledger(journal, space(*SMALL)))
    assert [entry.state for entry in Ledger(journal, space(*SMALL)).entries()] == ["complete"] * 4


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
