"""The page is one well-formed file that needs nothing else, shows what it should and lets no text become markup."""

import base64
import re

import numpy as np
import pyarrow as pa
import pytest

from hwr import schema
from hwr.report import drawing, page
from hwr.report.recognition import Report
from hwr.report.templates import Picture, percent
from tests.hwr.report.reader import Reader

EVIL = "<script>alert(1)</script>"
FACTS = {"Predictions": "/data/labels", "Model": EVIL, "Date": "2030-01-02 03:04 UTC"}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


def row(name: str, prediction: str | None, label: str | None, status: str = "ok", *, sure: float = 0.9, reason=None):
    top = None if prediction is None else [{"label": prediction, "score": sure}, {"label": "?", "score": 1 - sure}]
    return {"id": name, "status": status, "prediction": prediction, "confidence": None if prediction is None else sure,
            "top": top, "label": label, "reason": reason}  # fmt: skip


def report(rows: list[dict], labels: str = "ABC") -> Report:
    return Report.of(pa.Table.from_pylist(rows, schema=schema.PREDICTIONS), labels)


def glyphs(ids: list[str]) -> dict[str, np.ndarray]:
    return {name: np.full((28, 28), 200, np.uint8) for name in ids}


def render(made: Report, glyphs=glyphs) -> str:
    """The page with empty pictures: drawing takes most of the time and few tests look at them."""
    names = ["confusion", "f1", "confidence", "predicted"] if made.scores else ["confidence", "predicted"]
    return page.render(made, FACTS, [Picture(name, name, b"", b"") for name in names], glyphs)


ROWS = [
    *(row(f"right/{index}.png", "A", "A", sure=0.8) for index in range(50)),
    *(row(f"wrong/{index:02}.png", "B", "A", sure=0.5 + index / 100) for index in range(6)),
    row("odd.png", "C", "B"),
    row("shy.png", "A", "A", "abstained", sure=0.3, reason="low-confidence"),
    row("torn.png", None, "C", "unreadable", reason="corrupt: it ends after 12 bytes"),
    row("new.png", "C", None),
]


def test_the_page_needs_nothing_but_itself():
    html = render(report(ROWS))
    read = Reader(html)
    addresses = [value for _, each in read.tags for name, value in each.items() if name in ("src", "srcset", "href")]
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not read.all("script")
    assert not read.all("link")
    assert "url(" not in html
    assert "@import" not in html


def test_links_lead_to_parts_of_the_page_and_every_picture_has_words():
    read = Reader(render(report(ROWS)))
    parts = {attributes.get("id") for _, attributes in read.tags}
    links = [attributes["href"] for attributes in read.all("a")]
    assert len(links) == 9
    assert all(link[1:] in parts for link in links)
    assert all("alt" in attributes for attributes in read.all("img"))


def test_every_picture_comes_in_light_and_dark():
    made = report(ROWS)
    drawn = page.pictures(made)
    assert [picture.name for picture in drawn] == ["confusion", "f1", "confidence", "predicted"]
    html = page.render(made, FACTS, drawn, glyphs)
    for picture in drawn:
        for png in (picture.light, picture.dark):
            assert base64.b64encode(png).decode() in html


def test_figures_are_on_the_page():
    text = " ".join(Reader(render(report(ROWS))).text.split())
    assert "50 of 57 answers are right" in text
    assert "87.72" in text  # 50 / 57
    assert "over all inputs 84.75" in text  # 50 / 59: the abstained and the unreadable one count as wrong
    assert "inputs 60" in text
    assert "abstained 1" in text
    assert "unreadable 1" in text
    assert "1 of 60 inputs have no truth" in text
    assert "corrupt 1 torn.png" in text
    assert "All 7 wrong answers" in text
    assert "36 right answers drawn at random" in text
    assert "2030-01-02 03:04 UTC" in text


@pytest.mark.parametrize("where", ["id", "truth", "reason", "prediction"])
def test_markup_in_any_text_stays_text(where):
    rows = {
        "id": [row(EVIL, "A", "B"), row(EVIL + "2", "A", "A"), row(EVIL + "3", None, None, "unreadable")],
        "truth": [row("a", "A", EVIL)],
        "reason": [row("a", None, "A", "unreadable", reason=EVIL), row("b", "A", "A")],
        "prediction": [row("a", EVIL, "A"), row("b", EVIL, EVIL)],
    }[where]
    html = render(report(rows, labels=["A", "B", EVIL]))
    read = Reader(html)
    assert not read.all("script")
    assert "<script" not in html
    assert read.text.count(EVIL) >= 2  # the model's name, and the one in question


