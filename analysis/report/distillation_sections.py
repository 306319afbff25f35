"""Sections of a report on distillation and class similarity; None where neither was asked for."""

from analysis.report.markup import Content, Markup, element, table, with_interval
from analysis.report.page import listing, note, section
from harness.common.formatting import (
    MISSING,
    as_sentence,
    format_accuracy,
    format_correlation,
    format_p_value,
    format_percent,
)
from harness.results import Distillation, Semantics
from harness.results.measurement import ConfigurationResults

SHOWN_PAIRS = 5


def teachers(result: Distillation | None) -> Markup | None:
    """Teachers beside their students."""
    if result is None:
        return None
    rows: list[list[Content]] = [
        [
            "none" if results.teacher is None else f"{arm}-{results.teacher.trial}",
            _test_accuracy(results.teacher),
            _test_accuracy(results.student),
            str(results.student.n if results.student else 0),
        ]
        for arm, results in result.ranked()
    ]
    return section(
        "As teachers",
        element("p", as_sentence(result.verdict)),
        table(["teacher", "its test accuracy", "its student's", "seeds"], rows, numbers=(1, 2, 3), class_="cards"),
        listing([effect.sentence for effect in result.against_one_hot]),
        note(
            f"Each arm's best is a teacher of the same student ({result.student.model}, width {result.student.width}) "
            "on fresh seeds, with 95 % intervals over these. Each student was searched with as many trials; one of "
            "them has no teacher."
        ),
    )


def class_similarity(result: Semantics | None) -> Markup | None:
    """Labels beside a reference."""
    if result is None:
        return None
    rows: list[list[Content]] = []
    for arm, results in result.arms.items():
        agreement = results.symmetric
        flat = agreement.rho is None
        rows.append(
            [
                f"{arm}-{results.trial}",
                format_percent(results.off_class_mass, 1),
                MISSING if flat else with_interval(format_correlation(agreement.rho), agreement.ci95, 2),
                format_p_value(agreement.p_value),
                MISSING if flat else result.pairs_most_alike(results, SHOWN_PAIRS, " ~ "),
            ]
        )
    head = ["labels of", "mass on other classes", "rank correlation", "p", "most alike"]
    return section(
        "Which classes the labels take to be alike",
        element("p", as_sentence(result.sentence)),
        table(head, rows, numbers=(1, 2, 3), class_="cards"),
        note(
            "Spearman's correlation over pairs of classes, and Mantel's test, which renames classes, as pairs that "
            "share one are not independent; the interval is over classes. Labels that favour no class order nothing."
        ),
    )


def _test_accuracy(results: ConfigurationResults | None) -> Content:
    if results is None or results.test_accuracy_mean is None:
        return MISSING
    return with_interval(format_accuracy(results.test_accuracy_mean), results.ci95)
