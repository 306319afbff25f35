"""The parts of a sweep's report, in the order of what a reader wants to know first.

    verdict        what holds, and how far                     confirmed   on fresh seeds and the test part
    arms           what each came to                           answers     figures: response, curves, labels put right
    searching      what the budget bought, what decided        trials      every one, to sort
    provenance     what ran on what                            again       the commands
    front          of several objectives: the Pareto front, after the arms

Each function gives a piece of a page, or None where there is nothing to tell.
"""

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.figures import (
    confirmation,
    correction,
    learning_curves,
    parallel,
    pareto_front,
    response,
    search_progress,
)
from analysis.figures.importance import SPREAD, TOGETHER, Importance, importance
from analysis.figures.importance import panel as importance_panel
from analysis.figures.surface import NONE as NO_SURFACE
from analysis.figures.surface import panels as surface_panels
from analysis.figures.surface import surface, words
from analysis.frames import sweep_frame as studies
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval
from analysis.report import label_sections as labels
from analysis.report.markup import Content, Markup, element, interval_span, table
from analysis.report.page import listing, note, section
from analysis.report.svg import figures, some
from harness.common.formatting import accuracy, percent, sentence, setting
from harness.common.redaction import scrub
from harness.results import Confirmation, SweepSummary
from harness.results.objectives import format_objective, heading, test_heading
from harness.results.provenance import Provenance
from harness.space import Space

OUTCOMES = {"better", "worse"}
SHOWN = ("val_accuracy", "label_accuracy", "noisy_labels_corrected")


def verdict(study: SweepFrame, found: Confirmation | None, of_search: str) -> Markup:
    """The confirmation's sentence where there is one, else the search's with what it lacks."""
    if found is None:
        confirm = f"python -m harness.confirm {shlex.quote(study.sweep.name)}"
        return element(
            "div",
            element("p", of_search, class_="said"),
            element(
                "p",
                "Not confirmed: this is the best of many single runs, on the images that chose it. ",
                "On fresh seeds and the test part: ",
                element("code", confirm),
            ),
            class_="verdict",
        )
    outcome = found.outcome if found.outcome in OUTCOMES else ""
    return element(
        "div",
        element("p", sentence(found.verdict), class_="said"),
        element(
            "p",
            "Test accuracy on fresh seeds, in points, with a 95 % interval over the seeds. ",
            f"In the search itself: {of_search}",
        ),
        listing(found.notes),
        class_=f"verdict {outcome}".strip(),
    )


def confirmed(found: Confirmation | None) -> Markup | None:
    if found is None:
        return None
    ranked = found.ranked()
    others = list(dict.fromkeys(metric for _, _, one in ranked for metric in list(one.objectives)[1:]))
    rows = [
        [
            name,
            str(one.n),
            accuracy(one.search_value),
            accuracy(one.val_accuracy_mean),
            [accuracy(one.test_accuracy_mean), interval_span(one.ci95)],
            *(format_objective(metric, one.objectives[metric]) for metric in others),
            _settings(one.params),
        ]
        for _, name, one in ranked
    ]
    columns = [test_heading(metric).replace("\n", " ") for metric in others]
    head = ["configuration", "seeds", "in the search", "validation, fresh seeds", "test accuracy"]
    head += [*columns, "parameters"]
    rule = found.rule
    return section(
        "Confirmed on fresh seeds",
        table(head, rows, numbers=range(1, 5 + len(others)), class_="cards"),
        figures(
            lambda: some(confirmation.panel(found)),
            "confirmation",
            "Test accuracy of each configuration: a dot for each seed; below, the mean and its 95 % interval.",
        ),
        figures(
            lambda: confirmation.pair_panels(found),
            "pairs",
            "The configuration of the verdict against the baselines, seed by seed: a line for each seed from the "
            "closest baseline, dashed where that is above; and the differences to each, with the mean and its 95 % "
            "interval, thick by itself, thin as it holds for all configurations that were looked at.",
        ),
        note(
            f"Rule: {rule.name}, α = {rule.alpha:g} over {rule.n_comparisons} configurations ever measured on the "
            "test part. The search's own validation chose the configurations, the fresh seeds' validation chose whom "
            "the verdict is about, and the test part chose nothing."
        ),
    )


