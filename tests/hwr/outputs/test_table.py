"""The CSV holds every row of every part, safe to open, and never half of them."""

import csv
import io

import pytest

from hwr.outputs import table as csv_table
from hwr.storage import Folder
from tests.hwr.outputs.predictions import NAMES, abstained, ok, table, unreadable


def test_every_row_is_there_with_its_cells(tmp_path):
    out = Folder.open(str(tmp_path))
    parts = [
        table(ok("a.png", "A", 0.98761, truth="B"), abstained("b.png", confidence=0.25)),
        table(),
        table(unreadable("c")),
    ]
    csv_table.write(parts, out)
    assert list(csv.reader(io.StringIO(out.read_bytes(csv_table.NAME).decode(), newline=""))) == [
        ["file", "prediction", "confidence", "status", "reason", "label"],
        ["a.png", "A", "0.9876", "ok", "", "B"],
        ["b.png", "", "0.2500", "abstained", "", ""],
        ["c", "", "", "unreadable", "corrupt: the header says 10 bytes", ""],
    ]


def test_no_name_becomes_a_formula_and_none_is_lost(tmp_path):
    out = Folder.open(str(tmp_path))
    csv_table.write([table(*map(ok, NAMES))], out)
    read = list(csv.reader(io.StringIO(out.read_bytes(csv_table.NAME).decode(), newline="")))
    assert [row[0] for row in read[1:]] == [f"'{name}" if name[0] == "=" else name for name in NAMES]


def test_a_part_that_cannot_be_read_leaves_no_half_table(tmp_path):
    def parts():
        yield table(*(ok(f"{number}.png") for number in range(10_000)))
        raise RuntimeError("gone")

    out = Folder.open(str(tmp_path))
    with pytest.raises(RuntimeError, match="gone"):
        csv_table.write(parts(), out)
    assert list(tmp_path.iterdir()) == []
