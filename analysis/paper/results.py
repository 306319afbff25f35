"""RESULTS.md: what the studies of the claims came to, written from the files that their commands left.

Every number stands with n, seeds, interval, hardware, command and commit; where a study is missing or still runs, the
page says so. Nothing here is typed by hand, so nothing here can be better than what was measured. What the page says of
a study stays there where its runs are not at hand: studies may be measured one by one, and on several machines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from analysis.figures import confirmation, style
from analysis.paper.claim_study import ClaimStudy
from analysis.report.sections import as_typed
from harness.common.formatting import MISSING, correlation, duration, interval, p_value, sentence, settings
from harness.results import Confirmation, Distillation, Semantics, SweepSummary
from harness.results.measurement import Interval
from harness.results.provenance import Provenance

HEAD = """\
# The paper's three claims, measured

Written by `python -m analysis.paper.claims` from what its commands left; do not edit. Accuracies are those of the last
epoch on the test part, in percent, with 95 % intervals over seeds; a seed draws the split of what is not test, the
noise, the initial weights and the order, the same for every arm. Every arm was searched with the same number of
trials, and the configuration that stands here was chosen on validation images. The baselines train on the meta set
too. *Labels right*: share of the training labels whose largest entry is the true class at the end.
"""

TEACHING_CLAIM = 3
"""The claim that follows from class labels that other studies learned."""

ALIKE, TEACHER = "which classes are alike", "who teaches better"
UNMEASURED = "Not measured yet"


def write(studies: Iterable[ClaimStudy], claims: Mapping[int, str], runs_dir: Path, out: Path) -> None:
    """Write the page to `out` and its figures beside it, in `figures/`."""
    parts = [HEAD]
    studies = list(studies)
    before = _sections(out)
    for number, claim in claims.items():
        parts.append(f"## {number}. {claim}\n")
        for study in (study for study in studies if study.claim == number):
            folder = runs_dir / study.name
            confirmed = Confirmation.load_or_none(folder)
            lines = _confirmation(study, confirmed, folder, out.parent / "figures") if confirmed else None
            # Nothing is said of a study that waits for a GPU.
            parts += _new_or_before(study.name, lines, before) or ([] if study.full else _unmeasured(study))
        for study in studies if number == TEACHING_CLAIM else ():
            alike, taught = f"{study.name}: {ALIKE}", f"{study.name}: {TEACHER}"
            semantics = Semantics.load_or_none(runs_dir / study.name)
            parts += _new_or_before(alike, _semantics(alike, semantics) if semantics else None, before)
            distilled = Distillation.load_or_none(runs_dir / f"{study.name}-distill")
            parts += _new_or_before(taught, _distillation(taught, distilled) if distilled else None, before)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts))


def _new_or_before(heading: str, lines: Iterator[str] | None, before: Mapping[str, str]) -> list[str]:
    """The lines; where there is no result, what the page said under the heading before."""
    if lines is not None:
        return list(lines)
    return [before[heading]] if heading in before else []


def _sections(page: Path) -> dict[str, str]:
    """What a page says of each thing that was measured, by its heading."""
    text = page.read_text() if page.exists() else ""
    found = {one[1]: one[0] for one in re.finditer(r"^### (.*)\n(?s:.*?)(?=^##|\Z)", text, re.MULTILINE)}
    return {heading: section.rstrip("\n") + "\n" for heading, section in found.items() if UNMEASURED not in section}


def _unmeasured(study: ClaimStudy) -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"{UNMEASURED}: `python -m analysis.paper.claims --only {study.name}`.\n"


def _confirmation(study: ClaimStudy, found: Confirmation, folder: Path, figures: Path) -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"**{sentence(found.verdict)}**\n"
    yield from _table(found)
    picture = _picture(found, study.name, figures)
    if picture:
        yield f"![test accuracy of each configuration, a dot a seed](figures/{picture})\n"
    for note in found.notes:
        yield f"- {sentence(note)}"
    yield from _ran(found, folder)


def _table(found: Confirmation) -> Iterator[str]:
    """One row per configuration, the arms first, then the best on the validation parts."""
    rows = [(name, one) for _, name, one in found.ranked() if one.n]
    noisy = any(one.label_accuracy_mean not in (None, 1.0) for _, one in rows)
    yield f"| configuration | n | test accuracy, % |{' labels right, % |' if noisy else ''} parameters |"
    yield f"| --- | ---: | ---: |{' ---: |' if noisy else ''} --- |"
    for name, one in rows:
        cells = [name, str(one.n), _percent(one.test_accuracy_mean, one.ci95)]
        cells += [_percent(one.label_accuracy_mean, one.label_accuracy_ci95)] if noisy else []
        yield f"| {' | '.join([*cells, ', '.join(settings(one.params))])} |"
    yield ""


def _semantics(heading: str, found: Semantics) -> Iterator[str]:
    """Which classes are alike by the labels of each arm, beside the reference."""
    yield f"### {heading}\n"
    yield f"**{sentence(found.sentence)}**\n"
    yield "| labels of | runs | mass on other classes, % | rank correlation | p | most alike |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for arm, one in found.arms.items():
        agreement = one.symmetric
        flat = agreement.rho is None
        alike = "" if flat else ", ".join(f"{i}~{j}" for i, j, _ in one.most_alike[:3])
        rho = MISSING if flat else f"{correlation(agreement.rho)} {interval(agreement.ci95, digits=2)}"
        mass = f"{100 * one.off_class_mass:.1f}"
        yield f"| {arm}-{one.trial} | {one.runs} | {mass} | {rho} | {p_value(agreement.p_value)} | {alike} |"
    facts = {"kind": found.reference.kind, **found.reference.facts}
    yield f"\nReference: {', '.join(settings(facts))}. Intervals are over classes.\n"


def _distillation(heading: str, found: Distillation) -> Iterator[str]:
    """Each arm's best as a teacher, and what its student learned."""
    student, teacher = found.student, found.teacher
    yield f"### {heading}\n"
    yield f"**{sentence(found.verdict)}**\n"
    yield (
        f"Teachers: {teacher.model} of width {teacher.width}; students: {student.model} of width "
        f"{student.width}. Test accuracy, %.\n"
    )
    yield "| teacher | n | of the teacher | of its student |"
    yield "| --- | ---: | ---: | ---: |"
    for arm, one in found.arms.items():
        own, learned = (
            _percent(each.test_accuracy_mean, each.ci95) if each else MISSING for each in (one.teacher, one.student)
        )
        yield f"| {arm} | {one.student.n if one.student else 0} | {own} | {learned} |"
    yield ""
    for line in (*(effect.sentence for effect in found.against_one_hot), *found.notes):
        yield f"- {sentence(line)}"
    yield ""