def arms(study: SweepFrame) -> Markup:
    rows = []
    for _, row in studies.summary(study).iterrows():
        best = study.best(str(row["arm"]))
        counts = f"{row['complete']} complete, {row['pruned']} pruned, {row['failed']} failed"
        if best.empty:
            rows.append([row["arm"], [str(row["trials"]), _small(counts)], "–", "–", "no trial completed"])
            continue
        winner = best.iloc[0]
        low, high = interval(float(winner[VALUE]), study.images(winner))
        settings = {name: winner[f"params.{name}"] for name in study.varied(str(row["arm"]))}
        rows.append(
            [
                [row["arm"], _small(str(winner["name"]))],
                [str(row["trials"]), _small(counts)],
                [accuracy(winner[VALUE]), interval_span((low, high))],
                percent(winner.get("metrics.noisy_labels_corrected", math.nan)),
                _settings(settings),
            ]
        )
    head = ["arm", "trials", "validation accuracy", "wrong labels put right", "parameters of its best"]
    return section(
        "What each arm came to",
        table(head, rows, numbers=(2, 3), class_="cards"),
        note(
            "The best complete trial of each arm, after its last epoch. The interval is what another draw of as many "
            "validation images would give 95 times in 100; it does not know that the best of many was picked."
        ),
    )


def pareto(study: SweepFrame, summary: SweepSummary | None) -> Markup | None:
    """The trials of several objectives that no other dominates; None where there is one objective."""
    if summary is None or not summary.several:
        return None
    metrics = [objective.metric for objective in summary.objectives]
    rows = [
        [
            member.name,
            *(format_objective(metric, member.values[metric]) for metric in metrics),
            _settings(member.params),
        ]
        for member in summary.front
    ]
    head = ["trial", *(heading(metric).replace("\n", " ") for metric in metrics), "parameters"]
    return section(
        "The Pareto front",
        table(head, rows, numbers=range(1, 1 + len(metrics)), class_="cards"),
        figures(
            lambda: pareto_front.panels(study, summary),
            "front",
            "Every complete trial; those on the front large: no other is as good in every objective and better in one.",
            "No trial is complete yet.",
        ),
        note("Each trial was measured once: chance may put one on the front, or keep it off."),
    )


def answers(study: SweepFrame) -> Markup:
    return section(
        "How accuracy answers",
        element("h3", "Label learning rate and meta-interval"),
        figures(
            lambda: response.panels(study),
            "response",
            "Each learned trial at its label learning rate and meta-interval, shaded by accuracy; and its accuracy "
            "against the label learning rate, with 95 % intervals, beside the best of each baseline. Triangles were "
            "pruned: theirs is the accuracy at an early epoch.",
            "No learned trial was measured.",
        ),
        _surfaces(study),
        element("h3", "Every parameter at once"),
        figures(
            lambda: [each for each in (parallel.panel(study, arm) for arm in study.learned) if each],
            "parallel",
            "A line a learned trial, over its parameters to its accuracy at the last epoch.",
            "Too few learned trials to compare.",
        ),
        _only_on_screen("Pull along an axis to keep the lines through a range of it; press the axis to let go."),
        element("h3", "Over the epochs"),
        figures(
            lambda: [learning_curves.panel(study)],
            "epochs",
            "Validation accuracy of the best trials, and the longest of each baseline. Marks are at the last epoch, by "
            "which a trial is judged; the scale of epochs is logarithmic.",
        ),
        element("h3", "Labels"),
        figures(
            lambda: correction.panels(study),
            "labels",
            "Of the labels that noise made wrong, the share put right; of the right ones, the share that stayed so.",
            "No label was made wrong in this sweep.",
        ),
        labels.mistakes_found(study),
        labels.class_labels(study),
    )


