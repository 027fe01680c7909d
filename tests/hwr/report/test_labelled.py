"""The page of a labelling stands for any outcome, and lets no name become markup."""

import subprocess
import sys

import numpy as np
import pytest

from hwr.report import labelled, tally
from hwr.report.pictures import drawing
from hwr.report.tally import Tally
from tests.hwr.outputs.predictions import NAMES, abstained, ok, table, unreadable
from tests.hwr.report.reader import Reader

GLYPH = np.arange(784, dtype=np.uint8).reshape(28, 28)


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


def page(*rows, alphabet="AB", glyphs=lambda ids: dict.fromkeys(ids, GLYPH), facts=None) -> str:
    made = Tally.of([table(*rows)], alphabet)
    return labelled.render(made, facts or {"Images": "scans"}, labelled.pictures(made), glyphs)


def text(html: str) -> str:
    return " ".join(Reader(html).text.split())


def many(count, status=ok):
    return [status(f"{status.__name__}-{number:04d}.png", confidence=number / count) for number in range(count)]


def test_the_headline_and_every_sheet_are_there():
    html = page(*many(200), *many(70, abstained), unreadable("u.png"))
    said = text(html)
    assert "200 answers to 271 inputs, of 1 character" in said
    assert "answered 200 abstained 70 unreadable 1" in said
    assert html.count('<img class="glyph"') == 3 * tally.MOST
    assert "60 of 70 inputs on which the model was not sure enough" in said
    assert "corrupt" in said
    assert "the header says 10 bytes" in said
    for anchor in ("characters", "confidence", "least", "surest", "abstained", "unreadable"):
        assert f'id="{anchor}"' in html
        assert f'href="#{anchor}"' in html


def test_an_input_is_in_one_sheet_where_all_fit():
    html = page(*many(5))
    assert html.count('<img class="glyph"') == 5
    assert 'id="surest"' not in html
    assert "All 5 answers" in text(html)


def test_a_wrong_answer_shows_its_truth():
    assert "B → A" in text(page(ok("a.png", "A", truth="B"))).replace("B→A", "B → A")


@pytest.mark.parametrize("status", [ok, abstained, unreadable])
def test_no_name_becomes_markup_or_breaks_the_page(status):
    facts = {"Images": NAMES[5], "Model": "=cmd()"}
    html = page(*map(status, NAMES), facts=facts)
    reader = Reader(html)
    assert not [tag for tag, _ in reader.tags if tag in ("script", "link", "iframe", "form")]
    assert "\u202e" not in html
    assert "new\nline" not in html
    assert status is unreadable or "xxx…xxx" in html  # of the unreadable, three examples are shown
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))


def test_odd_answers_and_reasons_are_escaped():
    html = page(ok("a", "<b>"), unreadable("b", "<i>: <u>"), alphabet=["<b>", "\u202e"])
    assert not [tag for tag, _ in Reader(html).tags if tag in ("b", "u")]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "0 answers to 0 inputs"),
        ([unreadable("a")], "No input got an answer. The reasons why inputs could not be read are below."),
        ([abstained("a")], "No input got an answer. The model abstained wherever it could read one"),
        ([abstained("a") | {"top": []}], "No input got an answer."),
        ([ok("a")], "1 answer to 1 input, of 1 character"),
    ],
)
def test_the_smallest_outcomes_stand(rows, says):
    assert says in text(page(*rows))


def test_images_that_are_gone_are_frames():
    html = page(*many(3), glyphs=lambda _: {})
    assert "The images of 3 inputs shown below could not be read any more" in text(html)
    assert html.count('class="none large"') == 3


def test_the_page_carries_all_it_needs_and_stays_small():
    html = page(*many(3000), *many(300, abstained), *(unreadable(f"{n}" * 50, f"r{n % 40}: why") for n in range(900)))
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert len(html) < 700_000


def test_it_is_light_to_import():
    heavy = "{'sklearn', 'scipy', 'torch', 'ray', 'matplotlib.pyplot'}"
    code = f"import sys, hwr.report.labelled; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
