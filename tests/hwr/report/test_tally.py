"""Counts over parts equal counts over the whole, and the rows that are kept are the right ones."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.report import tally
from hwr.report.tally import Tally
from hwr.storage import Folder
from tests.hwr.outputs.predictions import abstained, ok, table, unreadable

SCORES = st.floats(0, 1, width=32)


def mixed(count, rng):
    rows = []
    for number in range(count):
        score, which = float(np.float32(rng.random())), rng.integers(4)
        made = [ok(f"{number}", "AB"[number % 2], score), ok(f"{number}", "C", 1.0), abstained(f"{number}", "B", score)]
        rows.append(made[which] if which < 3 else unreadable(f"{number}", f"corrupt: {number}"))
    return table(*rows)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 150))
def test_parts_count_as_the_whole(seed, count, size):
    whole = mixed(count, np.random.default_rng(seed))
    cut = Tally.of([whole.slice(start, size) for start in range(0, count, size)], "ABC")
    once = Tally.of([whole], "ABC")
    parts, together = cut.to_json(), once.to_json()
    assert parts.pop("mean_confidence") == pytest.approx(together.pop("mean_confidence"))
    assert parts == together
    assert cut.examples == once.examples
    assert [cut.shown(which) for which in ("surest", "least", "abstained")] == [
        once.shown(which) for which in ("surest", "least", "abstained")
    ]


@given(st.lists(SCORES, min_size=1, max_size=200))
def test_the_surest_and_the_least_sure_are_those(scores):
    made = Tally.of([table(*(ok(f"{number}", confidence=score) for number, score in enumerate(scores)))], "A")
    assert [shown.confidence for shown in made.shown("surest")] == sorted(scores, reverse=True)[: tally.MOST]
    assert [shown.confidence for shown in made.shown("least")] == sorted(scores)[: tally.MOST]
    assert made.bins["ok"].sum() == len(scores)
    assert made.mean("ok") == pytest.approx(np.mean(scores))


def test_equals_are_drawn_from_everywhere():
    made = Tally.of([table(*(ok(f"{part * 500 + n}", confidence=1.0) for n in range(500))) for part in range(8)], "A")
    assert len({int(shown.id) // 500 for shown in made.shown("surest")}) == 8


def test_what_was_counted_is_said(tmp_path):
    rows = [
        ok("1", "B", 0.5), ok("2", "B", 1.0, truth="A"), ok("3", "X", 0.75), abstained("4", "A", 0.25),
        *(unreadable(f"u{number}", "corrupt: the: header") for number in range(5)), unreadable("e", "empty"),
        unreadable("n", None),
    ]  # fmt: skip
    made = Tally.of([table(*rows)], "AB")
    tally.write_summary(Folder.open(str(tmp_path)), made, {"model": {"name": "é"}})
    said = json.loads((tmp_path / tally.SUMMARY).read_text())
    assert said["model"] == {"name": "é"}
    assert said["inputs"] == 11
    assert said["statuses"] == {"ok": 3, "abstained": 1, "unreadable": 7}
    assert said["characters"] == {"A": 0, "B": 2, "X": 1}
    assert list(said["reasons"].items()) == [("corrupt", 5), ("empty", 1), ("no reason given", 1)]
    assert said["mean_confidence"] == {"ok": 0.75, "abstained": 0.25}
    assert sum(said["confidence"]["ok"]) == 3
    assert len(said["confidence"]["edges"]) == len(said["confidence"]["ok"]) + 1
    assert made.examples["corrupt"] == [(f"u{number}", "the: header") for number in range(3)]
    assert made.examples["empty"] == [("e", None)]
    assert made.shown("surest")[0].truth == "A"


def test_nothing_at_all_is_a_summary_too(tmp_path):
    tally.write_summary(Folder.open(str(tmp_path)), Tally.of([table()], "A"), {})
    said = json.loads((tmp_path / tally.SUMMARY).read_text())
    assert (said["inputs"], said["mean_confidence"]["ok"]) == (0, None)


def test_a_summary_is_strict_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        tally.write_summary(Folder.open(str(tmp_path)), Tally.of([], "A"), {"temperature": float("nan")})
