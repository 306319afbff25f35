"""Sections of a report on the sweep's classifiers as teachers, and on its labels against a reference.

Both are None where `harness.distill` or `harness.semantics` was not run.
"""

from analysis.report.markup import Content, Markup, element, interval_span, table
from analysis.report.page import listing, note, section
from harness.common.formatting import MISSING, accuracy, correlation, p_value, percent, sentence
from harness.results import Distillation, Semantics
from harness.results.measurement import ConfigurationResults


def taught(found: Distillation | None) -> Markup | None:
    """Teachers beside their students."""
    if found is None:
        return None
    rows: list[list[Content]] = [
        [
            "none" if one.teacher is None else f"{arm}-{one.teacher.trial}",
            _test_accuracy(one.teacher),
            _test_accuracy(one.student),
            str(one.student.n if one.student else 0),
        ]
        for arm, one in found.ranked()
    ]
    return section(
        "As teachers",
        element("p", sentence(found.verdict)),
        table(["teacher", "its test accuracy", "its student's", "seeds"], rows, numbers=(1, 2, 3), class_="cards"),
        listing([effect.sentence for effect in found.against_one_hot]),
        note(
            f"The best of each arm taught the same student ({found.student.model}, width {found.student.width}) on "
            "fresh seeds, 95 % intervals over these; each student was searched with as many trials, one of them "
            "untaught."
        ),
    )


def alike(found: Semantics | None) -> Markup | None:
    """Labels against a reference."""
    if found is None:
        return None
    rows: list[list[Content]] = []
    for arm, one in found.arms.items():
        agreement = one.symmetric
        flat = agreement.rho is None
        rows.append(
            [
                f"{arm}-{one.trial}",
                percent(one.off_class_mass, 1),
                MISSING if flat else [correlation(agreement.rho), interval_span(agreement.ci95, 2)],
                p_value(agreement.p_value),
                MISSING if flat else ", ".join(f"{i} ~ {j}" for i, j, _ in one.most_alike),
            ]
        )
    head = ["labels of", "mass on other classes", "rank correlation", "p", "most alike"]
    return section(
        "Which classes the labels take to be alike",
        element("p", sentence(found.sentence)),
        table(head, rows, numbers=(1, 2, 3), class_="cards"),
        note(
            "Spearman's correlation over pairs of classes, and Mantel's test, which renames classes, as pairs that "
            "share one are not independent; the interval is over classes. Labels that favour no class order nothing."
        ),
    )


def _test_accuracy(one: ConfigurationResults | None) -> Content:
    if one is None or one.test_accuracy_mean is None:
        return MISSING
    return [accuracy(one.test_accuracy_mean), interval_span(one.ci95)]
