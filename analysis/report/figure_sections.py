"""Sections of a sweep's report around its figures: how accuracy responds, the labels, how it was searched."""

import math
from itertools import chain

from pydantic import BaseModel

from analysis.figures import (
    correction_curves,
    importance,
    learning_curves,
    parallel_coordinates,
    response,
    response_surface,
    search_progress,
    style,
)
from analysis.figures.labels import class_label_matrix, image_gallery, label_outcomes, noise_detection
from analysis.frames import label_snapshots
from analysis.frames.sweep_frame import SweepFrame
from analysis.report.markup import Content, Markup, element, small, table
from analysis.report.page import note, section
from analysis.report.svg import figures
from harness.common.formatting import format_accuracy, format_percent
from harness.space import Space


def accuracy_response(sweep: SweepFrame) -> Markup:
    """Accuracy over the hyperparameters and the epochs, and the outcomes of the labels."""
    surfaces = response_surface.fit(sweep)
    return section(
        "How accuracy answers",
        element("h3", "Label learning rate and meta-interval"),
        figures(
            "response",
            style.panels(response.plots(sweep)),
            "Each learned trial at its label learning rate and meta-interval, shaded by accuracy; and its accuracy "
            "against the label learning rate, with 95 % intervals, beside the best of each baseline. Triangles were "
            "pruned: theirs is the accuracy at an early epoch.",
        ),
        figures(
            "surface",
            style.panels(chain(*response_surface.plots(surfaces).values())),
            f"{response_surface.description(surfaces)} The star is its best point, the dashed line around what may be "
            "as good, dots are trials; the second picture is half the width of the surface's 95 % interval.",
        ),
        element("h3", "Every parameter at once"),
        figures(
            "parallel",
            style.panels(chain(*parallel_coordinates.plots(sweep).values())),
            "A line per learned trial, over its parameters to its accuracy at the last epoch.",
        ),
        element(
            "p",
            "Drag along an axis to keep the lines through a range of it; press the axis to release.",
            class_="note screen-only",
        ),
        element("h3", "Over the epochs"),
        figures(
            "epochs",
            style.panels(learning_curves.plots(sweep)),
            "Validation accuracy of the best trials, and the longest of each baseline. Marks are at the last epoch, by "
            "which a trial is judged; the scale of epochs is logarithmic.",
        ),
        element("h3", "Labels"),
        figures(
            "labels",
            style.panels(correction_curves.plots(sweep)),
            "Of the labels that noise made wrong, the share put right; of the right ones, the share that stayed so.",
        ),
        _best_labels(sweep),
        _class_labels(sweep),
    )


def _best_labels(sweep: SweepFrame) -> Content:
    """Outcomes of the labels of the best learned trial; nothing where it left none."""
    labels = label_snapshots.best_labels(sweep)
    if isinstance(labels, str):
        return None
    gallery = image_gallery.panel(labels)
    parts: list[Content] = []
    if noise_detection.measurable(labels):
        fresh_seeds = label_snapshots.fresh_seed_labels(sweep, labels)
        parts = [
            figures(
                "outcomes",
                [panel for panel in style.panels(label_outcomes.plots(labels)) if not isinstance(panel, str)],
                f"{label_outcomes.description(labels)} By class, with 95 % intervals over its wrong labels (their "
                "number).",
            ),
            figures(
                "detection",
                style.panels(noise_detection.plots(labels, fresh_seeds)),
                f"{noise_detection.description(labels, fresh_seeds)} Bands are 95 % intervals over the draw of the "
                "images.",
            ),
        ]
    if not isinstance(gallery, str):
        caption = (
            "The images whose label moved most: the class given → the class learned, a tick where that is the true one "
            "(else a cross and the true one), and how much of the mass moved."
        )
        parts.append(figures("gallery", [gallery], caption))
    return [element("h3", f"The labels of {labels.name}, the best learned trial"), *parts] if parts else None


def _class_labels(sweep: SweepFrame) -> Content:
    """The matrix of the best trial with class labels; nothing where there is none."""
    labels = label_snapshots.best_labels(sweep, "class")
    class_labels = class_label_matrix.class_labels(labels, label_snapshots.fresh_seed_labels(sweep, labels))
    if isinstance(class_labels, str):
        return None
    matrix = class_label_matrix.matrix_figure(class_labels, style.PANEL_WIDTH)
    caption = f"{class_label_matrix.description(class_labels)} The tree joins the classes that give each other most."
    return [element("h3", "The class labels as a matrix"), figures("classes", [matrix], caption)]


def search(sweep: SweepFrame, space: Space | None) -> Markup:
    """How it was searched: the strategy, what the trials found and cost, which parameters decide."""
    progress = search_progress.epochs_spent(sweep).merge(search_progress.half_of_trials(sweep), on="arm")
    rows = [
        [
            row["arm"],
            str(row["epochs"]),
            f"{row['pruned_epochs']} ({format_percent(row['pruned_epochs'] / row['epochs'])})"
            if row["epochs"]
            else "0",
            str(row["saved_epochs"]),
            f"{row['minutes']:.1f}",
            format_accuracy(row["best_of_half"]),
            [format_accuracy(row["best"]), small("" if math.isnan(row["best"]) else f"at trial {row['best_at']:.0f}")],
        ]
        for _, row in progress.iterrows()
    ]
    head = ["arm", "epochs run", "in pruned trials", "epochs saved by pruning", "minutes"]
    importances = [item for item in (importance.importance(sweep, arm) for arm in sweep.learned) if item is not None]
    telling = [importance.plot(item) for item in importances if item.explained > 0]
    return section(
        "How it was searched",
        note(_strategy(space)) if space else None,
        table([*head, "best of half the trials", "best of all"], rows, numbers=range(1, 7), class_="cards"),
        figures(
            "progress",
            style.panels([*search_progress.plots(sweep), *telling]),
            "The best accuracy found so far, over the trials of each arm, with the last one's 95 % interval; what the "
            "epochs went into" + ("; and which parameters decide." if telling else "."),
        ),
        [note(importance.description(item)) for item in importances],
        None if importances else note("Too few trials of the learned arms to say which parameters decide."),
    )


def _strategy(space: Space) -> str:
    sampler, pruner = map(_settings_text, (space.search.sampler, space.search.pruner))
    shares = ", ".join(f"{arm} {count}" for arm, count in space.trials_per_arm().items())
    return (
        f"Sampler {sampler}; pruner {pruner}; seed {space.search.seed}; {space.search.trials} trials ({shares}), "
        f"to {' and '.join(map(str, space.objectives))}."
    )


def _settings_text(part: BaseModel) -> str:
    settings = part.model_dump(mode="json", exclude_none=True)
    rest = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "type")
    return f"{settings['type']} ({rest})" if rest else str(settings["type"])
