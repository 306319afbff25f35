"""RESULTS.md: results of the studies of the claims, written from the files that their commands left.

Every number stands with n, seeds, interval, hardware, command and commit; where a study is missing or still runs, the
page says so. The section of a study whose runs are not on this machine stays as it is: studies may be measured one by
one, and on several machines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from analysis.figures import confirmation, style
from analysis.paper.claim_study import ClaimStudy
from analysis.report.sections import as_typed
from harness.common.formatting import (
    MISSING,
    as_sentence,
    format_correlation,
    format_duration,
    format_interval,
    format_p_value,
    format_settings,
)
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

EARLIER_HEAD = """\
## Earlier forms

The same test parts were opened for earlier forms of the learned arm, in studies whose space files are gone:
"""

CLASSES_CLAIM = 3
"""The claim about the class labels that the other claims' studies learned."""

SIMILARITY, TEACHERS = "which classes are alike", "who teaches better"
UNMEASURED = "Not measured yet"


def write(
    studies: Iterable[ClaimStudy], claims: Mapping[int, str], runs_dir: Path, out: Path, earlier: Iterable[str] = ()
) -> None:
    """Write the page to `out` and its figures beside it, in `pictures/`; lines on `earlier` studies end it."""
    parts = [HEAD]
    studies = list(studies)
    before = _sections(out)
    for number, claim in claims.items():
        parts.append(f"## {number}. {claim}\n")
        for study in (study for study in studies if study.claim == number):
            folder = runs_dir / study.name
            confirmed = Confirmation.load_or_none(folder)
            lines = _confirmation(study, confirmed, folder, out.parent / "pictures") if confirmed else None
            # a study that needs a GPU is not listed before it was measured
            parts += _new_or_before(study.name, lines, before) or ([] if study.full else _unmeasured(study))
        for study in studies if number == CLASSES_CLAIM else ():
            similarity, teachers = f"{study.name}: {SIMILARITY}", f"{study.name}: {TEACHERS}"
            semantics = Semantics.load_or_none(runs_dir / study.name)
            parts += _new_or_before(similarity, _semantics(similarity, semantics) if semantics else None, before)
            distilled = Distillation.load_or_none(runs_dir / f"{study.name}-distill")
            parts += _new_or_before(teachers, _distillation(teachers, distilled) if distilled else None, before)
    ended = [f"- {line}" for line in earlier]
    if ended:
        parts += [EARLIER_HEAD, *ended, ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")


def _new_or_before(heading: str, lines: Iterator[str] | None, before: Mapping[str, str]) -> list[str]:
    """The new lines; without a result the section that the page had before."""
    if lines is not None:
        return list(lines)
    return [before[heading]] if heading in before else []


def _sections(page: Path) -> dict[str, str]:
    """The sections of a page, by heading, without those that were not measured."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = {match[1]: match[0] for match in re.finditer(r"^### (.*)\n(?s:.*?)(?=^##|\Z)", text, re.MULTILINE)}
    return {heading: section.rstrip("\n") + "\n" for heading, section in sections.items() if UNMEASURED not in section}


def _unmeasured(study: ClaimStudy) -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"{UNMEASURED}: `python -m analysis.paper.claims --only {study.name}`.\n"


def _confirmation(study: ClaimStudy, result: Confirmation, folder: Path, pictures: Path) -> Iterator[str]:
    yield f"### {study.name}\n"
    yield f"{study.question}\n"
    yield f"**{as_sentence(result.verdict)}**\n"
    yield from _table(result)
    picture = _picture(result, study.name, pictures)
    if picture:
        yield f"![test accuracy of each configuration, a dot a seed](pictures/{picture})\n"
    for note in result.notes:
        yield f"- {as_sentence(note)}"
    yield from _circumstances(result, folder)


def _table(result: Confirmation) -> Iterator[str]:
    """One row per configuration, the arms first, then the best on the validation parts."""
    rows = [results for _, _, results in result.ranked() if results.n]
    noisy = any(row.label_accuracy_mean not in (None, 1.0) for row in rows)
    yield f"| configuration | n | test accuracy, % |{' labels right, % |' if noisy else ''} parameters |"
    yield f"| --- | ---: | ---: |{' ---: |' if noisy else ''} --- |"
    for row in rows:
        cells = [row.name, str(row.n), _percent(row.test_accuracy_mean, row.ci95)]
        cells += [_percent(row.label_accuracy_mean, row.label_accuracy_ci95)] if noisy else []
        yield f"| {' | '.join([*cells, ', '.join(format_settings(row.params))])} |"
    yield ""


def _semantics(heading: str, result: Semantics) -> Iterator[str]:
    """Class similarity by the labels of each arm, beside the reference."""
    yield f"### {heading}\n"
    yield f"**{as_sentence(result.sentence)}**\n"
    yield "| labels of | runs | mass on other classes, % | rank correlation | p | most alike |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for arm, results in result.arms.items():
        agreement = results.symmetric
        alike, rho = "", MISSING
        if agreement.rho is not None:
            alike = result.pairs_most_alike(results, 3).replace("|", "\\|")
            rho = f"{format_correlation(agreement.rho)} {format_interval(agreement.ci95, digits=2)}"
        mass, p_value = _percent(results.off_class_mass, None), format_p_value(agreement.p_value)
        yield f"| {arm}-{results.trial} | {results.runs} | {mass} | {rho} | {p_value} | {alike} |"
    facts = {"kind": result.reference.kind, **result.reference.facts}
    yield f"\nReference: {', '.join(format_settings(facts))}. Intervals are over classes.\n"


def _distillation(heading: str, result: Distillation) -> Iterator[str]:
    """The best of each arm as a teacher, and its student."""
    student, teacher = result.student, result.teacher
    yield f"### {heading}\n"
    yield f"**{as_sentence(result.verdict)}**\n"
    yield (
        f"Teachers: {teacher.model} of width {teacher.width}; students: {student.model} of width "
        f"{student.width}. Test accuracy, %.\n"
    )
    yield "| teacher | n | of the teacher | of its student |"
    yield "| --- | ---: | ---: | ---: |"
    for arm, results in result.arms.items():
        own, learned = (
            _percent(model.test_accuracy_mean, model.ci95) if model else MISSING
            for model in (results.teacher, results.student)
        )
        yield f"| {arm} | {results.student.n if results.student else 0} | {own} | {learned} |"
    yield ""
    for line in (*(effect.sentence for effect in result.against_one_hot), *result.notes):
        yield f"- {as_sentence(line)}"
    yield ""


def _picture(result: Confirmation, name: str, pictures: Path) -> str | None:
    import matplotlib as mpl

    with mpl.rc_context(style.RC):
        (figure,) = style.panels(confirmation.configuration_plots(result))
        if isinstance(figure, str):
            return None
        pictures.mkdir(parents=True, exist_ok=True)
        figure.savefig(pictures / f"{name}.png", metadata={"Software": None})
    return f"{name}.png"


def _circumstances(result: Confirmation, folder: Path) -> Iterator[str]:
    """Trials, seeds, rule, and each command with its machine and code."""
    summary = SweepSummary.load_or_none(folder)
    states = summary.states.model_dump() if summary else {}
    trials = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    seeds = {tuple(results.seeds) for _, _, results in result.ranked() if results.n}
    took = format_duration(summary.wall_seconds) if summary else "unknown time"
    yield ""
    yield "<details><summary>what ran on what</summary>\n"
    yield f"- trials of the search: {trials}; {took} by the clock"
    yield f"- seeds of the confirmation: {'; '.join(', '.join(map(str, numbers)) for numbers in sorted(seeds))}"
    yield f"- rule: {result.rule.name}, level {result.rule.alpha}, {result.rule.n_comparisons} configurations tested"
    for facts in (Provenance.load_or_none(folder), result.provenance):
        if facts:
            yield f"- `{as_typed(facts.command)}`: {_machine(facts)}"
    yield "\n</details>\n"


def _machine(facts: Provenance) -> str:
    commit = (facts.git.commit or "unknown")[:12] + (" with changes" if facts.git.dirty else "")
    where = f"{facts.hardware.cores} cores of {facts.hardware}"
    return f"{where}, torch {facts.versions.get('torch')}, commit {commit}, {facts.time[:10]}"


def _percent(mean: float | None, ends: Interval | None) -> str:
    if mean is None:
        return MISSING
    return f"{100 * mean:.1f} {format_interval(ends, scale=100, digits=1, missing='')}".rstrip()
