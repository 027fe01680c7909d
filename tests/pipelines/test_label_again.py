"""What got lost since is made again, and a folder is complete only when every input that is listed has its row."""

import json
import shutil

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from hwr import listing
from hwr.errors import HwrError, OutputError
from hwr.sources import open_images
from hwr.storage import Folder
from pipelines import label
from pipelines._label_worker import LabelPart
from tests import pictures
from tests.jobs import contents, write_scans

NEW = pictures.encode(pictures.digits()[5])
PARTS = [f"predictions/part-0000{number}.parquet" for number in range(2)]


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    """Parts are done in this process: what is told here happens before and after them."""
    monkeypatch.setattr(label, "_label", lambda left, job, *_: [LabelPart(**job)(part) for part in left])


def run(images, out, **flags):
    label.run(label.Config(str(images), ("emnist47",), str(out), only="digits", **flags))


def rows(out):
    """Id to row, of the files that the manifest names."""
    made = json.loads((out / "manifest.json").read_text())
    found = ds.dataset([out / file["name"] for file in made["files"]]).to_table().to_pylist()
    assert len({row["id"] for row in found}) == len(found) == made["counts"]["inputs"]
    return {row["id"]: row for row in found}


def names(images):
    return {path.relative_to(images).as_posix() for path in images.rglob("*.png")}


def plain(folder):
    return {name: entry.split()[0] for name, entry in contents(folder).items()}


@pytest.fixture(scope="module")
def scans(tmp_path_factory, digits):
    """130 digits: two parts."""
    top = tmp_path_factory.mktemp("again") / "scans"
    write_scans(top, digits[0][:130], digits[1][:130])
    return top


