"""The page is one well-formed file that needs nothing else, shows what it should and lets no text become markup."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from hwr.report import illustrations, page, review
from hwr.report.galleries import LEAST, MISTAKES, PAIRS, PER_PAIR, SAMPLES, SUSPECTS, galleries
from hwr.report.pictures import drawing
from hwr.report.scripts import script
from hwr.report.templates import Shown, Suspect, percent
from tests.hwr.report.reader import Reader
from tests.hwr.report.rows import EVIL, FACTS, render, report, row


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


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
    assert read.all("script") == [{}]  # inline
    assert not read.all("link")
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_lets_the_one_script_of_the_page_run_and_no_other():
    html = render(report(ROWS))
    (policy,) = [meta["content"] for meta in Reader(html).all("meta") if "http-equiv" in meta]
    text = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.count("unsafe") == policy.count("style-src 'unsafe-inline'") == 1
    assert not re.search(r"<[^>]+\son\w+=", html.replace(text, ""))


def test_scripts_cannot_end_their_element_early():
    text = script("sort.js", "gallery.js", "corrections.js", "review.js").text.lower()
    assert "</script" not in text
    assert "<!--" not in text
    assert "\r" not in text


def test_links_lead_to_parts_of_the_page_and_every_picture_has_words():
    read = Reader(render(report(ROWS)))
    parts = {attributes.get("id") for _, attributes in read.tags}
    links = [attributes["href"] for attributes in read.all("a")]
    assert len(links) == 13  # eleven parts and two pairs
    assert all(link[1:] in parts for link in links)
    assert all("alt" in attributes for attributes in read.all("img"))


def test_every_picture_comes_in_light_and_dark():
    made = report(ROWS)
    drawn = illustrations.pictures(made)
    names = ["confusion", "f1", "confidence", "predicted", "reliability", "coverage"]
    assert [picture.name for picture in drawn] == names
    html = page.render(made, FACTS, drawn, galleries(made), {})
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
    assert html.count("<script") == 1
    assert read.all("script") == [{}]
    assert read.text.count(EVIL) >= 2  # the model's name, and the one in question


def test_galleries_show_the_most_confident_mistakes_and_examples_of_each_pair():
    chosen = galleries(report(ROWS))
    assert [shown.id for shown in chosen.mistakes][:3] == ["odd.png", "wrong/05.png", "wrong/04.png"]
    assert [(pair.truth, pair.predicted, pair.count, len(shown)) for pair, shown in chosen.pairs] == [
        ("A", "B", 6, 4),
        ("B", "C", 1, 1),
    ]
    assert all(shown.truth == shown.prediction == "A" for shown in chosen.samples)


def test_the_least_sure_are_reviewed_whether_answered_or_not_but_never_the_unreadable():
    least = galleries(report(ROWS)).least
    assert [shown.id for shown in least][:3] == ["shy.png", "wrong/00.png", "wrong/01.png"]
    assert "torn.png" not in {shown.id for shown in least}
    assert len(least) == 59


def test_a_review_has_suspects_first_and_every_input_once():
    least = [Shown(name, "A", "B", 0.1) for name in "abc"]
    cards = review.cards([Suspect("b", "A", "B", 0.9, "C"), Suspect("x", "A", "B", 0.9, "B")], least, "abcx")
    assert [(card.shown.id, card.takes, card.kinds) for card in cards] == [
        ("b", "C", "suspect least"),
        ("x", "B", "suspect"),
        ("a", "B", "least"),
        ("c", "B", "least"),
    ]
    assert [card.shown.id for card in review.cards([], least, "ac")] == ["a", "c"]


def test_reports_of_other_answers_keep_their_corrections_apart():
    first, again, other = (
        review.fingerprint(review.cards([], [Shown("a", "A", answer, 0.1)], "a")) for answer in ("B", "B", "C")
    )
    assert first == again != other
    html = render(report([row("a", "B", "A", sure=0.1)]))
    assert f'data-key="{first}"' in html


def test_only_as_many_suspects_are_shown_as_a_person_can_review():
    rows = [row(f"{index}.png", "B", "A", sure=0.9) for index in range(SUSPECTS + 5)]
    # What is right now and then makes the model's word count: of what is given as A and as B it knows some.
    rows += [row(f"right/{label}/{index}.png", label, label, sure=0.8) for label in "AB" for index in range(9)]
    made = report(rows)
    assert len(made.suspects) == SUSPECTS + 5
    assert f"{SUSPECTS} truths that are suspected" in Reader(render(made)).text


def test_what_a_script_must_know_to_the_letter_survives_the_page():
    name = "a\r\nb\x00\"'<\u202e&amp;\t"
    cards = [each for each in Reader(render(report([row(name, "A", "B")]))).all("li") if "data-id" in each]
    assert [json.loads(card["data-id"]) for card in cards] == [name]


def test_unreadable_inputs_are_counted_by_the_name_of_the_reason_whatever_the_detail():
    reasons = ["corrupt: ends after 12 bytes", "blank", "corrupt", "corrupt: ends after 99 bytes", None]
    made = report([row(str(index), None, None, "unreadable", reason=reason) for index, reason in enumerate(reasons)])
    assert made.report.reasons["unreadable"] == {"corrupt": 3, "blank": 1, "no reason given": 1}
    assert 'title="corrupt: ends after 99 bytes">3</span>' in render(made)


def test_the_sample_is_random_but_the_same_every_time():
    first, second = (galleries(report(ROWS)).samples for _ in range(2))
    assert first == second
    assert len({shown.id for shown in first}) == SAMPLES
    assert [shown.id for shown in first] != [f"right/{index}.png" for index in range(SAMPLES)]


def test_few_glyphs_are_asked_for_however_many_rows_there_are():
    labels = [chr(0x41 + index) for index in range(26)]
    rows = [row(f"{index}.png", labels[index % 26], labels[index % 25]) for index in range(3000)]
    asked: list[list[str]] = []
    render(report(rows, labels), lambda ids: asked.append(ids) or {})
    assert len(asked) == 1
    most = MISTAKES + PAIRS * (PER_PAIR + 2) + SAMPLES + LEAST + SUSPECTS
    assert len(asked[0]) == len(set(asked[0])) <= most < len(rows)


def test_missing_glyphs_are_said_once_and_leave_the_rows_standing():
    html = render(report(ROWS), lambda _: {"odd.png": np.zeros((28, 28), np.uint8)})
    read = Reader(html)
    assert read.text.count("could not be read any more") == 1
    assert "The images of 42 inputs" in read.text  # 6 + 36: of the mistakes only odd.png has its glyph
    assert "wrong/05.png" in read.text
    # As a mistake, as a pair and for review, which leaves out what nobody can see.
    assert sum("glyph" in (image.get("class") or "") for image in read.all("img")) == 3


def test_glyphs_are_shown_at_whole_multiples_of_their_pixels():
    html = render(report(ROWS), lambda ids: {name: np.zeros((20, 20), np.uint8) for name in ids})
    widths = {image["width"] for image in Reader(html).all("img") if "glyph" in (image.get("class") or "")}
    assert widths == {"60", "80"}


def test_without_truth_the_report_still_stands():
    made = report([row("a", "A", None), row("b", "B", None, sure=0.4), row("c", None, None, "unreadable")])
    assert made.report.scores is None
    assert made.report.over_all is None
    html = render(made)
    assert "no truth is known" in html
    assert [picture.name for picture in illustrations.pictures(made)] == ["confidence", "predicted"]
    assert {shown.id for shown in galleries(made).samples} == {"a", "b"}
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
    assert re.search(r"<h1>.+</h1>", page.render(made, FACTS, illustrations.pictures(made), galleries(made), {}))


def test_near_perfect_is_not_rounded_up_to_perfect():
    rows = [*(row(str(index), "A", "A") for index in range(29_999)), row("x", "A", "B")]
    text = Reader(render(report(rows))).text
    assert "99.99" in text
    assert percent(1.0) == "100.00\u202f%"
    assert percent(0.99999) == "99.99\u202f%"
