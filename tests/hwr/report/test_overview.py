"""The page of an ingest stands for any labels and any outcome, and lets no text become markup."""

import base64
import io
import subprocess
import sys
import zipfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr.alphabet import NAMED
from hwr.decode import decode
from hwr.glyph import canonical
from hwr.report import overview
from hwr.report.overview import Overview
from hwr.report.pictures import drawing
from tests.hwr.report.reader import Reader

EVIL = "<script>alert(1)</script>"
ODD = [
    EVIL,
    "$x$",
    "$\\frac{",
    "😀",
    "漢字",
    " ",
    "\n",
    "\x00",
    "",
    '"><img src=x>',
    "{{ 7 * 7 }}",
    "السلام",
    "word" * 60,
]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


def made(classes, rejects=None, size=28, facts=None, duplicates=None) -> Overview:
    """An overview whose glyphs are ramps, so that no two of a class are the same."""
    splits, reasons = Counter(), {reason: len(examples) for reason, examples in (rejects or {}).items()}
    for counts in classes.values():
        splits.update(counts)
    ramp = np.arange(size * size, dtype=np.uint8).reshape(size, size)
    sheet = {
        label: np.stack([np.roll(ramp, index) for index in range(min(sum(counts.values()), overview.PER_CLASS))])
        for label, counts in classes.items()
        if sum(counts.values())
    }
    counts = {
        "inputs": splits.total() + sum(reasons.values()),
        "samples": splits.total(),
        "rejects": sum(reasons.values()),
        "splits": {split: splits[split] for split in ("train", "val", "test")},
        "labels": {label: sum(counts.values()) for label, counts in classes.items() if label is not None},
        "reasons": reasons,
        **({"duplicates": duplicates} if duplicates else {}),
    }
    return Overview(facts or {"Source": "scans", "Date": "2030-01-02"}, counts, classes, rejects or {}, sheet)


def even(labels, train=8, val=1, test=1):
    return {label: {"train": train, "val": val, "test": test} for label in labels}


def page(shown: Overview) -> str:
    return overview.render(shown, overview.pictures(shown))


def text(shown: Overview) -> str:
    return " ".join(Reader(page(shown)).text.split())


def embedded(html: str) -> list[np.ndarray]:
    """The glyphs of each class on the page, side by side."""
    sources = [each["src"] for each in Reader(html).all("img") if each["alt"] == ""]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))) for source in sources]


def test_the_page_needs_nothing_but_itself():
    html = page(made(even("AB"), {"blank": [("a.png", None)]}))
    read = Reader(html)
    addresses = [value for _, each in read.tags for name, value in each.items() if name in ("src", "srcset", "href")]
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not read.all("script")
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_links_lead_to_parts_of_the_page():
    read = Reader(page(made(even("AB"), {"blank": [("a.png", None)]}, duplicates={"train": 1})))
    parts = {attributes.get("id") for _, attributes in read.tags}
    assert {link["href"] for link in read.all("a")} == {"#ingested", "#glyphs", "#balance", "#duplicates", "#rejects"}
    assert {link["href"][1:] for link in read.all("a")} <= parts


def test_figures_are_on_the_page():
    shown = made({**even("AB"), "C": {"train": 5}}, {"blank": [("a/b.png", "no ink"), ("c.png", None)]})
    said = text(shown)
    assert "25 samples of 3 classes, made of 27 inputs" in said
    assert "train 21 val 2 test 2 rejects 2" in said
    assert "C 5 · train 5 · val 0 · test 0" in said
    assert "1 class has no sample in val and cannot be measured there: C." in said
    assert "2 of 27 inputs could not become a sample" in said
    assert f"blank{overview.REASONS['blank']} 2" in said
    assert "a/b.pngno ink" in said


def test_every_picture_comes_in_light_and_dark_and_the_balance_is_on_the_page():
    shown = made(even("AB"))
    glyphs, balance = overview.pictures(shown)
    assert (glyphs.name, balance.name) == ("glyphs", "balance")
    assert glyphs.light != glyphs.dark
    html = overview.render(shown, [glyphs, balance])
    assert all(base64.b64encode(png).decode() in html for png in (balance.light, balance.dark))


@pytest.mark.parametrize("size", [8, 28, 56])
def test_glyphs_stand_under_their_class_upright_and_pixel_for_pixel(size):
    shown = made(even("AB", train=2, val=0), size=size)
    for strip, label in zip(embedded(page(shown)), "AB", strict=True):
        parts = np.split(strip, 3, axis=1)
        for part, glyph in zip(parts, shown.sheet[label], strict=True):
            np.testing.assert_array_equal(part[:, :size, 0], glyph)
            assert (part[:, :size, 1] == 255).all()
            assert (part[:, size:, 1] == 0).all()


def test_large_glyphs_are_made_smaller():
    strips = embedded(page(made(even("AB"), size=256)))
    assert [strip.shape[0] for strip in strips] == [overview.SHARPEST] * 2


