"""`python -m analysis.paper.claims`: every command of a study as a user runs it, and the page that comes of it."""

from pathlib import Path

import pytest

from analysis.paper.claims import CLAIMS, EARLIER, STUDIES, chosen
from analysis.paper.results import write
from harness.results import Confirmation
from harness.space import load
from tests.conftest import ROOT, run


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_study_has_a_space_of_its_name_and_baselines_to_beat(study) -> None:  # type: ignore[no-untyped-def]
    (_, _, file, *options), *_ = study.commands()
    space = load(str(ROOT / "search_spaces" / file), options[1::2])
    assert space.study == study.name
    assert study.claim in CLAIMS
    assert {arm.role for arm in space.arms} == {"arm", "baseline"}
    budgets = set(space.trials_per_arm().values())
    assert len(budgets) == 1, "as many trials for every arm"


def test_a_study_that_is_not_there_is_refused_with_the_names_of_those_that_are() -> None:
    result = run("analysis.paper.claims", "--only", "digit_symmetric")
    assert result.code == 2
    for study in chosen(full=False, only=[]):
        assert study.name in result.err


def test_what_was_not_measured_is_said_and_has_no_number(tmp_path: Path) -> None:
    out = tmp_path / "RESULTS.md"
    write(STUDIES, CLAIMS, tmp_path / "runs", out)
    page = out.read_text()
    for study in chosen(full=False, only=[]):
        section = page.split(f"### {study.name}\n")[1].split("###")[0]
        assert "Not measured yet" in section
        assert "|" not in section


def test_what_was_measured_stays_written_down_where_its_runs_are_not_at_hand(tmp_path: Path) -> None:
    page = ROOT / "analysis" / "RESULTS.md"
    out = tmp_path / "RESULTS.md"
    out.write_text(page.read_text())
    write(STUDIES, CLAIMS, tmp_path / "runs", out, EARLIER)
    assert out.read_text() == page.read_text()


@pytest.mark.slow
def test_a_rehearsal_runs_every_command_and_writes_every_arm_down(tmp_path: Path) -> None:
    arguments = ("--rehearse", "--only", "digits_class_labels", "--runs-dir", str(tmp_path))
    result = run("analysis.paper.claims", *arguments)
    assert result.code == 0, result.all
    confirmation = Confirmation.load(tmp_path / "digits_class_labels")
    page = (tmp_path / "RESULTS.md").read_text()
    section = page.split("### digits_class_labels\n")[1].split("##")[0]
    for arm in load("digits_class_labels.yaml").arms:
        row = next(line for line in section.splitlines() if line.startswith(f"| {arm.name}-"))
        _, _, n, accuracy, *_ = (cell.strip() for cell in row.split("|"))
        assert n == "2"
        assert accuracy.startswith(f"{100 * confirmation.arms[arm.name].best.test_accuracy_mean:.1f} [")
    assert confirmation.verdict[1:] in section
    assert confirmation.provenance.git.commit[:12] in section
    assert (tmp_path / "pictures" / "digits_class_labels.png").stat().st_size > 5_000

    write(STUDIES, CLAIMS, tmp_path / "elsewhere", tmp_path / "RESULTS.md", EARLIER)
    assert (tmp_path / "RESULTS.md").read_text() == page
