"""Predictions are read back file by file, and those that abstained with their best guess."""

import pyarrow as pa

from hwr.outputs import rows
from hwr.storage import Folder
from tests.hwr.outputs.predictions import abstained, ok, stored, table, unreadable


def test_files_come_in_order_and_nothing_else_is_read(tmp_path):
    folder = stored(Folder.open(str(tmp_path)), table(ok("1")), table(ok("2"), ok("3")), table(ok("another run's")))
    folder.write_bytes("notes.txt", b"")
    names = ["part-00000.parquet", "part-00001.parquet"]
    assert [part["id"].to_pylist() for part in rows.tables(folder, names, ["id"])] == [["1"], ["2", "3"]]


def test_an_answer_is_the_prediction_or_the_best_guess_of_one_that_abstained():
    silent = abstained("4") | {"top": []}
    unknown = abstained("5") | {"top": None}
    odd = unreadable("6") | {"top": [{"label": "X", "score": 0.1}]}
    made = table(unreadable("1"), abstained("2", "b"), ok("3", "a"), silent, unknown, odd, abstained("7", "c"))
    assert rows.answers(made).to_pylist() == [None, "b", "a", None, None, None, "c"]
    assert rows.answers(made.slice(1, 2)).to_pylist() == ["b", "a"]
    assert rows.answers(pa.concat_tables([made, made.slice(6)])).to_pylist()[-2:] == ["c", "c"]
    assert rows.answers(made.slice(0, 0)).to_pylist() == []