@pytest.fixture
def images(tmp_path, scans):
    shutil.copytree(scans, tmp_path / "in")
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path, images):
    run(images, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("name", [*PARTS, "predictions.csv", "overview.html", "summary.json"])
def test_what_is_gone_is_made_again(images, out, capsys, name, is_complete):
    before = plain(out)
    (out / name).unlink()
    if not is_complete:
        (out / "manifest.json").unlink()
    run(images, out)
    assert f"130 images, {int(name in PARTS)} of 2 parts to do" in capsys.readouterr().out
    assert plain(out) == before
    run(images, out)
    assert "is already complete" in capsys.readouterr().out


@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("damage", ["cut", "empty", "of other rows", "of fewer rows"])
def test_a_part_that_is_damaged_is_made_again(images, out, capsys, damage, is_complete):
    before, path = plain(out), out / PARTS[0]
    if damage == "of fewer rows":
        pq.write_table(pq.read_table(path)[:100], path)
    else:
        whole, other = path.read_bytes(), (out / PARTS[1]).read_bytes()
        path.write_bytes({"cut": whole[:-20], "empty": b"", "of other rows": other}[damage])
    if not is_complete:
        (out / "manifest.json").unlink()
    run(images, out)
    assert "1 of 2 parts to do" in capsys.readouterr().out
    assert plain(out) == before


def test_a_table_that_a_person_saved_anew_is_left_alone(images, out):
    (out / "predictions.csv").write_text("my notes")
    run(images, out)
    assert (out / "predictions.csv").read_text() == "my notes"


def test_what_another_run_lists_meanwhile_is_done_too(images, tmp_path, monkeypatch):
    """The other run is killed right after it has listed what came."""
    out, here = tmp_path / "out", label._label

    def grows(left, job, *rest):
        here(left, job, *rest)
        new = images / "new.png"
        if not new.exists():
            new.write_bytes(NEW)
            folder = Folder.open(str(out / "inputs"))
            known = listing.read(folder)
            listing.add(folder, listing.news(open_images(str(images), None).index(), known, ""), known)

    monkeypatch.setattr(label, "_label", grows)
    run(images, out)
    assert rows(out).keys() == names(images)
    assert len(names(images)) == 131


def test_a_manifest_of_fewer_inputs_than_are_listed_is_not_complete(images, out, capsys):
    earlier = (out / "manifest.json").read_bytes()
    (images / "new.png").write_bytes(NEW)
    run(images, out)
    (out / "manifest.json").write_bytes(earlier)  # as a run that began before wrote it last
    (out / "predictions" / "part-00002.parquet").unlink()
    capsys.readouterr()
    run(images, out)
    assert "131 images, 1 of 3 parts to do" in capsys.readouterr().out
    assert rows(out).keys() == names(images)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_folder_without_its_listing_is_done_anew_as_its_inputs_are_now(images, out, is_complete):
    (images / "0" / "new.png").write_bytes(NEW)
    run(images, out)
    before = rows(out)
    first = images / "0" / "0000.png"
    first.write_bytes(b"no picture")
    shutil.rmtree(out / "inputs")
    if not is_complete:
        (out / "manifest.json").unlink()
    run(images, out)
    after = rows(out)
    assert after.keys() == before.keys() == names(images)
    assert after["0/0000.png"]["status"] == "unreadable"
    assert sorted(path.name for path in (out / "predictions").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]


def test_a_file_of_another_run_is_no_part_of_what_is_handed_out(images, out, tmp_path):
    shutil.copy(out / PARTS[0], out / "predictions" / "part-00009.parquet")
    (out / "manifest.json").unlink()
    run(images, out, sort_into=str(tmp_path / "sorted"), label_studio=str(tmp_path / "tasks.json"))
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == len(rows(out)) == 130
    assert (out / "predictions.csv").read_text().count("\n") == 131


def sorted_images(folder):
    return list(folder.rglob("*.png"))


def test_sorted_images_are_those_of_one_labelling(images, out, tmp_path):
    target = tmp_path / "sorted"
    run(images, out, sort_into=str(target))
    (images / "new.png").write_bytes(NEW)
    run(images, out, sort_into=str(target))
    assert len(sorted_images(target)) == 131
    shutil.rmtree(out)
    with pytest.raises(OutputError, match="holds the sorted images of another labelling: choose another --sort-into"):
        run(images, out, sort_into=str(target), min_confidence=0.999)
    assert not out.exists()
    assert len(sorted_images(target)) == 131
    run(images, out, sort_into=str(target))
    assert len(sorted_images(target)) == 131


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"sort_into": ""}, "--sort-into is empty: was a variable not set"),
        ({"label_studio": ""}, "--label-studio is empty: was a variable not set"),
        ({"sort_into": "{images}/sorted"}, "--sort-into .* lies inside --images .*: its files would be read as images"),
        ({"sort_into": "{link}/sorted"}, "lies inside --images"),
        ({"sort_into": "{out}/predictions"}, "--sort-into .* lies inside --out .*: that folder is for hwr label alone"),
        ({"sort_into": "{top}/new", "out": "{top}/new/out"}, "--out .* lies inside --sort-into"),
        ({"sort_into": "{top}/full"}, "full exists and was not made by hwr: choose another --sort-into"),
        ({"label_studio": "{images}/tasks.json"}, "--label-studio .* lies inside --images"),
        ({"label_studio": "{link}/0/0000.png"}, "--label-studio .* lies inside --images"),
        ({"label_studio": "{out}/manifest.json"}, "--label-studio .* lies inside --out"),
        ({"sort_into": "{top}/s", "label_studio": "{top}/s/t.json"}, "--label-studio .* lies inside --sort-into"),
        ({"label_studio": "{top}/notes.txt"}, "notes.txt exists and is not what --label-studio writes"),
        ({"label_studio": "{top}/notes.xml"}, "ends in .xml"),
        ({"label_studio": "{images}"}, "--label-studio .* lies inside --images"),
        ({"label_studio": "/"}, "names a folder"),
        ({"out": "{link}/out"}, "--out .* lies inside --images"),
    ],
)
def test_a_place_that_cannot_be_had_is_refused_before_anything_is_done(images, tmp_path, flags, message):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(images)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    places = {"images": images, "out": tmp_path / "out", "link": tmp_path / "link", "top": tmp_path}
    before = contents(tmp_path)
    found = {"out": str(tmp_path / "out")} | {flag: place.format(**places) for flag, place in flags.items()}
    with pytest.raises(HwrError, match=message):
        run(images, **found)
    assert contents(tmp_path) == before
    with pytest.raises(HwrError, match=message):
        run(tmp_path / "link", **found)
    assert contents(tmp_path) == before


def test_images_that_cannot_be_listed_leave_no_folder_behind(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(HwrError, match="has no files in it"):
        run(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_a_list_names_may_come_later(images, tmp_path, capsys):
    out, target, late = tmp_path / "out", tmp_path / "sorted", images / "late.png"
    named = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    (images / "list.txt").write_text("\n".join([*named, "late.png", "never.png"]))
    run(images / "list.txt", out, sort_into=str(target))
    before = rows(out)
    assert before["late.png"]["reason"].startswith("missing")
    late.write_bytes(NEW)
    (images / named[0]).unlink()
    capsys.readouterr()
    run(images / "list.txt", out, sort_into=str(target))
    assert "132 images (1 of them new), 1 of 2 parts to do" in capsys.readouterr().out
    after = rows(out)
    assert list(after) == list(before)
    assert after.pop("late.png")["status"] == "ok"
    del before["late.png"], before[named[0]], after[named[0]]
    assert after == before
    assert len(sorted_images(target)) == 131
    run(images / "list.txt", out)
    assert "is already complete" in capsys.readouterr().out
    late.write_bytes(NEW + b" ")
    with pytest.raises(
        OutputError, match=f"1 of the inputs have changed .*, such as {images}/late.png: choose another"
    ):
        run(images / "list.txt", out)
