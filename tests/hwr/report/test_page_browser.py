"""The page of a report in a real browser: tables sort, mistakes are filtered, nothing runs that should not."""

import re

import pytest

from tests.hwr.report.rows import EVIL, render, report, row

ROWS = [
    *(row(f"right/{index}.png", "A", "A", sure=0.8) for index in range(30)),
    *(row(f"wrong/{index:02}.png", "B", "A", sure=0.5 + index / 100) for index in range(6)),
    row("odd.png", "C", "B", sure=0.99934),
    row("even.png", "C", "C"),
    row("evener.png", "B", "B"),
    row("shy.png", "A", "A", "abstained", sure=0.3),
    row("torn.png", None, "C", "unreadable", reason="corrupt: it ends after 12 bytes"),
    row("new.png", "C", None),
]

HOSTILE = [
    EVIL,
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</script><script>alert(1)</script>",
    "</style><svg onload=alert(1)>",
    "{{ 7 * 7 }} ${7 * 7} &lt;b&gt;",
    "line\none\r\ntwo\ttab\0null",
    "\u202eevil\u2066\u200f",
    "javascript:alert(1)",
    "long" * 300,
]

FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one.matches("[type=radio]") ? one.nextSibling : one);
  return [one.outerHTML, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}"""

STOPS = """() => Array.from(document.querySelectorAll("a[href], button, select, input"))
  .filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility() && (one.type !== "radio" || one.checked))
  .map((one) => one.outerHTML)"""


def column(page, place: int) -> list[str]:
    return page.eval_on_selector_all(
        "table.sortable tbody tr", f"rows => rows.map((row) => row.cells[{place}].textContent)"
    )


def shown(page, section: str = "mistakes") -> list[str]:
    return page.eval_on_selector_all(
        f"#{section} .glyphs > li", "cards => cards.filter((card) => card.checkVisibility()).map((card) =>"
        " card.querySelector('.id').textContent)",
    )  # fmt: skip


def count(page) -> str:
    return page.locator("#mistakes output").inner_text()


def field(page, name: str):
    return page.locator(f"#mistakes [name={name}]")


def test_columns_sort_by_their_values_up_and_down_and_footers_stay(open_page):
    page = open_page(render(report(ROWS)))
    foot = page.locator("table.sortable tfoot").inner_text()
    assert column(page, 0) == ["A", "B", "C"]
    assert column(page, 5) == ["36", "2", "1"]
    page.get_by_role("button", name="support").click()
    assert column(page, 5) == ["1", "2", "36"]  # by number: as texts, 36 would stand before
    head = page.locator("table.sortable th[aria-sort]")
    assert head.count() == 1
    assert head.get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="support").click()
    assert column(page, 5) == ["36", "2", "1"]
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("table.sortable tfoot").inner_text() == foot


def test_the_keyboard_alone_sorts(open_page):
    page = open_page(render(report(ROWS)))
    page.get_by_role("button", name="support").focus()
    page.keyboard.press("Enter")
    assert column(page, 0) == ["C", "B", "A"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert column(page, 0) == ["A", "B", "C"]
    assert page.locator("th[aria-sort]").inner_text().startswith("character")


def test_characters_sort_back_into_the_order_of_the_alphabet(open_page):
    labels = ["b", "10", "a", "9", " "]
    page = open_page(render(report([row(label, label, label) for label in labels], labels)))
    assert column(page, 0) == ["b", "10", "a", "9", "␣"]
    page.get_by_role("button", name="F1").click()
    page.get_by_role("button", name="character").click()
    page.get_by_role("button", name="character").click()
    assert column(page, 0) == ["␣", "9", "a", "10", "b"]


def test_characters_that_never_occur_stand_last_whichever_way_f1_sorts(open_page):
    rows = [row("a", "A", "A"), row("b", "C", "B"), row("c", "B", "B")]
    page = open_page(render(report(rows)))
    assert page.locator("table.sortable tbody tr").nth(2).inner_text().split() == ["C", "0.00", "%", "–", "–", "0"]
    page.get_by_role("button", name="F1").click()
    assert column(page, 0) == ["B", "A", "C"]
    page.get_by_role("button", name="F1").click()
    assert column(page, 0) == ["A", "B", "C"]


def test_filters_leave_what_fits_and_count_it(open_page):
    page = open_page(render(report(ROWS)))
    assert count(page) == "7 of 7 shown"
    field(page, "truth").select_option("A (6)")
    assert count(page) == "6 of 7 shown"
    field(page, "from").fill("52")
    field(page, "to").fill("53")
    assert shown(page) == ["wrong/03.png", "wrong/02.png"]
    assert count(page) == "2 of 7 shown"
    field(page, "prediction").select_option("C (1)")
    assert count(page) == "0 of 7 shown"
    page.get_by_role("button", name="Reset").click()
    assert count(page) == "7 of 7 shown"
    assert field(page, "from").input_value() == ""


def test_a_bound_means_the_confidence_that_is_written_on_the_card(open_page):
    page = open_page(render(report(ROWS)))
    field(page, "to").fill("99.9")  # the card says 99.9 %, the model 99.934
    field(page, "from").fill("99.9")
    assert shown(page) == ["odd.png"]


def test_a_confused_pair_leads_to_its_mistakes(open_page):
    page = open_page(render(report(ROWS)))
    field(page, "to").fill("10")
    assert count(page) == "0 of 7 shown"
    page.locator("#pairs a").nth(1).focus()
    page.keyboard.press("Enter")
    assert shown(page) == ["odd.png"]
    assert page.url.endswith("#mistakes")
    assert field(page, "truth").evaluate("list => list.selectedOptions[0].text") == "B (1)"


@pytest.mark.parametrize("labels", [["", "any", "\n"], ["0", " 0", "0 "], ['"', "'", "\\"]])
def test_labels_of_any_kind_can_be_filtered(open_page, labels):
    rows = [row(f"{one}", "x", label) for one, label in enumerate(labels)]
    page = open_page(render(report(rows, [*labels, "x"])))
    for index in range(3):
        field(page, "truth").select_option(index=1 + index)
        assert shown(page) == [str(index)]


def test_hostile_texts_are_shown_and_run_nothing(open_page):
    rows = [row(text, text, None if index % 2 else "A", sure=0.5) for index, text in enumerate(HOSTILE)]
    page = open_page(render(report(rows, ["A", *HOSTILE])))
    assert page.locator("script").count() == 1
    assert page.locator("svg, [onerror], [onfocus], [onload], main script").count() == 0
    text = page.locator("main").text_content()
    assert all(name in text for name in HOSTILE[:6])
    assert "\u202e" not in text
    for index in range(1, page.locator("#mistakes select[name=prediction] option").count()):
        field(page, "prediction").select_option(index=index)
        assert count(page).startswith("1 of ")


def test_without_scripts_everything_is_shown_and_nothing_pretends_to_work(open_page):
    page = open_page(render(report(ROWS)), java_script_enabled=False)
    assert page.locator("#mistakes .glyphs > li:visible").count() == 7
    assert page.locator("#review .glyphs > li:visible").count() == 41
    assert page.locator("table.sortable tbody tr:visible").count() == 3
    assert page.locator("button:visible, select:visible, input:visible").count() == 0
    assert page.get_by_text("Scripts do not run here").is_visible()
    assert open_page(render(report(ROWS))).get_by_text("Scripts do not run here").is_hidden()


def test_no_part_is_wider_than_a_small_screen(open_page):
    rows = [*ROWS, *(row(text, text, "A") for text in HOSTILE)]
    page = open_page(render(report(rows, ["A", "B", "C", *HOSTILE])), width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    wide = "all => all.filter((one) => one.checkVisibility() && !one.closest('table, .mark, legend, script') &&"
    wide += " one.getBoundingClientRect().right > 400).map((one) => one.outerHTML.slice(0, 200))"
    assert page.eval_on_selector_all("body *", wide) == []


def test_tab_reaches_every_control_and_shows_where_it_is(open_page):
    page = open_page(render(report(ROWS)))
    page.locator("#review input[type=text]").first.press("Enter")  # there is something to download and to forget
    wanted = set(page.evaluate(STOPS))
    assert len(wanted) > 20
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.locator("h1").click()
    found: dict[str, bool] = {}
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        element, visible = page.evaluate(FOCUS)
        found[element] = visible
    assert wanted <= found.keys()
    assert all(found[element] for element in wanted)


def test_print_leaves_the_controls_out_and_takes_sixty_cards(open_page):
    rows = [*ROWS, *(row(f"more/{index}.png", "C", "B") for index in range(100))]
    page = open_page(render(report(rows)))
    page.emulate_media(media="print")
    assert len(shown(page)) == len(shown(page, "review")) == 60
    assert page.locator(".tools:visible, input:visible, select:visible").count() == 0
    assert page.locator("#mistakes").get_by_text("At most 60 of them are printed").is_visible()
    page.emulate_media(media="screen")
    field(page, "prediction").select_option(label="B (6)")
    page.emulate_media(media="print")
    assert len(shown(page)) == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground_in_both_schemes(open_page, scheme):
    page = open_page(render(report(ROWS)), color_scheme=scheme)
    places = ["h1", "#mistakes p", ".sure", ".bad", "output", "button[name=forget]", "th button", "#mistakes label"]
    for place in places:
        ink, ground = page.locator(place).first.evaluate("""one => {
          let ground = one;
          while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
          return [getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
        }""")
        assert contrast(ink, ground) >= 4.5, place


def contrast(*colours: str) -> float:
    """The contrast ratio of WCAG 2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    lights = []
    for colour in colours:
        shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)
