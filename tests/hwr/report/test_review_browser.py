"""The review in a real browser: labels are given with the keyboard, outlive the page, and reach a CSV unharmed."""

import csv
import io
import random
import re
import time

import pytest
from playwright.sync_api import expect

from hwr import spreadsheet
from hwr.report.templates import Suspect
from tests.hwr.report.rows import EVIL, render, report, row

ROWS = [row(f"{index}.png", "ABC"[index % 3], "A", sure=0.1 + index / 100) for index in range(12)]
UNKNOWN = [row(f"{index}.png", "ABC"[index % 3], None, sure=0.1 + index / 100) for index in range(12)]
SUSPECTS = [Suspect("10.png", "A", "B", 0.9, "C"), Suspect("3.png", "A", "A", 0.9, "B")]

FORMULA = r"'*[=+\-@\t\r\n＝＋－＠]"


def inputs(page):
    return page.locator("#review input[type=text]")


def place(page) -> int:
    """Which of the shown glyphs has the focus."""
    return page.evaluate("""() => Array.from(document.querySelectorAll("#review input[type=text]"))
      .filter((one) => one.checkVisibility()).indexOf(document.activeElement)""")


def corrections(page) -> str:
    return page.locator("#review output").inner_text()


def reload_until(page, said: str) -> None:
    """Load the page anew until it says so: the browser writes down beside it, and may be late on a busy machine."""
    last = time.monotonic() + 30
    page.reload()
    while corrections(page) != said and time.monotonic() < last:
        page.reload()
    assert corrections(page) == said


def downloaded(page) -> list[list[str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrections.csv").click()
    assert download.value.suggested_filename == "corrections.csv"
    text = download.value.path().read_bytes().decode()
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_a_typed_character_labels_the_glyph_and_the_next_one_follows(open_page):
    page = open_page(render(report(ROWS)))
    assert corrections(page) == "0 corrections"
    assert page.get_by_role("button", name="Download").is_disabled()
    inputs(page).first.focus()
    page.keyboard.type("BC")
    assert place(page) == 2
    assert corrections(page) == "2 corrections"
    assert downloaded(page) == [["file", "label", "was"], ["0.png", "B", "A"], ["1.png", "C", "A"]]


def test_typing_again_replaces_and_backspace_takes_back(open_page):
    page = open_page(render(report(ROWS)))
    inputs(page).first.focus()
    page.keyboard.type("B")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("C")
    assert inputs(page).first.input_value() == "C"
    assert corrections(page) == "1 correction"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    assert place(page) == 0
    assert corrections(page) == "0 corrections"
    page.keyboard.type("C")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    assert corrections(page) == "0 corrections"


def test_the_truth_itself_is_no_correction(open_page):
    page = open_page(render(report(ROWS)))
    inputs(page).first.focus()
    page.keyboard.type("AB")
    assert page.locator("#review .mark").all_text_contents()[:3] == ["confirmed", "corrected", ""]
    assert corrections(page) == "1 correction"
    assert downloaded(page)[1:] == [["1.png", "B", "A"]]


def test_without_a_truth_agreeing_with_the_model_is_a_label(open_page):
    page = open_page(render(report(UNKNOWN)))
    inputs(page).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert downloaded(page)[1:] == [["0.png", "A", "A"], ["2.png", "C", "C"]]


def test_enter_takes_what_is_suggested_and_suspects_come_first(open_page):
    page = open_page(render(report(ROWS), suspects=SUSPECTS))
    inputs(page).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # the least sure one, whose answer is its truth
    assert place(page) == 3
    assert downloaded(page)[1:] == [["10.png", "C", "A"], ["3.png", "B", "A"]]


def test_the_choice_of_what_to_review_is_one_of_three(open_page):
    page = open_page(render(report(ROWS), suspects=SUSPECTS))
    visible = "#review .glyphs > li:visible"
    assert page.locator(visible).count() == 12
    page.get_by_role("radio", name="suspects").click()
    assert page.locator(visible).count() == 2
    inputs(page).first.focus()
    page.keyboard.type("BB")
    assert place(page) == 1  # there is no third
    page.get_by_role("radio", name="suspects").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="least sure").is_checked()
    assert page.locator(visible).count() == 12
    assert corrections(page) == "2 corrections"


def test_arrows_walk_the_grid(open_page):
    page = open_page(render(report(ROWS)))
    tops = page.eval_on_selector_all("#review .glyphs > li", "cards => cards.map((card) => card.offsetTop)")
    across = tops.count(tops[0])
    assert 2 < across < 12
    inputs(page).first.focus()
    for key, expected in [
        ("ArrowLeft", 0),
        ("ArrowUp", 0),
        ("ArrowRight", 1),
        ("ArrowDown", across + 1),
        ("ArrowLeft", across),
        ("ArrowUp", 0),
    ]:
        page.keyboard.press(key)
        assert place(page) == expected, key
    page.keyboard.press("Tab")
    assert place(page) == -1
    page.keyboard.press("Shift+Tab")
    assert place(page) == 0


def test_labels_of_several_characters_are_typed_to_their_end(open_page):
    rows = [row(f"{index}.png", "AE", "A", sure=0.1 + index / 100) for index in range(12)]
    page = open_page(render(report(rows, ["A", "AE", "OE"])))
    inputs(page).first.focus()
    page.keyboard.type("OX")
    page.keyboard.press("Backspace")
    page.keyboard.type("E")
    page.keyboard.press("ArrowLeft")  # in the midst of a label, the arrow stays in it
    assert place(page) == 0
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert place(page) == 2
    page.keyboard.press("ArrowLeft")
    assert place(page) == 1
    assert downloaded(page)[1:] == [["0.png", "OE", "A"], ["1.png", "AE", "A"]]


def test_composed_letters_are_taken_when_they_are_done(open_page):
    page = open_page(render(report(ROWS)))
    inputs(page).first.focus()
    keyboard = page.context.new_cdp_session(page)
    keyboard.send("Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1})
    assert (place(page), corrections(page)) == (0, "0 corrections")
    keyboard.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    assert (place(page), corrections(page)) == (0, "0 corrections")
    keyboard.send("Input.insertText", {"text": "日"})
    assert (place(page), corrections(page)) == (1, "1 correction")
    assert downloaded(page)[1:] == [["0.png", "日", "A"]]


def test_letters_are_put_together_as_the_data_set_has_them(open_page):
    page = open_page(render(report(ROWS)))
    inputs(page).first.focus()
    page.keyboard.insert_text("e\u0301")
    assert downloaded(page)[1:] == [["0.png", "é", "A"]]


def test_a_label_that_the_model_does_not_know_is_marked_as_new(open_page):
    page = open_page(render(report(ROWS)))
    inputs(page).first.focus()
    page.keyboard.type("ß")
    assert page.locator("#review .mark").first.text_content() == "new label"
    assert downloaded(page)[1:] == [["0.png", "ß", "A"]]


def test_corrections_outlive_the_page_and_are_its_own(open_page):
    html = render(report(ROWS))
    page = open_page(html)
    inputs(page).first.focus()
    page.keyboard.type("BC")
    assert corrections(page) == "2 corrections"
    reload_until(page, "2 corrections")
    assert [one.input_value() for one in inputs(page).all()[:3]] == ["B", "C", ""]
    assert page.locator("#review .mark").first.text_content() == "corrected"
    other = page.context.new_page()
    other.goto(page.url)
    assert corrections(other) == "2 corrections"
    inputs(other).nth(2).focus()
    other.keyboard.type("C")
    expect(page.locator("#review output")).to_have_text("3 corrections")
    other.goto(
        open_page(render(report([*ROWS, row("further.png", "A", "B", sure=0.1)]))).url
    )  # the same file, written anew
    assert corrections(other) == "0 corrections"


def test_forgetting_asks_first(open_page):
    page = open_page(render(report(ROWS)), answers=(False, True))
    inputs(page).first.focus()
    page.keyboard.type("BC")
    page.get_by_role("button", name="Forget all").click()
    assert corrections(page) == "2 corrections"
    page.get_by_role("button", name="Forget all").click()
    assert corrections(page) == "0 corrections"
    assert inputs(page).first.input_value() == ""
    reload_until(page, "0 corrections")


@pytest.mark.parametrize(
    "init",
    [
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } });",
        "Storage.prototype.setItem = () => { throw new Error('denied'); };",
    ],
)
def test_a_browser_that_keeps_nothing_says_so_and_still_works(open_page, init):
    page = open_page(render(report(ROWS)), init=init)
    inputs(page).first.focus()
    page.keyboard.type("B")
    assert page.get_by_role("alert").inner_text() == (
        "This browser keeps nothing between visits (denied): download the corrections before you leave the page."
    )
    assert downloaded(page)[1:] == [["0.png", "B", "A"]]


