"""Text of a trial, a server or a file is text in a terminal."""

import io

import pytest
from rich.console import Console

from harness.cli import print_error
from harness.search.terminal import results_table
from tests.support.results import arm_summary, summary

EVIL = "[/red] [link=http://evil]x[/link]"


def test_values_of_parameters_are_no_markup_in_a_terminal() -> None:
    printed = io.StringIO()
    Console(file=printed, width=200).print(
        results_table(summary({"learned": arm_summary(params={"given_labels": EVIL})}))
    )
    assert EVIL in printed.getvalue()


def test_an_error_sends_no_codes_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_error(ValueError("own.npz: got \x1b]0;owned\x07\x1b[2J\nnext line → as it is")) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\x07" not in said
    assert said.splitlines()[1] == "next line → as it is"