def test_galleries_show_the_most_confident_mistakes_and_examples_of_each_pair():
    chosen = page.galleries(report(ROWS))
    assert [shown.id for shown in chosen.mistakes][:3] == ["odd.png", "wrong/05.png", "wrong/04.png"]
    assert [(pair.truth, pair.predicted, pair.count, len(shown)) for pair, shown in chosen.pairs] == [
        ("A", "B", 6, 4),
        ("B", "C", 1, 1),
    ]
    assert all(shown.truth == shown.prediction == "A" for shown in chosen.samples)


def test_unreadable_inputs_are_counted_by_the_name_of_the_reason_whatever_the_detail():
    reasons = ["corrupt: ends after 12 bytes", "blank", "corrupt", "corrupt: ends after 99 bytes", None]
    made = report([row(str(index), None, None, "unreadable", reason=reason) for index, reason in enumerate(reasons)])
    assert made.reasons["unreadable"] == {"corrupt": 3, "blank": 1, "no reason given": 1}
    assert 'title="corrupt: ends after 99 bytes">3</span>' in render(made)


def test_the_sample_is_random_but_the_same_every_time():
    first, second = (page.galleries(report(ROWS)).samples for _ in range(2))
    assert first == second
    assert len({shown.id for shown in first}) == page.SAMPLES
    assert [shown.id for shown in first] != [f"right/{index}.png" for index in range(page.SAMPLES)]


def test_few_glyphs_are_asked_for_however_many_rows_there_are():
    labels = [chr(0x41 + index) for index in range(26)]
    rows = [row(f"{index}.png", labels[index % 26], labels[index % 25]) for index in range(3000)]
    asked: list[list[str]] = []
    render(report(rows, labels), lambda ids: asked.append(ids) or {})
    assert len(asked) == 1
    assert len(asked[0]) == len(set(asked[0])) <= 150


def test_missing_glyphs_are_said_once_and_leave_the_rows_standing():
    html = render(report(ROWS), lambda _: {"odd.png": np.zeros((28, 28), np.uint8)})
    read = Reader(html)
    assert read.text.count("could not be read any more") == 1
    assert "The images of 42 inputs" in read.text  # 6 + 36: of the mistakes only odd.png has its glyph
    assert "wrong/05.png" in read.text
    assert sum("glyph" in (image.get("class") or "") for image in read.all("img")) == 2  # as a mistake and as a pair


def test_glyphs_are_shown_at_whole_multiples_of_their_pixels():
    html = render(report(ROWS), lambda ids: {name: np.zeros((20, 20), np.uint8) for name in ids})
    widths = {image["width"] for image in Reader(html).all("img") if "glyph" in (image.get("class") or "")}
    assert widths == {"60", "80"}


def test_without_truth_the_report_still_stands():
    made = report([row("a", "A", None), row("b", "B", None, sure=0.4), row("c", None, None, "unreadable")])
    assert made.scores is None
    assert made.over_all is None
    html = render(made)
    assert "no truth is known" in html
    assert [picture.name for picture in page.pictures(made)] == ["confidence", "predicted"]
    assert {shown.id for shown in page.galleries(made).samples} == {"a", "b"}
    found = made.to_json()
    assert found["answered"] is None
    assert found["predicted"] == {"A": 1, "B": 1, "C": 0}
    assert (sum(found["confidence"]["unknown"]), found["confidence"]["unknown"][8]) == (2, 1)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("a", None, "A", "unreadable", reason="blank")],
        [row("a", None, None, "unreadable")],
        [row("a", "A", "A")],
        [row("a", "A", "B")],
        [row("a", "A", "ß"), row("b", "A", None, "abstained", sure=0.2)],
    ],
    ids=["none", "unreadable", "no-reason", "right", "wrong", "outside"],
)
def test_the_smallest_reports_stand(rows):
    made = report(rows)
    assert re.search(r"<h1>.+</h1>", page.render(made, FACTS, page.pictures(made), glyphs))


def test_near_perfect_is_not_rounded_up_to_perfect():
    rows = [*(row(str(index), "A", "A") for index in range(29_999)), row("x", "A", "B")]
    text = Reader(render(report(rows))).text
    assert "99.99" in text
    assert percent(1.0) == "100.00\u202f%"
    assert percent(0.99999) == "99.99\u202f%"