def searching(study: SweepFrame, space: Space | None) -> Markup:
    effort, halves = search_progress.effort(study), search_progress.halves(study)
    merged = effort.merge(halves, on="arm")
    rows = [
        [
            row["arm"],
            f"{row['epochs']}",
            _part(row["pruned_epochs"], row["epochs"]),
            f"{row['saved_epochs']}",
            f"{row['minutes']:.1f}",
            accuracy(row["half"]),
            [accuracy(row["all"]), _small("" if math.isnan(row["at"] or math.nan) else f"at trial {row['at']:.0f}")],
        ]
        for _, row in merged.iterrows()
    ]
    head = ["arm", "epochs run", "in pruned trials", "epochs saved by pruning", "minutes"]
    found = [each for each in (importance(study, arm) for arm in study.learned) if each is not None]
    telling = [each for each in found if each.explained > 0]
    return section(
        "How it was searched",
        note(_strategy(space)) if space else None,
        table([*head, "best of half the trials", "best of all"], rows, numbers=range(1, 7), class_="cards"),
        figures(
            lambda: [*search_progress.panels(study), *(importance_panel(each) for each in telling)],
            "course",
            "The best accuracy found so far, over the trials of each arm, with the last one's 95 % interval; what the "
            "epochs went into" + ("; and which parameters decide." if telling else "."),
        ),
        [note(_importance_words(each)) for each in found],
        None if found else note("Too few trials of the learned arms to say which parameters decide."),
    )


def trials(study: SweepFrame) -> Markup:
    """Every trial, in a table that sorts, and as data for the figures to show."""
    head = ["trial", "state", "epochs", *SHOWN, "seconds", "parameters"]
    ran = study.curves[study.curves["metric"] == "val_accuracy"].groupby("trial")["step"].max()
    rows, data = [], {}
    for _, row in study.trials.iterrows():
        settings = {name: row[f"params.{name}"] for name in study.varied(str(row["arm"]))}
        values = {name: row.get(f"metrics.{name}", math.nan) for name in SHOWN}
        epochs = str(int(ran.get(row["trial"], 0)))
        state = f"{row['state']}: {row['reason']}" if row["state"] == "failed" else str(row["state"])
        facts = [(name, accuracy(value)) for name, value in values.items() if not math.isnan(value)]
        shown = [(name, setting(value)) for name, value in settings.items()]
        data[str(row["trial"])] = {
            "name": row["name"],
            "state": state,
            "facts": [*facts, ("epochs run", epochs), *shown],
        }
        rows.append(
            [
                row["name"],
                state,
                epochs,
                *map(accuracy, values.values()),
                f"{row['seconds']:.1f}",
                ", ".join(f"{name} {value}" for name, value in shown),
            ]
        )
    body = Markup(json.dumps(data).replace("<", "\\u003c"))
    whole = table(head, rows, numbers=range(2, 7), class_="trials")
    return section(
        "Every trial",
        element("details", element("summary", f"{len(rows)} trials, to sort by any column"), whole),
        element("script", body, type="application/json", id="trials"),
    )


def provenance(facts: Provenance | None, study: SweepFrame) -> Markup:
    first = study.trials.iloc[0] if len(study.trials) else {}
    data = ", ".join(
        f"{name} {setting(first[f'params.{name}'])}"
        for name in ("dataset", "noise", "noise_rate", "meta_size", "val_size", "seed")
        if f"params.{name}" in first
    )
    rows = {"data": data}
    if facts is not None:
        dirty = ", with changes that no commit holds" if facts.git.dirty else ""
        machine = facts.hardware
        rows |= {
            "code": f"{facts.git.commit}{dirty}" if facts.git.commit else "",
            "libraries": ", ".join(f"{name} {version}" for name, version in facts.versions.items()),
            "Python": f"{facts.python} on {facts.platform}",
            "processor": f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB",
            "GPUs": ", ".join(machine.gpus) or "none",
            "host": facts.host,
            "environment": ", ".join(f"{name}={value}" for name, value in facts.environment.items()),
        }
    rows |= {"begun": study.begun, "events": f"log {study.sweep.run_id}"}
    return section(
        "What ran on what", table(["", ""], [[name, text] for name, text in rows.items() if text], class_="facts")
    )


