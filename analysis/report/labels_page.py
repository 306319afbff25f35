"""A page of labels that are probably wrong: pictures to tick, and the corrected labels to save.

Labels of images in a folder are saved as `given.csv`, which the data set's folder takes as it is: with the rows that
its own given.csv had, and each ticked label with the class beside its picture. Labels of other data are saved as
`corrected.csv`, with the index of each image in the data set.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.frames.pictures import thumbnail
from analysis.report.markup import Markup, element, join
from analysis.report.page import note, page
from harness.common.formatting import format_accuracy

if TYPE_CHECKING:
    from harness.labels.ranking import LabelRanking

MAX_BYTES = 9_500_000
"""Of all labels on a page: a browser opens it at once, and it can be sent by mail."""
ARROW = " → "


def labels_page(
    ranking: "LabelRanking",
    images: NDArray[np.uint8] | None,
    count: int,
    given_labels: Sequence[tuple[str, int]] | None,
) -> tuple[str, int]:
    """The HTML of the first `count` labels of a ranking, and how many there are: fewer where pictures are large.

    Args:
        images: [count, channels, height, width], in the order of the ranking; None of data without pictures.
        given_labels: (path, class) of each row of a corrected given.csv that is not ticked; None where the data set
            takes no such file.
    """
    names = ranking.class_names
    file = "corrected.csv" if given_labels is None else "given.csv"
    held = None if given_labels is None else json.dumps([[path, names[c]] for path, c in given_labels])
    left = MAX_BYTES - len(held or "")
    cards: list[Markup] = []
    rows = ranking.table.head(count).to_dict(orient="records")
    for position, row in enumerate(rows):
        card = _card(row, None if images is None else thumbnail(images[position]))
        left -= len(card)
        if left < 0 and cards:
            break
        cards.append(card)
    rows = rows[: len(cards)]
    text = page(
        f"{ranking.sweep}: which labels are wrong?",
        element("h1", f"{ranking.sweep}: which labels are wrong?"),
        element("p", f"{ranking.dataset}, labels of {ranking.configuration}", class_="under"),
        element("div", [element("p", sentence) for sentence in ranking.sentences], class_="verdict"),
        note(_extent(ranking, len(cards))),
        _toolbar(rows, file),
        element("datalist", [element("option", value=name) for name in names], id="class-names"),
        element("div", cards, class_="suspects", data_file=file),
        element("script", Markup((held or "[]").replace("<", "\\u003c")), type="application/json", id="given-labels"),
        script="labels.js",
        style="labels.css",
    )
    return text, len(cards)


def _extent(ranking: "LabelRanking", shown: int) -> str:
    total = len(ranking.table)
    extent = f"All {total:,} labels" if shown == total else f"The {shown:,} most suspicious of {total:,} labels"
    hidden = max(0, ranking.proposed - shown)
    more = f"; {hidden:,} more are proposed: --pictures shows more, --csv lists all" if hidden else ""
    return f"{extent}, worst first{more}. Tick what is wrong, correct the class where it should be another, and save."


def _toolbar(rows: Sequence[dict[str, Any]], file: str) -> Markup:
    pairs = Counter((row["given"], row["learned"]) for row in rows)
    every = element("option", f"all pairs ({len(rows):,})", value="")
    options = [
        element("option", f"{given}{ARROW}{learned} ({n:,})", value=f"{given}{ARROW}{learned}")
        for (given, learned), n in sorted(pairs.items(), key=lambda item: (item[0][0] == item[0][1], -item[1]))
    ]
    filters = [element("option", text, value=text) for text in ("all", "proposed", "ticked")]
    return element(
        "form",
        element("label", "given → learned ", element("select", every, options, id="pair")),
        element("label", "show ", element("select", filters, id="which")),
        element("button", "tick all shown", type="button", id="tick"),
        element("button", "untick all shown", type="button", id="untick"),
        element("button", f"save {file}", type="button", id="save"),
        element("output", "", id="said", role="status"),
        class_="toolbar",
        hidden=True,
    )


def _card(row: dict[str, Any], picture: str | None) -> Markup:
    name = str(row.get("image", row["index"]))
    proposed = bool(row["proposed"])
    numbers = f"{format_accuracy(row['given_mass'])} left to {row['given']}"
    if proposed:
        numbers = f"{format_accuracy(row['probability'])} {row['learned']}, {numbers}"
    truth = row.get("truth")
    return element(
        "article",
        element(
            "label",
            element("img", src=picture, alt=name, loading="lazy") if picture else None,
            element("input", type="checkbox", aria_label=f"correct {name}", autocomplete="off"),
            element("b", str(row["given"])),
        ),
        element(
            "input",
            list="class-names",
            value=row["learned"] if proposed else "",
            placeholder="class",
            aria_label=f"class of {name}",
            autocomplete="off",
        ),
        element("small", numbers, element("br"), join(f"truth: {truth}", element("br")) if truth else None, name),
        class_="proposed" if proposed else None,
        data_name=name,
        data_pair=f"{row['given']}{ARROW}{row['learned']}",
    )
