"""What gzip and zip have packed comes out range by range, as far as it is sound."""

import gzip
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.errors import InputError
from hwr.storage import Folder
from hwr.unpack import Unpacked

CONTENT = bytes(range(256)) * 4000  # over a megabyte, so that reading takes several steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("packed")
    (top / "plain").write_bytes(CONTENT)
    (top / "some.gz").write_bytes(gzip.compress(CONTENT[:500_000]) + gzip.compress(CONTENT[500_000:]))
    with zipfile.ZipFile(top / "some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", CONTENT)
        archive.writestr("__MACOSX/._data.csv", "clutter")
    with zipfile.ZipFile(top / "two.zip", "w") as archive:
        archive.writestr("a.csv", "a")
        archive.writestr("b.csv", "b")
    return Folder.open(str(top))


@pytest.mark.parametrize("name", ["plain", "some.gz", "some.zip"])
@given(ranges=st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 3000)), max_size=4))
def test_ranges_come_out_in_any_order(folder, name, ranges):
    file = Unpacked(folder, name)
    for start, size in ranges:
        assert file.read(start, size) == CONTENT[start : start + size]
    assert file.damage is None


@pytest.mark.parametrize("name", ["plain", "some.gz", "some.zip"])
def test_more_than_there_is_ends_where_it_ends(folder, name):
    assert Unpacked(folder, name).read(0, 1 << 40) == CONTENT


def test_what_lies_before_damage_comes_out(tmp_path):
    packed = gzip.compress(CONTENT, mtime=0)
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    cut = Unpacked(Folder.open(str(tmp_path)), "cut.gz")
    found = cut.read(0, len(CONTENT))
    assert len(found) > len(CONTENT) // 3
    assert CONTENT.startswith(found)
    assert "end-of-stream" in cut.damage


def test_one_file_of_an_archive_is_chosen(folder):
    assert Unpacked(folder, "two.zip", "b.csv").read(0, 9) == b"b"
    with pytest.raises(InputError, match=r"two\.zip holds 2 files instead of one"):
        Unpacked(folder, "two.zip")
    with pytest.raises(InputError, match=r"two\.zip cannot be unpacked"):
        Unpacked(folder, "two.zip", "c.csv")


def test_a_missing_file_is_one_line(folder):
    with pytest.raises(InputError, match=r"there is no file .*/none"):
        Unpacked(folder, "none")
