"""The tasks have the documented shape, refer to the configuration beside them, and come least sure first."""

import json
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest

from hwr.errors import HwrError
from hwr.outputs import label_studio
from hwr.storage import Folder
from tests.hwr.outputs.predictions import NAMES, abstained, ok, table, unreadable

# https://labelstud.io/guide/predictions and https://labelstud.io/guide/task_format
RESULT = {
    "type": "object",
    "required": ["from_name", "to_name", "type", "value"],
    "properties": {
        "from_name": {"const": "character"},
        "to_name": {"const": "image"},
        "type": {"const": "choices"},
        "value": {
            "type": "object",
            "required": ["choices"],
            "additionalProperties": False,
            "properties": {"choices": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1}},
        },
    },
}
PREDICTION = {
    "type": "object",
    "required": ["model_version", "score", "result"],
    "additionalProperties": False,
    "properties": {
        "model_version": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "result": {"type": "array", "items": RESULT, "minItems": 1},
    },
}
TASKS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "predictions"],
        "additionalProperties": False,
        "properties": {
            "data": {
                "type": "object",
                "required": ["image"],
                "additionalProperties": {"type": "string"},
                "properties": {"image": {"type": "string", "pattern": "^/data/local-files/[?]d=|^s3://"}},
            },
            "predictions": {"type": "array", "items": PREDICTION},
        },
    },
}
ALPHABET = ["A", "B", "<", '"', "&", "é"]


def written(tmp_path, *tables):
    images = Folder.open(str(tmp_path / "my scans"))
    label_studio.write(
        tables,
        str(tmp_path / "out" / "tasks.json"),
        ALPHABET,
        "emnist47 1a2b",
        lambda key: label_studio.file_address(images, key),
    )
    return json.loads((tmp_path / "out" / "tasks.json").read_text())


def test_tasks_have_the_documented_shape(tmp_path):
    tasks = written(
        tmp_path,
        table(*(ok(name, '"') for name in NAMES)),
        table(abstained("b"), unreadable("c"), abstained("d") | {"top": []}),
    )
    jsonschema.validate(tasks, TASKS)
    assert sorted(task["data"]["file"] for task in tasks) == sorted([*NAMES, "b", "d"])
    assert {task["predictions"][0]["model_version"] for task in tasks if task["predictions"]} == {"emnist47 1a2b"}


def test_the_least_sure_come_first_over_all_parts(tmp_path):
    tasks = written(
        tmp_path,
        table(ok("sure", confidence=0.99), ok("half", confidence=0.5)),
        table(),
        table(abstained("least", "B", 0.2), ok("most", confidence=1.0)),
    )
    assert [task["data"]["file"] for task in tasks] == ["least", "half", "sure", "most"]
    first = tasks[0]["predictions"][0]
    assert first["score"] == pytest.approx(0.2)
    assert first["result"][0]["value"] == {"choices": ["B"]}
    assert tasks[0]["data"]["status"] == "abstained"


def test_the_configuration_offers_the_alphabet_under_the_names_that_tasks_use(tmp_path):
    result = written(tmp_path, table(ok("a")))[0]["predictions"][0]["result"][0]
    view = ElementTree.fromstring((tmp_path / "out" / "tasks.xml").read_text())
    choices, image = view.find("Choices"), view.find("Image")
    assert (choices.get("name"), choices.get("toName")) == (result["from_name"], result["to_name"])
    assert (image.get("name"), image.get("value")) == (result["to_name"], "$image")
    assert [choice.get("value") for choice in choices] == ALPHABET


@pytest.mark.parametrize("name", NAMES)
def test_an_address_means_the_file_whatever_its_name(tmp_path, name):
    address = urlsplit(label_studio.file_address(Folder.open(str(tmp_path / "my scans")), name))
    assert address.path == "/data/local-files/"
    assert not address.fragment
    assert parse_qs(address.query) == {"d": [f"my scans/{name}"]}


def test_files_of_a_store_keep_their_address():
    bucket = Folder("s3://bucket/a?region=here", None, "bucket/a")
    assert label_studio.file_address(bucket, "b/c.png") == "s3://bucket/a/b/c.png"


def test_nothing_to_look_at_is_an_empty_list(tmp_path):
    assert written(tmp_path, table(unreadable("a"))) == written(tmp_path) == []


def test_only_what_was_written_here_before_is_replaced(tmp_path):
    place = str(tmp_path / "out" / "tasks.json")
    label_studio.check(place)
    assert not (tmp_path / "out").exists()
    written(tmp_path)
    label_studio.check(place)
    written(tmp_path, table(*map(ok, NAMES)))
    label_studio.check(place)
    for name in ("tasks.json", "tasks.xml"):
        path = tmp_path / "out" / name
        whole = path.read_bytes()
        for other in (
            b"",
            b"<svg/>",
            b"\x89PNG",
            b"[]",
            b"{}",
            b"[\n[]\n]\n",
            b'[\n{"data": 1},\n',
            b"[\n" + b"[" * 60_000,
        ):
            path.write_bytes(other)
            with pytest.raises(HwrError, match=rf"out/{name} exists and is not what --label-studio writes"):
                label_studio.check(place)
        path.unlink()
        path.mkdir()
        with pytest.raises(HwrError, match=rf"out/{name} exists"):
            label_studio.check(place)
        path.rmdir()
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "message"),
    [("/", "names a folder"), ("new/", "names a folder"), ("x.xml", "ends in .xml"), ("x.XML", "ends in .xml"),
     ("", "name is empty"), ("/dev/null", "/dev/null exists")],
)  # fmt: skip
def test_a_place_for_no_tasks_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HwrError, match=message):
        label_studio.check(name)
    assert list(tmp_path.iterdir()) == []
