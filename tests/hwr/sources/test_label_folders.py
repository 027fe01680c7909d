"""A folder's name says its label on any disk, and comes back as that label."""

import re
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.alphabet import NAMED
from hwr.sources import ImageFolder
from hwr.sources.label_folders import ABSTAINED, UNREADABLE, folder_name, label_of
from hwr.storage import Folder

LABELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(lambda s: normalize("NFC", s))


@given(LABELS)
def test_every_label_comes_back(label):
    assert label_of(folder_name(label)) == label
    assert label_of(normalize("NFD", folder_name(label))) in (label, normalize("NFD", label))


@given(LABELS)
def test_every_name_is_one_that_any_disk_can_hold(label):
    name = folder_name(label)
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert name.strip(" .") == name
    assert not name.startswith("_")
    assert len(name.encode()) <= 255
    assert name.upper() not in ("CON", "AUX", "NUL", "PRN", "COM1", "LPT1")


@given(st.lists(LABELS, unique=True, min_size=2, max_size=6))
def test_no_two_labels_meet_on_a_disk_that_knows_no_case(labels):
    assert len({folder_name(label).casefold() for label in labels}) == len(labels)


@pytest.mark.parametrize(
    ("label", "folder"),
    [("7", "7"), ("Q", "Q"), ("a", "a_U+0061"), ("/", "U+002F"), (".", "U+002E"), ("é", "é_U+00E9"), ("漢", "漢"),
     ("CON", "CON_U+0043_U+004F_U+004E"), ("TEST", "TEST_U+0054_U+0045_U+0053_U+0054"), ("_", "U+005F")],
)  # fmt: skip
def test_names_are_for_people(label, folder):
    assert folder_name(label) == folder


@pytest.mark.parametrize("name", ["cat", "a", "b_U+0061", "U+110000", "U+D800", "u+0061", "U+61", "", "_other"])
def test_other_names_are_labels_as_they_are(name):
    assert label_of(name) == name


def test_ingest_reads_the_labels_of_sorted_folders(tmp_path):
    labels = [*NAMED["english62"], "/", "漢"]
    for number, label in enumerate(labels):
        (tmp_path / folder_name(label)).mkdir()
        (tmp_path / folder_name(label) / f"{number:02d}.png").touch()
    for name in (ABSTAINED, UNREADABLE):
        (tmp_path / name).mkdir()
        (tmp_path / name / "99.png").touch()
    index = ImageFolder(Folder.open(str(tmp_path))).index()
    found = {row["key"].split("/")[1]: row["label"] for row in index.select(["key", "label"]).to_pylist()}
    assert found == {f"{number:02d}.png": label for number, label in enumerate(labels)} | {"99.png": None}
