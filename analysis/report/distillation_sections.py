"""Of a report: what came of the sweep's classifiers as teachers, and of its labels held against a reference.

Both are None where `harness.distill` or `harness.semantics` was not asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.report.markup import Content, Markup, element, table
from analysis.report.page import listing, note, section


def taught(found: Mapping[str, Any] | None) -> Markup | None:
    """Teachers beside their students, from the content of `distill.json`."""
    if found is None:
        return None
    ranked = sorted(found["arms"].items(), key=lambda item: -(item[1]["student"]["test_accuracy_mean"] or 0.0))
    rows: list[list[Content]] = []
    for arm, one in ranked:
        teacher, student = one["teacher"], one["student"]
        rows.append(
            [
                "none" if teacher is None else f"{arm}-{teacher['trial']}",
                "–" if teacher is None else _mean(teacher),
                _mean(student),
                str(student["n"]),
            ]
        )
    sentence = str(found["verdict"])
    student = found["student"]
    return section(
        "As teachers",
        element("p", sentence[:1].upper() + sentence[1:], "."),
        table(["teacher", "its test accuracy", "its student's", "seeds"], rows, numbers=(1, 2, 3), class_="cards"),
        listing([str(pair["sentence"]) for pair in found["against_one_hot"]]),
        note(
            f"The best of each arm taught the same student ({student['model']}, width {student['width']}) on fresh "
            "seeds, 95 % intervals over these; each student was searched with as many trials, one of them untaught."
        ),
    )


def alike(found: Mapping[str, Any] | None) -> Markup | None:
    """Labels against a reference, from the content of `semantics.json`."""
    if found is None:
        return None
    rows: list[list[Content]] = []
    for arm, one in found["arms"].items():
        agreement = one["symmetric"]
        flat = agreement["rho"] is None
        rows.append(
            [
                f"{arm}-{one['trial']}",
                f"{100 * one['mass']:.1f} %",
                "–" if flat else [f"{agreement['rho']:.2f}", _bounds(agreement["ci95"], 2)],
                "–" if flat else f"{agreement['p_value']:.2g}",
                "–" if flat else ", ".join(f"{i} ~ {j}" for i, j, _ in one["most_alike"]),
            ]
        )
    sentence = str(found["sentence"])
    head = ["labels of", "mass on other classes", "rank correlation", "p", "most alike"]
    return section(
        "Which classes the labels take to be alike",
        element("p", sentence[:1].upper() + sentence[1:], "."),
        table(head, rows, numbers=(1, 2, 3), class_="cards"),
        note(
            "Spearman's correlation over pairs of classes, and Mantel's test, which renames classes, as pairs that "
            "share one are not independent; the interval is over classes. Labels that favour no class order nothing."
        ),
    )


def _mean(one: Mapping[str, Any]) -> Content:
    mean = one["test_accuracy_mean"]
    return "–" if mean is None else [f"{mean:.3f}", _bounds(one["ci95"], 3)]


def _bounds(ends: Sequence[float | None], digits: int) -> Markup | None:
    low, high = ends
    if low is None or high is None:
        return None
    low, high = (round(end, digits) + 0.0 for end in (low, high))  # no minus before a zero
    return element("span", f"[{low:.{digits}f}, {high:.{digits}f}]", class_="range")