def _picture(found: Confirmation, name: str, figures: Path) -> str | None:
    import matplotlib as mpl

    with mpl.rc_context(style.RC):
        figure = confirmation.panel(found)
        if figure is None:
            return None
        figures.mkdir(parents=True, exist_ok=True)
        figure.savefig(figures / f"{name}.png", metadata={"Software": None})
    return f"{name}.png"


def _ran(found: Confirmation, folder: Path) -> Iterator[str]:
    """What ran on what, and how to run it again."""
    summary = SweepSummary.load_or_none(folder)
    states = summary.states.model_dump() if summary else {}
    trials = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    seeds = {tuple(one.seeds) for _, _, one in found.ranked() if one.n}
    took = duration(summary.wall_seconds) if summary else "unknown time"
    yield ""
    yield "<details><summary>what ran on what</summary>\n"
    yield f"- trials of the search: {trials}; {took} by the clock"
    yield f"- seeds of the confirmation: {'; '.join(', '.join(map(str, each)) for each in sorted(seeds))}"
    yield f"- rule: {found.rule.name}, level {found.rule.alpha}, {found.rule.n_comparisons} looks"
    for facts in (Provenance.load_or_none(folder), found.provenance):
        if facts:
            yield f"- `{as_typed(facts.command)}`: {_circumstances(facts)}"
    yield "\n</details>\n"


def _circumstances(facts: Provenance) -> str:
    commit = (facts.git.commit or "unknown")[:12] + (" with changes" if facts.git.dirty else "")
    where = f"{facts.hardware.cores} cores of {facts.hardware}"
    return f"{where}, torch {facts.versions.get('torch')}, commit {commit}, {facts.time[:10]}"


def _percent(mean: float | None, ends: Interval | None) -> str:
    if mean is None:
        return MISSING
    return f"{100 * mean:.1f} {interval(ends, scale=100, digits=1, missing='')}".rstrip()
