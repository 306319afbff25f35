"""`harness.report` writes one page that says what a sweep came to, and that a person can read and point at."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness import report
from harness.space import dump, load
from tests.analysis.sweeps import record, search_events, trial_events, with_labels
from tests.support.browser import visit
from tests.support.provenance import provenance
from tests.support.results import arm_semantics, configuration, confirmation, distillation, semantics
from tests.tracking.sweeps import write_events

VERDICT = "learned labels (learned-6) beat the best baseline (one_hot-12) by 3.0 points [1.0, 5.0], n = 3"
CONFIRMATION = confirmation(
    {
        "one_hot": configuration(12, [0.9, 0.91, 0.92], ci95=None, params={"lr": 0.1}),
        "learned": configuration(6, [0.92, 0.93, 0.94], ci95=(0.91, 0.95), params={"label_lr": 0.3}),
    },
    verdict=VERDICT,
    notes=["one_hot-12 diverged on 1 of 4 seeds"],
)
FACTS = {
    "command": "/home/me/harness/search/__main__.py --space label_lr.yaml",
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "versions": {"torch": "2.14.1"},
}


def swept(folder: Path, records: Any = None, *, confirmed: bool = False, noise: bool = True) -> Path:
    """The folder of a sweep that ended."""
    folder.mkdir()
    (folder / "study.journal").touch()
    record(folder, search_events(noise) if records is None else records)
    (folder / "space.yaml").write_text(dump(load("label_lr.yaml")))
    provenance(**FACTS).save(folder)
    if confirmed:
        CONFIRMATION.save(folder)
    return folder


class Words(HTMLParser):
    """The text of a page, and the addresses in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def all(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def page_of(folder: Path) -> Words:
    return Words(report.render(folder))


def test_the_command_writes_one_file_that_loads_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swept(tmp_path / "label_lr")
    assert report.main(["label_lr", "--runs-dir", str(tmp_path)]) == 0
    file = tmp_path / "label_lr" / "report.html"
    assert capsys.readouterr().out == f"{file}\n"
    page = Words(file.read_text())
    assert page.addresses
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert not {"img", "link", "iframe"} & set(page.tags)


def test_the_verdict_of_the_confirmation_comes_first(tmp_path: Path) -> None:
    text = page_of(swept(tmp_path / "label_lr", confirmed=True)).all
    verdict = text.index("Learned labels (learned-6) beat the best baseline (one_hot-12) by 3.0 points [1.0, 5.0]")
    assert verdict < text.index("Results of each arm")
    assert "one_hot-12 diverged on 1 of 4 seeds" in text
    assert "[0.910, 0.950]" in text


def test_teachers_and_likeness_are_on_the_page_where_they_were_asked_for(tmp_path: Path) -> None:
    folder = swept(tmp_path / "label_lr")
    assert "As teachers" not in page_of(folder).all
    student = configuration(3, [0.8, 0.81, 0.82], ci95=(0.8, 0.82))
    effect = {"mean_difference": 0.01, "ci95": (None, None), "n": 3}
    distillation(
        {
            "learned": (configuration(6, [0.9] * 3, ci95=(None, None)), student),
            "no_teacher": (None, configuration(7, [0.78, 0.79, 0.8], ci95=(0.8, 0.82))),
        },
        verdict="from_learned (from_learned-3) beats the best baseline (no_teacher-7) by 2.0 points [1.0, 3.0], n = 3",
        against_one_hot=[
            {
                "arm": "learned", "one_hot": "one_hot", "method": "learned", "teacher": effect, "student": effect,
                "sentence": "against one_hot: the teacher learned is 1.0 points above",
            }
        ],
    ).save(tmp_path / "label_lr-distill" / "distill.json")  # fmt: skip
    arms = {
        "learned": arm_semantics(6, 0.0213, 0.71, ci95=(0.3, 0.9), p_value=0.0004),
        "one_hot": arm_semantics(1, 0.0, None),
    }
    alike = "learned labels (learned-6) take the same classes to be alike as people's votes"
    semantics({"kind": "votes", "table": [[1.0]]}, arms, sentence=alike).save(folder)
    text = page_of(folder).all
    assert "From_learned (from_learned-3) beats the best baseline (no_teacher-7) by 2.0 points" in text
    assert "learned-6 0.900 0.810 [0.800, 0.820] 3 none – 0.790 [0.800, 0.820] 3" in text
    assert "against one_hot: the teacher learned is 1.0 points above" in text
    assert "take the same classes to be alike as people's votes" in text
    assert "learned-6 2.1 % 0.71 [0.30, 0.90] 0.0004 0 ~ 6, 2 ~ 4 one_hot-1 0.0 % – – –" in text


def test_without_a_confirmation_the_page_says_what_is_missing(tmp_path: Path) -> None:
    text = page_of(swept(tmp_path / "label_lr")).all
    assert "Not confirmed: this is the best of many single runs" in text
    assert "python -m harness.confirm label_lr" in text
    assert "Confirmed on fresh seeds" not in text


def test_it_says_what_ran_on_what_and_how_to_run_it_again(tmp_path: Path) -> None:
    text = page_of(swept(tmp_path / "label_lr")).all
    for words in (
        "dataset digits, noise symmetric, noise_rate 0.4",
        "0123456789abcdef, with changes that no commit holds",
        "a processor, 2 cores, 16 GiB",
        "git checkout 0123456789abcdef",
        "python -m harness.search --space label_lr.yaml",
        "Sampler tpe",
        "to maximize val_accuracy",
    ):
        assert words in text


def test_every_trial_is_in_the_table_and_every_point_of_a_figure_has_its_trial(tmp_path: Path) -> None:
    text = report.render(swept(tmp_path / "label_lr"))
    data = json.loads(re.search(r'id="trials">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert len(data) == 18
    assert data["6"]["name"] == "learned-6"
    assert ["label_lr", "0.316"] in data["6"]["facts"]
    drawn = set(re.findall(r'data-trial="(\d+)"', text))
    assert set(map(str, range(12))) <= drawn  # every learned trial
    assert drawn <= set(data)


def test_labels_that_were_kept_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "label_lr"
    text = report.render(swept(folder, with_labels(search_events(), folder)))
    words = Words(text).all
    assert "The labels of learned-6, the best learned trial" in words
    assert "60 of 80 wrong labels put right (75 % [65, 83], over images)" in words
    assert "precision 0.933 [0.853, 0.971], recall 0.875 [0.785, 0.931]" in words
    bare = report.render(swept(tmp_path / "bare"))
    assert text.count("<image ") == bare.count("<image ") + 16
    assert "the best learned trial" not in Words(bare).all


def test_text_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><b>"
    folder = swept(tmp_path / "label_lr", confirmed=True)
    CONFIRMATION.model_copy(update={"verdict": evil, "notes": [evil]}).save(folder)
    provenance(**{**FACTS, "command": evil, "host": evil}).save(folder)
    write_events(folder / "spool", trial_events(99, evil, _learned()))
    text = report.render(folder)
    assert "<script>alert" not in text
    assert text.count("<script") == 2


def _learned() -> Any:
    space = load("label_lr.yaml")
    return space.arm("learned").config({"label_lr": 0.1, "meta_interval": 1, "lr": 0.1})


def _one_hot() -> Any:
    return _learned().model_copy(update={"method": "one_hot", "epochs": 6})


@pytest.mark.parametrize(
    ("records", "noise", "text"),
    [
        ([], True, "No learned trial was measured."),
        (None, False, "No label was made wrong in this sweep."),
        ([*trial_events(0, "learned", _learned(), "failed", 1)], True, "no trial completed"),
        ([*trial_events(0, "learned", _learned(), "failed", 1)][::2], True, "No learned trial was measured."),
        ([*trial_events(0, "learned", _learned(), "pruned", 3)], True, "No trial ran to its end."),
        ([*trial_events(0, "learned", _learned())], True, "Too few trials"),
        ([*trial_events(0, "one_hot", _one_hot())], True, "No learned trial was measured."),
    ],
    ids=["no trials", "no noise", "all failed", "failed at once", "all pruned", "one trial", "no learned arm"],
)
def test_an_odd_sweep_has_a_report_too(records: Any, noise: bool, text: str, tmp_path: Path) -> None:
    assert text in page_of(swept(tmp_path / "odd", records, noise=noise)).all


def test_a_sweep_that_lacks_files_or_has_broken_ones_has_a_report_too(tmp_path: Path) -> None:
    folder = swept(tmp_path / "bare")
    for name in ("space.yaml", "provenance.json"):
        (folder / name).write_text("{broken")
    (folder / "summary.json").write_text("[]")
    (folder / "confirm.json").write_text('{"verdict": "cut"}')
    text = page_of(folder).all
    assert "the search is not at its end" in text
    assert "Not confirmed" in text
    assert "Results of each arm" in text


def test_a_report_that_cannot_be_made_does_not_hurt_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = swept(tmp_path / "label_lr", confirmed=True)
    with monkeypatch.context() as broken:
        broken.setattr("harness.report.render", lambda folder: 1 / 0)
        assert report.report(folder) is None
    assert "ZeroDivisionError" in (folder / report.ERROR_FILE).read_text()
    assert report.report(folder) == folder / "report.html"
    assert not (folder / report.ERROR_FILE).exists()
    assert report.report(tmp_path / "nowhere") is None


def test_bad_input_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swept(tmp_path / "label_lr")
    for words, expected in [
        (["label_rl", "--runs-dir", str(tmp_path)], "did you mean label_lr"),
        (["label_lr", "--runs-dir", str(tmp_path / "no")], "it holds none"),
        (["label_lr", "--runs-dir", str(tmp_path), "--out", str(tmp_path / "no" / "a.html")], "--out"),
    ]:
        assert report.main(words) == 2
        assert expected in capsys.readouterr().err


# In a browser

POINT = """
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const points = [...document.querySelectorAll("figure.plot svg use[data-trial], figure.plot svg path[data-trial]")];
const chosen = points.find((each) => each.dataset.trial === "6");
chosen.scrollIntoView({ block: "center" });
await wait(200);
const box = chosen.getBoundingClientRect();
const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true };
chosen.dispatchEvent(new PointerEvent("pointermove", at));
const tip = document.querySelector(".tip");
const pointed = { hidden: tip.hidden, text: tip.innerText, marked: document.querySelectorAll(".on").length };
document.body.dispatchEvent(new PointerEvent("pointermove", { clientX: 1, clientY: 1, bubbles: true }));
const gone = tip.hidden;
document.querySelector(".enlarge").click();
const svg = document.querySelector("dialog svg");
const before = svg.getAttribute("viewBox");
const area = svg.getBoundingClientRect();
svg.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, clientX: area.x + 200, clientY: area.y + 200, bubbles: true,
  cancelable: true }));
const zoomed = { open: document.querySelector("dialog").open, before, after: svg.getAttribute("viewBox") };
document.querySelector("dialog").close();
const table = document.querySelector("table.trials");
const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === "val_accuracy");
table.tHead.rows[0].cells[column].querySelector("button").click();
const axis = document.querySelector("[data-axis='0']");
axis.scrollIntoView({ block: "center" });
await wait(200);
const long = axis.getBoundingClientRect();
const pull = (kind, share) => axis.dispatchEvent(new PointerEvent(kind, { clientX: long.x + long.width / 2,
  clientY: long.y + share * long.height, bubbles: true }));
for (const [kind, share] of [["pointerdown", 0.05], ["pointermove", 0.45], ["pointerup", 0.45]]) pull(kind, share);
const off = () => new Set([...document.querySelectorAll(".off")].map((line) => line.dataset.trial));
const hidden = [...off()].map(Number).sort((a, b) => a - b);
pull("pointerdown", 0.9);
pull("pointerup", 0.9);
const brushed = { hidden, after: off().size };
return { brushed, points: points.length, rows: table.tBodies[0].rows.length, pointed, gone, zoomed, top: names()[0] };
"""


@pytest.mark.slow
def test_in_a_browser_points_tell_their_trial_and_pictures_zoom(tmp_path: Path) -> None:
    file = report.report(swept(tmp_path / "label_lr", confirmed=True))
    assert file
    seen = visit(file.as_uri(), POINT, tmp_path / "points.png")
    assert seen.errors == []
    found = seen.found
    assert found["points"] >= 22
    assert found["rows"] == 18
    assert not found["pointed"]["hidden"]
    assert "learned-6, complete" in found["pointed"]["text"]
    assert "0.316" in found["pointed"]["text"]
    assert found["pointed"]["marked"] > 1, "marked wherever it is drawn"
    assert found["gone"]
    assert found["zoomed"]["open"]
    width = [float(found["zoomed"][when].split()[2]) for when in ("before", "after")]
    assert width[1] < width[0]
    assert found["top"] == "learned-6"
    # label_lr is 10 ** (number / 4 - 2) for the trials 0 to 11, from the lower end of its axis to the upper one
    kept = sorted(set(range(12)) - set(found["brushed"]["hidden"]))
    assert kept == [7, 8, 9, 10], "a range pulled from 5 to 45 % below the upper end leaves the lines through it"
    assert found["brushed"]["after"] == 0, "a press lets go"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser_the_page_fits_its_width(width: int, tmp_path: Path) -> None:
    file = report.report(swept(tmp_path / "label_lr", confirmed=True))
    assert file
    # A window has a least width of its own, a frame has none.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<body style="margin:0"><iframe src="{file.name}" style="border:0;width:{width}px;height:5600px">'
    )
    file = file.rename(tmp_path / file.name)
    assert visit(frame.as_uri(), "return true;", tmp_path / f"report-{width}.png", max(width, 500), 5600).found
    script = f"""
    const frame = document.createElement("iframe");
    frame.style.width = "{width}px";
    frame.srcdoc = document.documentElement.outerHTML.replace(/<script[^]*?<.script>/g, "");
    document.body.append(frame);
    await new Promise((done) => {{ frame.onload = done; }});
    const inner = frame.contentDocument.documentElement;
    return {{ wide: inner.scrollWidth, room: inner.clientWidth }};
    """
    seen = visit(file.as_uri(), script, tmp_path / "frame.png", width)
    assert seen.errors == []
    assert seen.found["wide"] <= seen.found["room"]