@pytest.mark.parametrize("kept", ["{", "3", '{"a": 1}', "null", '[["0.png", 1], "x", ["0.png"], ["gone", "B"]]'])
def test_what_another_program_left_in_the_store_does_no_harm(open_page, kept):
    page = open_page(render(report(ROWS)))
    page.evaluate("kept => localStorage.setItem('hwr-corrections:one', kept)", kept)
    page.reload()
    assert corrections(page) == "0 corrections"
    inputs(page).first.focus()
    page.keyboard.type("B")
    assert corrections(page) == "1 correction"
    reload_until(page, "1 correction")


def test_any_name_and_label_reaches_python_through_the_csv(open_page):
    some = random.Random(0)
    signs = ["=", "+", "-", "@", "＝", "＠", "'", "''", '"', ",", ";", "\r", "\n", "\t", "a", "é", "𝒜", " ", EVIL]
    names = {"".join(some.choices(signs, k=some.randint(1, 4))) for _ in range(250)}
    rows = [row(name, some.choice(signs), None, sure=index / 300) for index, name in enumerate(sorted(names))]
    page = open_page(render(report(rows, signs)))
    inputs(page).first.focus()
    for _ in rows:
        page.keyboard.press("Enter")
    assert corrections(page) == f"{len(rows)} corrections"
    header, *found = downloaded(page)
    assert header == ["file", "label", "was"]
    assert not [cell for line in found for cell in line if re.match(FORMULA.removeprefix("'*"), cell)]
    assert [[restored(cell) for cell in line] for line in found] == [
        [one["id"], one["prediction"], one["prediction"]] for one in rows
    ]


def restored(cell: str) -> str:
    """The text that a cell was made of: one apostrophe less before a formula sign, however many there are."""
    plain = cell[1:] if re.match(f"'{FORMULA}", cell) else cell
    if hasattr(spreadsheet, "restore"):
        assert spreadsheet.restore(cell) == plain
    return plain
