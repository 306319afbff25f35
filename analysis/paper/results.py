"""RESULTS.md: what the studies of the claims came to, written from the files that their commands left.

Every number stands with n, seeds, interval, hardware, command and commit; where a study is missing or still runs, the
page says so. Nothing here is typed by hand, so nothing here can be better than what was measured. What the page says of
a study stays there where its runs are not at hand: studies may be measured one by one, and on several machines.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.figures import confirmation, style
from analysis.frames.sweep_frame import short
from analysis.report.sections import as_typed
from harness.common.json_files import read_json
from harness.results.provenance import Provenance

if TYPE_CHECKING:
    from analysis.paper.claims import Study

HEAD = """\
# The paper's three claims, measured

Written by `python -m analysis.paper.claims` from what its commands left; do not edit. Accuracies are those of the last
epoch on the test part, in percent, with 95 % intervals over seeds; a seed draws the split of what is not test, the
noise, the initial weights and the order, the same for every arm. Every arm was searched with the same number of
trials, and the configuration that stands here was chosen on validation images. The baselines train on the meta set
too. *Labels right*: share of the training labels whose largest entry is the true class at the end.
"""

TEACHING = 3
"""The claim that follows from class labels that other studies learned."""

ALIKE, TEACHER = "which classes are alike", "who teaches better"
UNMEASURED = "Not measured yet"


def write(studies: Iterable["Study"], claims: Mapping[int, str], runs_dir: Path, out: Path) -> None:
    """Write the page to `out` and its figures beside it, in `figures/`."""
    parts = [HEAD]
    studies = list(studies)
    before = _sections(out)
    for number, claim in claims.items():
        parts.append(f"## {number}. {claim}\n")
        for study in (study for study in studies if study.claim == number):
            section = partial(_section, study, folder=runs_dir / study.name, figures=out.parent / "figures")
            said = _said(study.name, runs_dir / study.name / "confirm.json", section, before)
            # Where a study waits for a GPU, nothing is said of it.
            parts.extend(said or ([] if study.full else _unmeasured(study)))
        for study in studies if number == TEACHING else ():
            alike, taught = f"{study.name}: {ALIKE}", f"{study.name}: {TEACHER}"
            parts += _said(alike, runs_dir / study.name / "semantics.json", partial(_likeness, alike), before)
            lessons = runs_dir / f"{study.name}-distill" / "distill.json"
            parts += _said(taught, lessons, partial(_teaching, taught), before)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts))


def _said(
    heading: str, file: Path, section: Callable[[dict[str, Any]], Iterator[str]], before: Mapping[str, str]
) -> list[str]:
    """What the file that a command left comes to; where it is not at hand, what the page said of it before."""
    found = read_json(file)
    if found is not None:
        return list(section(found))
    return [before[heading]] if heading in before else []


def _sections(page: Path) -> dict[str, str]:
    """What a page says of each thing that was measured, by its heading."""
    text = page.read_text() if page.exists() else ""
    found = {one[1]: one[0] for one in re.finditer(r"^### (.*)\n(?s:.*?)(?=^##|\Z)", text, re.MULTILINE)}
    return {heading: section.rstrip("\n") + "\n" for heading, section in found.items() if UNMEASURED not in section}


def _unmeasured(study: "Study") -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"{UNMEASURED}: `python -m analysis.paper.claims --only {study.name}`.\n"


def _section(study: "Study", found: dict[str, Any], folder: Path, figures: Path) -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"**{_sentence(found['verdict'])}**\n"
    yield from _table(found)
    picture = _picture(found, study.name, figures)
    if picture:
        yield f"![test accuracy of each configuration, a dot a seed](figures/{picture})\n"
    for note in found["notes"]:
        yield f"- {_sentence(note)}"
    yield from _ran(study, found, folder)


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    """A row a configuration, the arms first, then the best on the validation parts."""
    rows = [(name, one) for _, name, one in confirmation.configurations(found) if one["n"]]
    spoiled = any(one["label_accuracy_mean"] not in (None, 1.0) for _, one in rows)
    yield f"| configuration | n | test accuracy, % |{' labels right, % |' if spoiled else ''} parameters |"
    yield f"| --- | ---: | ---: |{' ---: |' if spoiled else ''} --- |"
    for name, one in rows:
        cells = [name, str(one["n"]), _percent(one["test_accuracy_mean"], one["ci95"])]
        cells += [_percent(one["label_accuracy_mean"], one["label_accuracy_ci95"])] if spoiled else []
        cells.append(", ".join(f"{key} {short(value)}" for key, value in one["params"].items()))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _likeness(heading: str, found: dict[str, Any]) -> Iterator[str]:
    """Which classes are alike by the labels of each arm, beside the reference."""
    yield f"### {heading}\n"
    yield f"**{_sentence(found['sentence'])}**\n"
    yield "| labels of | runs | mass on other classes, % | rank correlation | p | most alike |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for arm, one in found["arms"].items():
        agreement = one["symmetric"]
        flat = agreement["rho"] is None
        low, high = agreement["ci95"]
        alike = "" if flat else ", ".join(f"{i}~{j}" for i, j, _ in one["most_alike"][:3])
        rho = "–" if flat else f"{agreement['rho']:.2f} [{low:.2f}, {high:.2f}]"
        p = "–" if flat else f"{agreement['p_value']:.2g}"
        yield f"| {arm}-{one['trial']} | {one['runs']} | {100 * one['mass']:.1f} | {rho} | {p} | {alike} |"
    facts = {key: value for key, value in found["reference"].items() if key != "table"}
    whose = ", ".join(f"{key} {short(value)}" for key, value in facts.items())
    yield f"\nReference: {whose}. Intervals are over classes.\n"


def _teaching(heading: str, found: dict[str, Any]) -> Iterator[str]:
    """Each arm's best as a teacher, and what its student learned."""
    student, teacher = found["student"], found["teacher"]
    yield f"### {heading}\n"
    yield f"**{_sentence(found['verdict'])}**\n"
    yield (
        f"Teachers: {teacher['model']} of width {teacher['width']}; students: {student['model']} of width "
        f"{student['width']}. Test accuracy, %.\n"
    )
    yield "| teacher | n | of the teacher | of its student |"
    yield "| --- | ---: | ---: | ---: |"
    for arm, one in found["arms"].items():
        own = "–" if one["teacher"] is None else _percent(one["teacher"]["test_accuracy_mean"], one["teacher"]["ci95"])
        learned = one["student"]
        yield f"| {arm} | {learned['n']} | {own} | {_percent(learned['test_accuracy_mean'], learned['ci95'])} |"
    yield ""
    for pair in found["against_one_hot"]:
        yield f"- {_sentence(pair['sentence'])}"
    for note in found["notes"]:
        yield f"- {_sentence(note)}"
    yield ""


