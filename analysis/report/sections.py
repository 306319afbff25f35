"""Sections of a sweep's report that are text and tables; each is None where the sweep has no such result."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from analysis.figures import confirmation, pareto_front, style
from analysis.frames import sweep_frame
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval
from analysis.report.markup import Content, Markup, element, lines, small, table, with_interval
from analysis.report.page import listing, note, section
from analysis.report.svg import figures
from harness.common.formatting import MISSING, as_sentence, format_accuracy, format_percent, format_settings
from harness.common.redaction import redact
from harness.results import Confirmation, SweepSummary
from harness.results.objectives import format_objective, heading, test_heading
from harness.results.provenance import Provenance

TRIAL_METRICS = ("val_accuracy", "label_accuracy", "noisy_labels_corrected")
DATA_SETTINGS = ("dataset", "noise", "noise_rate", "meta_size", "val_size", "seed")


def verdict(sweep: SweepFrame, result: Confirmation | None, search_sentence: str) -> Markup:
    """The confirmation's verdict; without one that of the search, and what it lacks."""
    if result is None:
        return element(
            "div",
            element("p", search_sentence, class_="headline"),
            element(
                "p",
                "Not confirmed: this is the best of many single runs, on the images that chose it. ",
                "On fresh seeds and the test part: ",
                element("code", f"python -m harness.confirm {shlex.quote(sweep.sweep.name)}"),
            ),
            class_="verdict",
        )
    return element(
        "div",
        element("p", as_sentence(result.verdict), class_="headline"),
        element(
            "p",
            "Test accuracy on fresh seeds, in points, with a 95 % interval over the seeds. ",
            f"In the search itself: {search_sentence}",
        ),
        listing(result.notes),
        class_=f"verdict {result.outcome}" if result.outcome in ("better", "worse") else "verdict",
    )


def confirmed(result: Confirmation | None) -> Markup | None:
    """Every configuration on the fresh seeds, and the comparisons of the verdict."""
    if result is None:
        return None
    ranked = [results for _, _, results in result.ranked()]
    others = list(dict.fromkeys(metric for results in ranked for metric in list(results.objectives)[1:]))
    rows = [
        [
            results.name,
            str(results.n),
            format_accuracy(results.search_value),
            format_accuracy(results.val_accuracy_mean),
            with_interval(format_accuracy(results.test_accuracy_mean), results.ci95),
            *(format_objective(metric, results.objectives[metric]) for metric in others),
            _parameters(results.params),
        ]
        for results in ranked
    ]
    head = ["configuration", "seeds", "in the search", "validation, fresh seeds", "test accuracy"]
    head += [*(test_heading(metric).replace("\n", " ") for metric in others), "parameters"]
    rule = result.rule
    return section(
        "Confirmed on fresh seeds",
        table(head, rows, numbers=range(1, 5 + len(others)), class_="cards"),
        figures(
            "confirmation",
            style.panels(confirmation.configuration_plots(result)),
            "Test accuracy of each configuration: a dot for each seed; below, the mean and its 95 % interval.",
        ),
        figures(
            "pairs",
            style.panels(confirmation.paired_plots(result)) if result.gain else [],
            "The configuration of the verdict against the baselines, seed by seed: a line for each seed from the "
            "closest baseline, dashed where that is above; and the differences to each, with the mean and its 95 % "
            "interval, thick by itself, thin as it holds for all configurations that were tested.",
        ),
        note(
            f"Rule: {rule.name}, α = {rule.alpha:g} over {rule.n_comparisons} configurations ever measured on the "
            "test part. The search's own validation chose the configurations, the fresh seeds' validation chose the "
            "one that the verdict is about, and the test part chose nothing."
        ),
    )


def arms(sweep: SweepFrame) -> Markup:
    """How the trials of each arm ended, and its best one."""
    rows: list[list[Content]] = []
    for _, row in sweep_frame.summary(sweep).iterrows():
        states = f"{row['complete']} complete, {row['pruned']} pruned, {row['failed']} failed"
        trials = [str(row["trials"]), small(states)]
        best = sweep.best(str(row["arm"]))
        if best.empty:
            rows.append([row["arm"], trials, MISSING, MISSING, "no trial completed"])
        for _, trial in best.iterrows():
            ends = interval(float(trial[VALUE]), sweep.images(trial))
            rows.append(
                [
                    [row["arm"], small(str(trial["name"]))],
                    trials,
                    with_interval(format_accuracy(trial[VALUE]), ends),
                    format_percent(trial.get("metrics.noisy_labels_corrected")),
                    _parameters({name: trial[f"params.{name}"] for name in sweep.varied(str(row["arm"]))}),
                ]
            )
    head = ["arm", "trials", "validation accuracy", "wrong labels put right", "parameters of its best"]
    return section(
        "Results of each arm",
        table(head, rows, numbers=(2, 3), class_="cards"),
        note(
            "The best complete trial of each arm, after its last epoch. The interval is what another draw of as many "
            "validation images would give 95 times in 100; it does not know that the best of many was picked."
        ),
    )


