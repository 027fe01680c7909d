"""A listing grows by what is new, and notices what has changed."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr import listing, parts
from hwr.errors import InputError, OutputError
from hwr.sources.base import index_of
from hwr.storage import Folder


def index(names, stamp="1"):
    return index_of(len(names), key=names, file=names, stamp=stamp)


@given(st.lists(st.sets(st.integers(0, 400)), min_size=1, max_size=4))
def test_every_input_is_in_one_part_whenever_it_came(tmp_path_factory, rounds):
    folder = Folder.open(str(tmp_path_factory.mktemp("listing")))
    seen, earlier = set(), []
    for added in rounds:
        seen |= added
        known = listing.read(folder)
        new = listing.news(index([str(name) for name in sorted(seen)]), known, "scans")
        whole = listing.add(folder, new, known)
        pieces = parts.split(whole)
        assert sorted(int(key) for key in whole["key"].to_pylist()) == sorted(seen)
        assert [piece["part"][0].as_py() for piece in pieces] == [f"part-{i:05d}" for i in range(len(pieces))]
        assert pieces[: len(earlier)] == earlier
        assert listing.read(folder) in (None, whole)
        earlier = pieces


def test_a_listing_that_is_gone_is_one_line(tmp_path):
    folder = Folder.open(str(tmp_path / "inputs"))
    with pytest.raises(InputError, match="inputs has lost its files: hwr label writes it anew"):
        listing.require(folder)
    whole = listing.add(folder, index(["a"]), None)
    assert listing.require(folder) == whole


def test_an_input_that_has_changed_is_named(tmp_path):
    folder = Folder.open(str(tmp_path))
    known = listing.add(folder, index(["a", "b", "c"]), None)
    changed = pa.concat_tables([index(["a"]), index(["b", "c"], "2"), index(["d"])])
    with pytest.raises(OutputError, match="2 of the inputs have changed since they were listed, such as scans/b: "):
        listing.news(changed, known, "scans")
    assert listing.news(index(["a", "c"]), known, "scans")["key"].to_pylist() == []  # one was removed


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_listing_that_is_not_whole_is_one_line_that_says_what_to_do(tmp_path, damage):
    folder = Folder.open(str(tmp_path / "inputs"))
    known = listing.add(folder, index(["a"]), None)
    listing.add(folder, index(["b"]), known)
    first = tmp_path / "inputs" / "00000.parquet"
    if damage == "gone":
        first.unlink()  # what is added would be cut into parts whose names are taken
    else:
        first.write_bytes(first.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"inputs.* (lost|damaged).*: remove .*inputs, and the same hwr label command"):
        listing.read(folder)


def test_it_shows_whether_something_was_written_down(tmp_path):
    folder = Folder.open(str(tmp_path / "inputs"))
    before = [listing.stamps(folder)]
    known = listing.add(folder, index(["a"]), None)
    before.append(listing.stamps(folder))
    listing.add(folder, index(["a"]), known)
    assert len({*map(tuple, [*before, listing.stamps(folder)])}) == 3


def test_an_input_that_was_missing_takes_its_place_when_it_comes(tmp_path):
    folder = Folder.open(str(tmp_path))
    missing = index_of(2, key=["b", "c"], file=["b", "c"], stamp="", reason="missing", detail="", label=["B", None])
    twice = index_of(1, key=["d"], file="a", stamp="", reason="named-twice")
    known = listing.add(folder, pa.concat_tables([index(["a"]), missing, twice]), None)
    known = listing.add(folder, index(["e"]), known)
    now = pa.concat_tables([index(["a", "b", "d", "e"], "1"), missing.slice(1)])
    late = listing.arrived(now, known)
    assert late["key"].to_pylist() == ["b"]
    second = (tmp_path / "00001.parquet").stat().st_mtime_ns
    listing.replace(folder, late)
    after = listing.read(folder)
    assert after.schema.equals(known.schema)
    assert after.filter(pc.not_equal(after["key"], "b")).equals(known.filter(pc.not_equal(known["key"], "b")))
    (row,) = after.filter(pc.equal(after["key"], "b")).to_pylist()
    assert (row["stamp"], row["reason"], row["label"], row["part"]) == ("1", None, "B", "part-00000")
    assert (tmp_path / "00001.parquet").stat().st_mtime_ns == second
    assert not len(listing.arrived(now, after))


def test_an_input_of_a_list_that_is_gone_stays_as_one_of_a_folder_does(tmp_path):
    folder = Folder.open(str(tmp_path))
    known = listing.add(folder, index(["a", "b"]), None)
    gone = index_of(1, key=["b"], file="b", stamp="", reason="missing")
    assert not len(listing.news(pa.concat_tables([index(["a"]), gone]), known, "scans"))