def again(
    facts: Provenance | None, study: SweepFrame, runs_dir: str, space_file: Path | None, found: Confirmation | None
) -> Markup:
    name = shlex.quote(study.sweep.name)
    runs = "" if runs_dir == "runs" else f" --runs-dir {shlex.quote(runs_dir)}"
    lines = [f"git checkout {facts.git.commit}"] if facts and facts.git.commit else []
    if space_file:
        lines.append(f"python -m harness.search --space {shlex.quote(str(space_file))} --name {name}-again")
    lines.append(f"python -m harness.confirm {name}{runs}" + (f" --seeds {found.n}" if found else ""))
    return section(
        "Run it again",
        element("pre", "\n".join(lines)),
        note(
            "From what the sweep left behind, as it was resolved. Runs are drawn from their seeds; what is suggested "
            "after the first trials also depends on the order in which trials end side by side."
        ),
        note(["As typed: ", element("code", as_typed(scrub(facts.command)))]) if facts else None,
        note("The code had changes that no commit holds: the commit alone does not bring it back.")
        if facts and facts.git.dirty
        else None,
    )


def as_typed(command: str) -> str:
    """A command line as a person types it: `…/harness/search/__main__.py` is `python -m harness.search`."""
    return re.sub(
        r"^\S*?/?(harness/[\w/]+?)(?:/__main__)?\.py", lambda m: f"python -m {m[1].replace('/', '.')}", command
    )


# Words and cells


def _strategy(space: Space) -> str:
    search = space.search
    pruner = search.pruner.model_dump(mode="json", exclude_none=True)
    sampler = search.sampler.model_dump(mode="json", exclude_none=True)
    shares = ", ".join(f"{arm} {count}" for arm, count in space.trials_per_arm().items())
    return (
        f"Sampler {_strategy_words(sampler)}; pruner {_strategy_words(pruner)}; seed {search.seed}; "
        f"{search.trials} trials ({shares}), to {' and '.join(map(str, space.objectives))}."
    )


def _strategy_words(settings: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "type")
    return f"{settings.get('type', '')} ({rest})" if rest else str(settings.get("type", ""))


def _importance_words(found: Importance) -> str:
    where = f"{found.trials} trials at epoch {found.epoch}, the last that all of them reached"
    if found.explained <= 0:
        return (
            f"{found.arm}: which parameters decide cannot be told. A random forest fitted to {where}, predicts trials "
            "that it was not fitted to no better than their mean does."
        )
    top = found.shares[found.shares["parameter"] != TOGETHER].iloc[0]
    return (
        f"{found.arm}: {top['parameter']} decides {100 * top['share']:.0f} % of the variance over the searched ranges, "
        f"by functional ANOVA of a random forest fitted to {where}. Whiskers span {SPREAD[1] - SPREAD[0]} % of its "
        f"trees; it explains {100 * found.explained:.0f} % of the variance of trials it was not fitted to."
    )


def _surfaces(study: SweepFrame) -> Content:
    """The response surface of each learned arm that has the trials for one."""
    found = [each for each in (surface(study, arm) for arm in study.learned) if each is not None]
    if not found:
        return note(NO_SURFACE[:1].upper() + NO_SURFACE[1:] + ".")
    return figures(
        lambda: [picture for each in found for picture in surface_panels(each)],
        "surface",
        " ".join(words(each) for each in found) + " The star is its best place, the dashed line around what may be as "
        "good, dots are trials; the second picture is half the width of the surface's 95 % interval.",
    )


def _only_on_screen(text: str) -> Markup:
    return element("p", text, class_="note pull")


def _settings(params: Mapping[str, Any]) -> Content:
    return _join_lines([f"{name} {setting(value)}" for name, value in params.items()]) or "nothing searched"


def _join_lines(lines: Sequence[str]) -> Content:
    return [[element("br") if place else None, line] for place, line in enumerate(lines)]


def _small(text: str) -> Markup | None:
    return element("small", element("br"), text) if text else None


def _part(part: int, whole: int) -> str:
    return f"{part} ({percent(part / whole)})" if whole else "0"