def pareto(sweep: SweepFrame, summary: SweepSummary | None) -> Markup | None:
    """The trials on the Pareto front; None where there is one objective."""
    if summary is None or not summary.is_multi_objective:
        return None
    metrics = [objective.metric for objective in summary.objectives]
    rows = [
        [
            member.name,
            *(format_objective(metric, member.values[metric]) for metric in metrics),
            _parameters(member.params),
        ]
        for member in summary.front
    ]
    head = ["trial", *(heading(metric).replace("\n", " ") for metric in metrics), "parameters"]
    return section(
        "The Pareto front",
        table(head, rows, numbers=range(1, 1 + len(metrics)), class_="cards"),
        figures(
            "front",
            style.panels(pareto_front.plots(sweep, summary)),
            "Every complete trial; those on the front large: no other is as good in every objective and better in one.",
        ),
        note("Each trial was measured once: chance may put one on the front, or keep it off."),
    )


def trials(sweep: SweepFrame) -> Markup:
    """Every trial, in a table that sorts, and as JSON for the page's script."""
    epochs_run = sweep.curves[sweep.curves["metric"] == "val_accuracy"].groupby("trial")["step"].max()
    rows, data = [], {}
    for _, row in sweep.trials.iterrows():
        metrics = {name: format_accuracy(row.get(f"metrics.{name}")) for name in TRIAL_METRICS}
        epochs = str(int(epochs_run.get(row["trial"], 0)))
        state = f"{row['state']}: {row['reason']}" if row["state"] == "failed" else str(row["state"])
        parameters = format_settings({name: row[f"params.{name}"] for name in sweep.varied(str(row["arm"]))})
        facts = [(name, value) for name, value in metrics.items() if value != MISSING]
        facts += [("epochs run", epochs), *(tuple(parameter.split(" ", 1)) for parameter in parameters)]  # type: ignore[list-item]
        data[str(row["trial"])] = {"name": row["name"], "state": state, "facts": facts}
        rows.append([row["name"], state, epochs, *metrics.values(), f"{row['seconds']:.1f}", ", ".join(parameters)])
    head = ["trial", "state", "epochs", *TRIAL_METRICS, "seconds", "parameters"]
    whole = table(head, rows, numbers=range(2, 7), class_="trials")
    return section(
        "Every trial",
        element("details", element("summary", f"{len(rows)} trials, to sort by any column"), whole),
        element("script", Markup(json.dumps(data).replace("<", "\\u003c")), type="application/json", id="trials"),
    )


def provenance(facts: Provenance | None, sweep: SweepFrame, data_read: Sequence[str] = ()) -> Markup:
    """Data (settings, and in `data_read` what was read of each set), code, libraries and machine."""
    first = sweep.trials.iloc[0] if len(sweep.trials) else {}
    data = {name: first[f"params.{name}"] for name in DATA_SETTINGS if f"params.{name}" in first}
    rows: dict[str, Content] = {"data": ", ".join(format_settings(data))}
    if data_read:
        rows["data as read"] = lines(data_read)
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
    rows |= {"begun": sweep.begun, "events": f"log {sweep.sweep.run_id}"}
    return section(
        "What ran on what", table(["", ""], [[name, text] for name, text in rows.items() if text], class_="facts")
    )


def reproduction(
    facts: Provenance | None, sweep: SweepFrame, runs_dir: str, space_file: Path | None, result: Confirmation | None
) -> Markup:
    """The commands that run the sweep again."""
    name = shlex.quote(sweep.sweep.name)
    runs = "" if runs_dir == "runs" else f" --runs-dir {shlex.quote(runs_dir)}"
    commands = [f"git checkout {facts.git.commit}"] if facts and facts.git.commit else []
    if space_file:
        commands.append(f"python -m harness.search --space {shlex.quote(str(space_file))} --name {name}-again")
    commands.append(f"python -m harness.confirm {name}{runs}" + (f" --seeds {result.n}" if result else ""))
    return section(
        "Run it again",
        element("pre", "\n".join(commands)),
        note(
            "From what the sweep left behind, as it was resolved. Runs are drawn from their seeds; what is suggested "
            "after the first trials also depends on the order in which trials end side by side."
        ),
        note(["As typed: ", element("code", as_typed(redact(facts.command)))]) if facts else None,
        note("The code had changes that no commit holds: the commit alone does not bring it back.")
        if facts and facts.git.dirty
        else None,
    )


def as_typed(command: str) -> str:
    """A command line as a person types it: `…/harness/search/__main__.py` is `python -m harness.search`."""
    return re.sub(
        r"^\S*?/?(harness/[\w/]+?)(?:/__main__)?\.py", lambda m: f"python -m {m[1].replace('/', '.')}", command
    )


def _parameters(params: dict[str, object]) -> Content:
    return lines(format_settings(params)) or "nothing searched"
