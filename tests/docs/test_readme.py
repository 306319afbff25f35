"""README.md: its comparison of methods holds the numbers of analysis/RESULTS.md."""

import re

from tests.docs.code_blocks import ROOT

README, RESULTS = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "analysis/RESULTS.md"))


def table_rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def confirmed(study: str) -> dict[str, str]:
    """Arm → test accuracy in percent, from the study's section of RESULTS.md."""
    section = re.split(r"^##", RESULTS.split(f"### {study}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    return {row[0].rpartition("-")[0]: row[2].split()[0] for row in table_rows(section)[2:]}


def test_the_comparison_holds_the_numbers_of_the_studies() -> None:
    (_, *columns), _, *rows = table_rows(README)
    studies = [re.sub(r":? ", "_noise_", name.lower(), count=1) for name in columns]
    accuracies = [confirmed(study.replace("fashion-mnist", "fashion")) for study in studies]
    arms = [re.findall(r"`(\w+)`", row[0])[0] for row in rows]
    assert set(arms) == set(accuracies[0])
    for arm, (_, *cells) in zip(arms, rows, strict=True):
        assert [cell.strip("*") for cell in cells] == [study[arm] for study in accuracies], arm
