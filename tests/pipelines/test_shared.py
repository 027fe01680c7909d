"""A machine that does not see the same files as the others does not work on them."""

import pytest

from hwr.errors import ResourceError
from hwr.storage import Folder
from pipelines._shared import Shared


@pytest.fixture
def place(tmp_path):
    out, scans = tmp_path / "out", tmp_path / "scans"
    for folder, name in ((out, "config.json"), (scans / "a", "one.png"), (scans, "list.txt")):
        folder.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()
    return tmp_path


def opened(*paths):
    return [Folder.open(str(path)) for path in paths]


def test_what_is_there_is_enough(place):
    (out, scans, listed) = opened(place / "out", place / "scans", place / "scans" / "list.txt")
    Shared.of(out, [scans, listed], ["a/one.png"]).require()
    Shared.of(out, []).require()


@pytest.mark.parametrize("gone", ["out/config.json", "scans/a/one.png", "scans/list.txt"])
def test_one_path_that_is_not_there_is_one_line(place, gone):
    (out, scans, listed) = opened(place / "out", place / "scans", place / "scans" / "list.txt")
    shared = Shared.of(out, [scans, listed], ["a/one.png"])
    (place / gone).unlink()
    with pytest.raises(ResourceError, match=rf"^the machine \S+ does not see {place / gone}: put it on a file system"):
        shared.require()


def test_an_empty_folder_of_the_same_name_is_not_the_same(place):
    (out, scans) = opened(place / "out", place / "scans")
    shared = Shared.of(out, [scans])
    (place / "scans" / "a" / "one.png").unlink()
    (place / "scans" / "a").rmdir()
    (place / "scans" / "list.txt").unlink()
    with pytest.raises(ResourceError, match="does not see"):
        shared.require()


def test_object_stores_are_the_same_from_everywhere():
    (out,) = opened("s3://bucket/out?region=us-east-1")
    assert Shared.of(out, [out], ["one.png"]) == Shared(())
