"""A CSV of labels says what was written in it, however a spreadsheet had to write it down."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.errors import InputError
from hwr.labels_csv import read_file, read_labels
from hwr.spreadsheet import to_csv

# A space in front of a cell is a slip of the writer's in most files, so it is not kept.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(lambda text: text[:1] != " ")


def test_a_label_is_the_character_that_was_written_not_a_number_or_a_gap():
    text = 'file,label\na,NA\nb,01\nc," "\nd,null\ne,e\u0301\nf,"""x"\ng,\n'
    expected = {"a": "NA", "b": "01", "c": " ", "d": "null", "e": "é", "f": '"x', "g": None}
    assert read_labels(text.encode(), "truth.csv").labels == expected


def bare(text: str) -> str:
    """A cell as a person means it: spaces around it say nothing, unless there is nothing else."""
    text = normalize("NFC", text)
    return text.strip() or text


@given(st.dictionaries(cells, st.tuples(cells, cells)))
def test_what_the_table_writer_wrote_is_read_again(rows):
    written = to_csv(["label", "id", "writer"], [(label, key, writer) for key, (label, writer) in rows.items()])
    found = read_labels(written, "truth.csv")
    assert found.labels == {key: bare(label) or None for key, (label, _) in rows.items()}
    assert list(found.labels) == list(rows)
    writers = {key: bare(writer) for key, (_, writer) in rows.items() if writer}
    assert found.groups == ({"writer": writers} if writers else {})


def test_spaces_that_people_leave_say_nothing_but_a_label_may_be_one():
    found = read_labels(b'file, label ,writer\na.png, A ,w1 \n" b.png"," ",\n', "truth.csv")
    assert found.labels == {"a.png": "A", " b.png": " "}
    assert found.groups == {"writer": {"a.png": "w1"}}


@pytest.mark.parametrize("column", ["file", "label", "writer"])
def test_a_column_that_is_there_twice_is_one_clear_line(column):
    text = f"file,label,writer,{column}\na,b,c,d\n"
    with pytest.raises(InputError, match=f"truth.csv has the column {column} more than once"):
        read_labels(text.encode(), "truth.csv")


def test_columns_of_groups_are_kept_and_others_are_not():
    text = "split,file,was,label,source,writer\ntest,a,x,A,,7\n,b,y,B,,'-7\ntest,c,z,\n"
    found = read_labels(text.encode(), "truth.csv")
    assert found.labels == {"a": "A", "b": "B", "c": None}
    assert found.groups == {"split": {"a": "test", "c": "test"}, "writer": {"a": "7", "b": "-7"}}


def test_a_file_is_named_by_its_first_usual_column_and_empty_lines_are_none():
    text = "\ufeffid,file,label\r\n\r\n1,a, A\r\n\r\n2,b,B"
    assert read_labels(text.encode(), "truth.csv").labels == {"a": "A", "b": "B"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"file,label\na,1\n'=b,2\na,3\n", "names 'a' more than once: keep one row for each input"),
        (b"file,label\n=b,1\n'=b,2\n", "names '=b' more than once"),
        (b"file,character\na,1\n", "needs the columns file .* but has file, character"),
        (b"name,label\na,1\n", "needs the columns file .* but has name, label"),
        (b"", "but has none at all"),
        (b"\nfile,label\n", "but has none at all"),
        (b"file,label\na\n", "has a row with too few fields, near 'a'"),
        (b'file,label\n"a,1\n', "is not a readable CSV file in UTF-8"),
        (b"file,label\na,\xff\n", "is not a readable CSV file in UTF-8"),
    ],
)
def test_mistakes_are_one_clear_line(data, says):
    with pytest.raises(InputError, match=says) as caught:
        read_labels(data, "truth.csv")
    assert str(caught.value).startswith("truth.csv ")
    assert "\n" not in str(caught.value)


def test_a_file_is_read_from_a_path_or_a_uri(tmp_path, monkeypatch):
    (tmp_path / "some.csv").write_bytes(b"file,label\n")
    monkeypatch.chdir(tmp_path)
    for name in ("some.csv", str(tmp_path / "some.csv"), (tmp_path / "some.csv").as_uri()):
        found = read_file(name)
        assert (found.name, found.data) == (name, b"file,label\n")
    assert read_file("some.csv").location == str(tmp_path / "some.csv")
    for name in ("none.csv", "none/some.csv", str(tmp_path)):
        with pytest.raises(InputError, match="cannot be read: "):
            read_file(name)
