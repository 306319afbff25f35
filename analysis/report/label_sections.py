"""The parts of a report that tell of the labels themselves, of the best learned trial; None where there are none."""

from analysis.figures.labels import class_similarity, fates, gallery, mistakes
from analysis.frames import label_snapshots
from analysis.frames.sweep_frame import SweepFrame
from analysis.report.markup import Content, element
from analysis.report.svg import figures, some


def mistakes_found(study: SweepFrame) -> Content:
    """What became of the wrong labels of the best learned trial, how well it finds them, and what it moved most."""
    labels = label_snapshots.best(study)
    if isinstance(labels, str):
        return None
    parts: list[Content] = [element("h3", f"The labels of {labels.name}, the best learned trial")]
    if mistakes.findable(labels):
        others = label_snapshots.fresh(study, labels)
        parts += [
            figures(
                lambda: fates.panels(labels),
                "fates",
                f"{fates.words(labels)} By class, with 95 % intervals over its wrong labels (their number).",
            ),
            figures(
                lambda: mistakes.panels(labels, others),
                "mistakes",
                f"{mistakes.words(labels, others)} Bands are 95 % intervals over the draw of the images.",
            ),
        ]
    parts.append(
        figures(
            lambda: some(gallery.panel(labels)),
            "gallery",
            "The images whose label moved most: the class given → the class learned, a tick where that is the true one "
            "(else a cross and the true one), and how much of the mass moved.",
        )
    )
    return parts if any(parts[1:]) else None


def class_labels(study: SweepFrame) -> Content:
    """The matrix of the best trial that learned class labels."""
    labels = label_snapshots.best(study, "class")
    found = class_similarity.tables(labels, label_snapshots.fresh(study, labels))
    if isinstance(found, str):
        return None
    caption = f"{class_similarity.words(found)} The tree joins the classes that lend each other most."
    return [
        element("h3", "The class labels as a matrix"),
        figures(lambda: [class_similarity.panel(found)], "alike", caption),
    ]
