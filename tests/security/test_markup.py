"""Text of a trial, a server or a file is text in a terminal."""

import io

import pytest
from rich.console import Console

from harness.cli import refuse
from harness.console import results_table

EVIL = "[/red] [link=http://evil]x[/link]"


def test_values_of_parameters_are_no_markup_in_a_terminal() -> None:
    arm = {
        "role": "arm", "trials": 1, "val_accuracy": 0.5, "noisy_labels_corrected": 0.5, "params": {"given_labels": EVIL}
    }  # fmt: skip
    printed = io.StringIO()
    Console(file=printed, width=200).print(results_table({"arms": {"learned": arm}}))
    assert EVIL in printed.getvalue()


def test_an_error_sends_no_codes_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse(ValueError("own.npz: got \x1b]0;owned\x07\x1b[2J\nnext line → as it is")) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\x07" not in said
    assert said.splitlines()[1] == "next line → as it is"
