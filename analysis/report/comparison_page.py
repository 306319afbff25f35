"""A page of sweeps side by side: whether they compare, their arms, their verdicts."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.frames.comparison import ComparedSweep, Relation, parameters_text
from analysis.report.markup import Content, Markup, element, join, lines, small, table, with_interval
from analysis.report.page import listing, note, page, section
from harness.common.formatting import format_accuracy, format_percent

ARMS = ["arm", "sweep", "trials", "validation accuracy", "test accuracy", "labels put right", "parameters"]
SWEEPS = ["sweep", "study", "state", "begun", "code", "run"]
ARMS_NOTE = (
    "The best complete trial of each arm. Validation accuracy is a single run's, chosen for it, with the 95 % interval "
    "that another draw of so many images would give; test accuracy is the confirmation's mean over fresh seeds, with "
    "its 95 % interval."
)


def comparison_page(
    sweeps: Sequence[ComparedSweep], arms: pd.DataFrame, relations: Sequence[Relation], server: str
) -> str:
    """The HTML of `arms` and `relations`, as `analysis.frames.comparison` gives them."""
    title = " · ".join(sweep.label for sweep in sweeps)
    comparable = [
        element(
            "article",
            element("p", element("span", relation.sentence, class_=relation.comparable)),
            listing([*relation.reasons, *relation.changes]),
            note(relation.gap) if relation.gap else None,
        )
        for relation in relations
    ]
    multi_objective = [
        note(f"{sweep.label} searched to {sweep.other_objectives} too: this is each arm's best accuracy alone.")
        for sweep in sweeps
        if sweep.other_objectives
    ]
    verdicts = [element("p", element("b", sweep.label), ": ", sweep.verdict) for sweep in sweeps if sweep.verdict]
    about = [
        [sweep.label, sweep.source.study, sweep.source.state, sweep.frame.begun, sweep.code, sweep.source.run_id]
        for sweep in sweeps
    ]
    rows = [_arm_row(row) for _, row in arms.iterrows()]
    return page(
        title,
        element("h1", title),
        note(f"read from {server}"),
        section("Do they compare?", *comparable) if comparable else None,
        section("Arms", table(ARMS, rows, numbers=(3, 4, 5), class_="cards"), note(ARMS_NOTE), multi_objective),
        section("Verdicts", verdicts) if verdicts else None,
        section("Sweeps", table(SWEEPS, about)),
    )


def _arm_row(row: Any) -> list[Content]:
    states = f"{row['complete']} complete, {row['pruned']} pruned, {row['failed']} failed"
    seeds = element("span", f"n = {row['test_seeds']:.0f}", class_="range") if row["test_seeds"] > 0 else None
    parameters = [parameter.replace(" = ", "\u00a0") for parameter in parameters_text(row).split(", ")]
    return [
        row["arm"],
        row["sweep"],
        [str(row["trials"]), small(states)],
        _accuracy(row, "val"),
        join(_accuracy(row, "test"), seeds),
        format_percent(row["noisy_labels_corrected"]),
        lines(parameters),
    ]


def _accuracy(row: Any, part: str) -> Markup:
    return with_interval(format_accuracy(row[f"{part}_accuracy"]), (row[f"{part}_low"], row[f"{part}_high"]))
