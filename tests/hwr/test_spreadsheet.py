"""No cell becomes a formula, and every value survives the way through CSV."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.spreadsheet import restore, safe, to_csv, write_csv

SIGNS = "=+-@\t\r\n＝＋－＠"

# Texts that begin as formulas and as defused formulas do, oftener than chance has them.
texts = st.one_of(st.text(), st.text("'a" + SIGNS, max_size=6))


@pytest.mark.parametrize("cell", ["=cmd()", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a"])
def test_formulas_are_defused(cell):
    rows = list(csv.reader(io.StringIO(to_csv(["h"], [[cell]]).decode(), newline="")))
    assert rows[1] == [f"'{cell}"]


@given(texts)
def test_every_text_can_be_restored_and_none_is_taken_for_a_formula(text):
    assert restore(safe(text)) == text
    assert not safe(text).startswith(tuple(SIGNS))
    assert safe(text) in (text, f"'{text}")


@given(texts)
def test_the_rule_is_the_one_that_other_programs_are_told(text):
    assert safe(text) == (f"'{text}" if re.match(f"'*[{re.escape(SIGNS)}]", text) else text)
    assert restore(text) == (text[1:] if re.match(f"'+[{re.escape(SIGNS)}]", text) else text)


@pytest.mark.parametrize("text", ["", "'", "''", "'a", "o'clock", "a=b", "1", " =1"])
def test_what_is_no_formula_stays_as_it_is(text):
    assert safe(text) == text == restore(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=4))
def test_texts_survive(cells):
    read = list(csv.reader(io.StringIO(to_csv(["a"] * len(cells), [cells]).decode(), newline="")))
    for cell, out in zip(cells, read[1], strict=True):
        assert out == (f"'{cell}" if cell.lstrip("'")[:1] in tuple(SIGNS) else cell)
        assert restore(out) == cell


def test_none_is_an_empty_cell():
    assert to_csv(["a", "b"], [[None, 1]]) == b"a,b\r\n,1\r\n"


def test_rows_are_written_as_they_come_and_the_file_stays_open():
    out = io.BytesIO()

    def rows():
        yield ["x" * 100_000]
        assert out.tell() > 0  # the first row has left memory
        yield ["y"]

    write_csv(out, ["a"], rows())
    out.write(b"end")
    assert out.getvalue().endswith(b"y\r\nend")