@pytest.mark.parametrize("where", ["label", "key", "detail", "reason", "fact"])
def test_markup_in_any_text_stays_text(where):
    shown = {
        "label": made(even([EVIL, "A"], val=0)),
        "key": made(even("A"), {"blank": [(EVIL, None)]}),
        "detail": made(even("A"), {"blank": [("a", EVIL)]}),
        "reason": made(even("A"), {EVIL: [("a", None)]}),
        "fact": made(even("A"), facts={EVIL: EVIL}),
    }[where]
    html = page(shown)
    read = Reader(html)
    assert not read.all("script")
    assert EVIL in read.text


@pytest.mark.parametrize("label", ODD)
def test_any_label_can_be_shown(label):
    html = page(made(even([label, "A"])))
    assert len(embedded(html)) == 2
    assert "49" not in Reader(html).text


@settings(max_examples=25)
@given(
    labels=st.lists(
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=8, unique=True
    ),
    counts=st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), min_size=8, max_size=8),
    reasons=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 5), max_size=4),
)
def test_any_outcome_has_a_well_formed_page(labels, counts, reasons):
    splits = ("train", "val", "test")
    classes = {label: dict(zip(splits, some, strict=True)) for label, some in zip(labels, counts, strict=False)}
    shown = made(classes, {reason: [("k", None)] * count for reason, count in reasons.items()}, size=8)
    html = page(shown)
    assert len(embedded(html)) == sum(any(counts.values()) for counts in classes.values())
    assert f"{shown.counts['samples']:,}" in Reader(html).text


def test_few_of_many_classes_are_shown_and_the_page_stays_small():
    shown = made(even((f"word{index:04}" for index in range(3000)), val=0))
    html = page(shown)
    strips = embedded(html)
    assert len(strips) == overview.MOST_CLASSES
    assert f"{overview.MOST_CLASSES} of 3,000 classes" in Reader(html).text
    assert "3,000 classes have no sample in val" not in Reader(html).text  # nothing at all is in val
    assert len(html) < 3e6


def test_the_classes_of_a_sheet_are_spread_from_the_first_to_the_last():
    assert overview.on_sheet([]) == []
    assert overview.on_sheet(["A", None]) == ["A", None]
    chosen = overview.on_sheet([str(index) for index in range(3000)])
    assert (chosen[0], chosen[-1], len(set(chosen))) == ("0", "2999", overview.MOST_CLASSES)


def test_samples_without_a_label_are_a_group_of_their_own():
    said = text(made({None: {"test": 40}}))
    assert "40 samples, made of 40 inputs" in said
    assert "40 samples have no label" in said
    assert "no label 40 · test 40" in said
    assert "cannot be learnt" not in said


def test_where_everything_is_rejected_the_page_says_why():
    shown = made({}, {"not-an-image": [(f"{index}.txt", "no image ending") for index in range(9)]})
    assert overview.pictures(shown) == []
    said = text(shown)
    assert "No input became a sample" in said
    assert overview.REASONS["not-an-image"] in said
    assert "2.txt" in said
    assert "3.txt" not in said


def test_every_reason_is_shown_the_most_frequent_first_and_an_unknown_one_too():
    rejects = {reason: [("k", None)] * (index + 1) for index, reason in enumerate([*overview.REASONS, "brand-new"])}
    said = text(made({}, rejects))
    places = [said.index(f"{reason}{overview.REASONS.get(reason, '')} {len(rejects[reason])} ") for reason in rejects]
    assert places == sorted(places, reverse=True)


def test_duplicates_are_told_only_where_there_are_any():
    none = {"train": 0, "leaks": {"train-test": 0, "train-val": 0, "val-test": 0}, "dropped": 0}
    assert "Duplicates" not in text(made(even("AB"), duplicates=none))
    some = {**none, "leaks": {**none["leaks"], "train-test": 7}}
    assert "in both train and test 7" in text(made(even("AB"), duplicates=some))


def test_a_class_missing_from_train_is_pointed_out():
    said = text(made({**even("AB"), "C": {"test": 3}}))
    assert "1 class has no sample in train and cannot be learnt from this data alone: C." in said


def test_real_letters_of_62_classes(data):
    """The page of a real data set: every class has its strip, and it stays small."""
    with zipfile.ZipFile(data / "english" / "Img.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        glyphs = [canonical(decode(archive.read(name)), 28) for name in names[:: len(names) // 62][:62]]
    shown = made(even(NAMED["english62"]))
    sheet = dict(zip(NAMED["english62"], (np.stack([glyph] * 12) for glyph in glyphs), strict=True))
    html = page(Overview(shown.facts, shown.counts, shown.classes, {}, sheet))
    assert len(embedded(html)) == 62
    assert len(html) < 1.5e6


def test_it_is_light_to_import():
    heavy = "{'sklearn', 'pandas', 'torch', 'cv2', 'pyplot'} & set(sys.modules)"
    command = f"import sys; import hwr.report.overview; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