def _picture(found: Mapping[str, Any], name: str, figures: Path) -> str | None:
    import matplotlib as mpl

    with mpl.rc_context(style.RC):
        figure = confirmation.panel(found)
        if figure is None:
            return None
        figures.mkdir(parents=True, exist_ok=True)
        figure.savefig(figures / f"{name}.png", metadata={"Software": None})
    return f"{name}.png"


def _ran(study: "Study", found: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """What ran on what, and how to run it again."""
    searched = Provenance.load_or_none(folder)
    confirmed = Provenance(**found["provenance"]) if found.get("provenance") else None
    summary = read_json(folder / "summary.json") or {}
    states = summary.get("states", {})
    trials = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    seeds = {tuple(one["seeds"]) for _, _, one in confirmation.configurations(found) if one["n"]}
    yield ""
    yield "<details><summary>what ran on what</summary>\n"
    yield f"- trials of the search: {trials}; {_minutes(summary.get('wall_seconds'))} by the clock"
    yield f"- seeds of the confirmation: {'; '.join(', '.join(map(str, each)) for each in sorted(seeds))}"
    yield f"- rule: {found['rule']['name']}, level {found['rule']['alpha']}, {found['rule']['looks']} looks"
    for facts in (searched, confirmed):
        if facts:
            yield f"- `{as_typed(facts.command)}`: {_circumstances(facts)}"
    yield "\n</details>\n"


def _circumstances(facts: Provenance) -> str:
    commit = (facts.git.commit or "unknown")[:12] + (" with changes" if facts.git.dirty else "")
    where = f"{facts.hardware.cores} cores of {facts.hardware}"
    return f"{where}, torch {facts.versions.get('torch')}, commit {commit}, {facts.time[:10]}"


def _percent(mean: float | None, interval: Sequence[float | None] | None) -> str:
    if mean is None:
        return "–"
    low, high = interval or (None, None)
    return f"{100 * mean:.1f}" + ("" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]")


def _minutes(seconds: float | None) -> str:
    return "unknown time" if seconds is None else f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
