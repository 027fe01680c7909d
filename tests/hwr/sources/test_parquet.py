"""Parquet of every kind is read row for row; a bad row is a reject, a bad file is one line."""

import contextlib
import gzip
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.data.extensions import ArrowTensorArray, ArrowTensorTypeV2, ArrowVariableShapedTensorArray

from hwr.errors import InputError, Reject
from hwr.schema import images_to_arrow
from hwr.sources import ParquetImages, read_glyphs
from hwr.storage import Folder
from tests.pictures import encode


def hub_names(names):
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})}


HUB = hub_names(list("0123456789"))
EXTENSIONS = (
    "ray.data.arrow_tensor",
    "ray.data.arrow_tensor_v2",
    "ray.data.arrow_variable_shaped_tensor",
    "ray.data.arrow_pickled_object",
    "arrow.py_extension_type",
)
BYTES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def source(folder, *files, **settings) -> ParquetImages:
    return ParquetImages(Folder.open(str(folder)), files or ("a.parquet",), **settings)


def write(path, columns, metadata=None, rows=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, row_group_size=rows)


def read(found):
    index = found.index()
    return list(found.read(index.filter(pa.compute.is_null(index["reason"]))))


def hub(images):
    return pa.array([{"bytes": encode(image), "path": f"{row}.png"} for row, image in enumerate(images)], BYTES)


def lists(images, kind=None, scale=1):
    rows = images.reshape(len(images), -1)
    return pa.array(list(rows / scale if scale != 1 else rows), kind and pa.list_(kind))


def fixed(images):
    return pa.FixedSizeListArray.from_arrays(images.reshape(-1), images[0].size)


def tensors_with_channel(images):
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), [*images.shape[1:], 1]), fixed(images))


def turned(images):
    kind = pa.fixed_shape_tensor(pa.uint8(), images.shape[1:], permutation=[1, 0])
    return pa.ExtensionArray.from_storage(kind, fixed(images.transpose(0, 2, 1).copy()))


KINDS = {
    "png": lambda images: pa.array([encode(image) for image in images]),
    "large png": lambda images: pa.array([encode(image) for image in images], pa.large_binary()),
    "hub": hub,
    "tensor": images_to_arrow,
    "tensor with a channel": tensors_with_channel,
    "turned tensor": turned,
    "list of uint8": lambda images: lists(images, pa.uint8()),
    "list of int64": lambda images: lists(images, pa.int64()),
    "large list": lambda images: lists(images).cast(pa.large_list(pa.uint8())),
    "fixed list": fixed,
    "list of float32": lambda images: lists(images, pa.float32(), 255),
    "list of float64": lambda images: lists(images, pa.float64(), 255),
    "list of float16": lambda images: lists(images, pa.float32(), 255).cast(pa.list_(pa.float16())),
    "lists of lists": lambda images: pa.array(images.tolist(), pa.list_(pa.list_(pa.int32()))),
    "lists with a channel": lambda images: pa.array(images[..., None].tolist()),
    "channel of lists": lambda images: pa.array(images[:, None].tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()), 28))),
}


@pytest.fixture(scope="module")
def mnist(data):
    def test_rows(name, head):
        return np.frombuffer(gzip.decompress((data / "mnist" / name).read_bytes()), np.uint8, offset=head)

    return test_rows("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28), test_rows("t10k-labels-idx1-ubyte.gz", 8)


@pytest.mark.parametrize("kind", KINDS)
def test_real_rows_come_back_bit_for_bit(tmp_path, mnist, kind):
    images, labels = mnist[0][:120], mnist[1][:120]
    write(tmp_path / "mnist_test.parquet", {"image": KINDS[kind](images), "label": labels}, HUB)
    found = source(tmp_path, "mnist_test.parquet")
    index = found.index()
    assert np.array_equal(list(found.read(index)), images)
    assert index["label"].to_pylist() == [str(label) for label in labels]
    assert set(index["split"].to_pylist()) == {"test"}
    assert index["key"].to_pylist()[119] == "mnist_test.parquet#119"
    assert np.array_equal(read_glyphs(found, index.slice(60, 9), 28)[0], read_glyphs(found, index, 28)[0][60:69])


def test_the_shards_of_ingest_are_a_source(tmp_path, digits):
    images = np.pad(digits[0][:30], ((0, 0), (10, 10), (10, 10)))
    columns = {"id": [f"{row}" for row in range(30)], "image": images_to_arrow(images), "label": ["é"] * 30}
    write(tmp_path / "samples/val-00000.parquet", {**columns, "split": ["val"] * 30, "writer": ["w1"] * 30})
    found = source(tmp_path, "samples/val-00000.parquet")
    assert np.array_equal(read(found), images)
    row = found.index().to_pylist()[7]
    assert (row["label"], row["split"], row["writer"]) == ("é", "val", "w1")
    assert (row["key"], row["row"]) == ("samples/val-00000.parquet#7", 7)


def test_several_files_and_row_groups_in_any_order(tmp_path, digits):
    images, labels = digits[0][:300], digits[1][:300]
    names = (
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    )
    for number, name in enumerate(names):
        part = slice(100 * number, 100 * number + 100)
        write(tmp_path / name, {"image": lists(images[part]), "label": labels[part]}, rows=17)
    found = source(tmp_path, *names)
    index = found.index()
    assert index["split"].to_pylist() == ["test"] * 100 + ["train"] * 200
    assert np.array_equal(list(found.read(index)), images)
    order = np.random.default_rng(0).permutation(300)
    assert np.array_equal(list(found.read(index.take(order))), images[order])
    pieces = [found.read(index.slice(start, 60)) for start in range(0, 300, 60)]
    together = [next(piece) for _ in range(60) for piece in pieces]
    assert np.array_equal(together, images.reshape(5, 60, 8, 8).swapaxes(0, 1).reshape(300, 8, 8))


@pytest.mark.parametrize(
    ("kind", "values", "rejects"),
    [
        (pa.binary(), [None, b"", b"hello", b"\x89PNG"], ["missing", "empty", "not-an-image", "not-an-image"]),
        (
            BYTES,
            [{"bytes": None, "path": "a/b.png"}, None, {"bytes": None, "path": None}],
            [Reject("missing", "a/b.png"), Reject("missing"), Reject("missing")],
        ),
        (
            pa.list_(pa.int16()),
            [None, [], [1, 2, 3], [1, 2, 3, 256], [1, -1, 300, 4], [1, None, 3, 4]],
            [
                Reject("missing"),
                Reject("wrong-length", "0 values are no square"),
                Reject("wrong-length", "3 values are no square"),
                Reject("out-of-range", "value 256"),
                Reject("out-of-range", "value -1"),
                Reject("out-of-range", "value null"),
            ],
        ),
        (
            pa.list_(pa.float32()),
            [[0, 1, 0.5, 1.5], [0, 0, 0, float("nan")], [0, 0, -0.25, 0], [0.0]],
            [*(Reject("out-of-range", f"value {value}") for value in ("1.5", "nan", "-0.25")), None],
        ),
        (pa.list_(pa.uint8(), 4), [None, [1, 2, 3, 4], [1, 2, None, 4]], ["missing", None, "out-of-range"]),
        (
            pa.list_(pa.list_(pa.uint8())),
            [[[1, 2], [3]], [[1, 2, 3]], [], [[]], [None, [1]], [[1], None]],
            [Reject("wrong-length", "3 values in lists of different lengths"), None, *["wrong-length"] * 4],
        ),
        (
            pa.list_(pa.list_(pa.list_(pa.uint8()))),
            [[[[1, 2, 3]] * 4] * 4],
            [Reject("wrong-length", "4 x 4 x 3 values are no grey image")],
        ),
        (
            pa.struct([("data", pa.list_(pa.uint8())), ("shape", pa.list_(pa.int32()))]),
            [{"data": [1, 2], "shape": [1, 2]}, {"data": [1, 2], "shape": [2, 2]}, None, {"data": [1], "shape": None}],
            [None, Reject("wrong-length", "2 values instead of 2 x 2"), "missing", "wrong-length"],
        ),
    ],
)  # fmt: skip
def test_a_bad_row_is_a_reject_and_the_others_come_through(tmp_path, kind, values, rejects):
    good = {pa.binary(): encode(np.eye(4, dtype=np.uint8))}.get(kind)
    values, rejects = ([*values, good], [*rejects, None]) if good else (values, rejects)
    write(tmp_path / "a.parquet", {"image": pa.array(values, kind)})
    found = read(source(tmp_path))
    assert [isinstance(image, Reject) for image in found] == [reject is not None for reject in rejects]
    for image, reject in zip(found, rejects, strict=True):
        if reject is not None:
            assert reject in (image, image.reason)


def test_an_index_takes_no_look_at_the_images(tmp_path, digits):
    write(tmp_path / "a.parquet", {"label": digits[1][:100], "image": KINDS["png"](digits[0][:100])})
    whole, chunk = (
        (tmp_path / "a.parquet").read_bytes(),
        pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(1).column(1),
    )
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    damaged = whole[:start] + b"\xff" * chunk.total_compressed_size + whole[start + chunk.total_compressed_size :]
    (tmp_path / "a.parquet").write_bytes(damaged)
    found = source(tmp_path)
    images = read(found)
    assert len(found.index()) == 100
    assert np.array_equal(images[:50], digits[0][:50])
    assert {image.reason for image in images[50:]} == {"corrupt"}


@pytest.mark.parametrize("kind", ["hub", "list of float32", "lists of lists"])
def test_damage_anywhere_is_one_line_or_rejects(tmp_path, digits, kind):
    write(tmp_path / "a.parquet", {"image": KINDS[kind](digits[0][:60]), "label": digits[1][:60]}, HUB, rows=25)
    whole, random = (tmp_path / "a.parquet").read_bytes(), np.random.default_rng(0)
    for at in random.integers(0, len(whole), 60):
        (tmp_path / "b.parquet").write_bytes(
            whole[:at] + bytes([whole[at] ^ random.integers(1, 256)]) + whole[at + 1 :]
        )
        try:
            assert len(read(source(tmp_path, "b.parquet"))) > 0
        except InputError as error:
            assert "b.parquet" in str(error)  # noqa: PT017
        (tmp_path / "b.parquet").unlink()


def test_a_file_that_changes_after_it_was_indexed_is_rejects(tmp_path, digits):
    write(tmp_path / "a.parquet", {"image": lists(digits[0][:100])})
    found = source(tmp_path)
    index = found.index()
    write(tmp_path / "a.parquet", {"image": lists(digits[0][:60])})
    assert list(found.read(index))[60:] == [Reject("corrupt", "a.parquet ends after 60 images")] * 40
    assert found.index()["stamp"][0] != index["stamp"][0]
    (tmp_path / "a.parquet").unlink()
    gone = list(source(tmp_path, image_column="image").read(index))
    assert {image.reason for image in gone} == {"unopenable"}


@pytest.mark.parametrize(
    ("labels", "metadata", "characters", "expected"),
    [
        (["a", "e\u0301", "", None], None, None, ["a", "é", None, None]),
        (pa.array(["a", None, "b"]).dictionary_encode(), None, None, ["a", None, "b"]),
        (pa.array(["a", "b"], pa.string_view()), None, None, ["a", "b"]),
        ([3, 9, None], None, None, ["3", "9", None]),
        ([3.0, float("nan")], None, None, ["3", None]),
        ([0, 1, -1], hub_names(["x", "y"]), None, ["x", "y", None]),
        ([0, 1], HUB, {0: "A", 1: "B"}, ["A", "B"]),
        ([0, 1], {"huggingface": "{"}, None, ["0", "1"]),
        ([0, 1], {"huggingface": "[" * 100_000}, None, ["0", "1"]),
        ([0, 1], {"huggingface": json.dumps({"info": {"features": [{"label": 1}]}})}, None, ["0", "1"]),
        ([0, 1], {"huggingface": json.dumps({"info": {"features": {"label": {"dtype": "int64"}}}})}, None, ["0", "1"]),
        ([0, 1], hub_names(["\ud800", "b"]), None, ["0", "1"]),
        ([0, 1], hub_names({"0": "a"}), None, ["0", "1"]),
        ([0, 1], hub_names([["a"], 2]), None, ["0", "1"]),
    ],
)  # fmt: skip
def test_labels_become_characters(tmp_path, digits, labels, metadata, characters, expected):
    write(tmp_path / "a.parquet", {"image": lists(digits[0][: len(labels)]), "Label": labels}, metadata)
    if metadata:
        write(tmp_path / "a.parquet", {"image": lists(digits[0][: len(labels)]), "label": labels}, metadata)
    index = source(tmp_path, characters=characters).index()
    assert index["label"].to_pylist() == expected
    assert index["reason"].null_count == len(expected)


def test_a_label_without_a_character_is_a_reject(tmp_path, digits):
    write(tmp_path / "a.parquet", {"image": lists(digits[0][:5]), "label": [3, 12, -1, None, 2**40]})
    index = source(tmp_path).index()
    assert index["label"].to_pylist() == ["3", None, None, None, None]
    assert index["reason"].to_pylist() == [None, "unknown-label", "unknown-label", None, "unknown-label"]
    assert index["detail"].to_pylist() == [None, "class 12", "class -1", None, "class 1099511627776"]
    broken = pa.array([b"a", b"\xff"]).view(pa.string())
    write(tmp_path / "b.parquet", {"image": lists(digits[0][:2]), "label": broken, "writer": broken})
    index = source(tmp_path, "b.parquet").index()
    assert index["detail"].to_pylist() == [None, "not UTF-8 text"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001.parquet", "train"), ("mnist_test.parquet", "test"), ("Validation.parquet", "val"),
        ("default/dev/0000.parquet", "val"), ("test/train.parquet", "train"), ("train-test.parquet", None),
        ("contest.parquet", None), ("data/0000.parquet", None),
    ],
)  # fmt: skip
def test_official_splits_come_from_names(tmp_path, digits, name, split):
    write(tmp_path / name, {"image": lists(digits[0][:2])})
    assert source(tmp_path, name).index()["split"].to_pylist() == [split] * 2


def test_splits_and_writers_come_from_columns_first(tmp_path, digits):
    columns = {"image": lists(digits[0][:5]), "split": ["TRAIN", "validation", "test", "other", None]}
    write(tmp_path / "test.parquet", {**columns, "Writer": [7, 7, 8, None, 9]})
    index = source(tmp_path, "test.parquet").index()
    assert index["split"].to_pylist() == ["train", "val", "test", None, "test"]
    assert index["writer"].to_pylist() == ["7", "7", "8", None, "9"]


def test_columns_are_found_or_named(tmp_path, digits):
    images, other = digits[0][:3], digits[0][3:6]
    columns = {
        "a.b": lists(images),
        "Image": lists(other),
        "box": pa.array([[1.0, 2.0, 3.0]] * 3, pa.list_(pa.float32(), 3)),
    }
    write(tmp_path / "a.parquet", {**columns, "y": [1, 2, 3], "text": ["a", "b", "c"]})
    assert np.array_equal(read(source(tmp_path)), other)
    assert np.array_equal(read(source(tmp_path, image_column="a.b")), images)
    assert source(tmp_path).index()["label"].to_pylist() == ["a", "b", "c"]
    assert source(tmp_path, label_column="y").index()["label"].to_pylist() == ["1", "2", "3"]
    write(tmp_path / "a.parquet", {"scan": lists(images)})
    assert np.array_equal(read(source(tmp_path)), images)


def test_each_unusable_set_has_its_line(tmp_path, digits):
    def refused(message, *files, **settings):
        with pytest.raises(InputError, match=message) as caught:
            source(tmp_path, *files, **settings).index()
        assert "\n" not in str(caught.value)

    images = lists(digits[0][:5])
    with pytest.raises(InputError, match="has no Parquet files: expected files such as train-00000"):
        ParquetImages(Folder.open(str(tmp_path)), ()).index()
    refused("a.parquet is not a readable Parquet file")
    write(tmp_path / "a.parquet", {"scan": images, "label": [1] * 5})
    whole = (tmp_path / "a.parquet").read_bytes()
    for damaged in (b"", b"hello", whole[:-40], whole[: len(whole) // 2]):
        (tmp_path / "a.parquet").write_bytes(damaged)
        refused("a.parquet is not a readable Parquet file")
    write(tmp_path / "a.parquet", {"scan": images, "photo": images, "label": [1] * 5})
    refused(
        "has 2 columns that may hold images: call one of them image, or name it to hwr ingest with --image-column; "
        "its columns are scan, photo, label"
    )
    refused("has no columns 'x': --image-column takes one of scan, photo, label", image_column="x")
    refused("has no columns 'x': --label-column takes one of scan, photo, label", label_column="x")
    refused("has no images in 'label', but int64", image_column="label")
    refused("has no labels in 'scan', but list", image_column="photo", label_column="scan")
    write(tmp_path / "a.parquet", {f"pixel{number}": [1] for number in range(785)})
    refused("has no column of images: .* pixel0, .*pixel11 and 773 more")
    write(tmp_path / "a.parquet", {"image": images.slice(0, 0)})
    refused("holds no images: its Parquet files have 0 rows")
    pq.write_table(pa.table([images, images], ["image", "image"]), tmp_path / "a.parquet")
    refused("has 2 columns that may hold images")
    refused("has 2 columns 'image'", image_column="image")


def test_files_of_one_set_must_agree(tmp_path, digits):
    images = lists(digits[0][:5])
    write(tmp_path / "a.parquet", {"image": images, "label": [1] * 5})
    for columns, metadata in (
        ({"image": images}, None),
        ({"image": images, "class": [1] * 5}, None),
        ({"image": images, "label": ["1"] * 5}, None),
        ({"img": images, "label": [1] * 5}, None),
        ({"image": images, "label": [1] * 5}, HUB),
    ):
        write(tmp_path / "b.parquet", columns, metadata)
        with pytest.raises(
            InputError, match=r"b\.parquet has images in '.*, but a\.parquet has images in 'image' and number"
        ):
            source(tmp_path, "a.parquet", "b.parquet").index()


def save_bombs(folder):
    """One file for each kind of column that has ever been read by unpickling, with a pickle in every place for one."""
    bomb = pickle.dumps(Bomb())
    for number, name in enumerate(EXTENSIONS):
        extension = {"ARROW:extension:name": name, "ARROW:extension:metadata": bomb}
        for kind, values in (
            ("bytes", pa.array([bomb] * 3, pa.large_binary())),
            ("lists", pa.array([[1, 2, 3, 4]] * 3)),
        ):
            columns = ("image", "label", "writer", "split")
            fields = [pa.field(column, values.type, metadata=extension) for column in columns]
            pq.write_table(pa.table([values] * 4, schema=pa.schema(fields)), folder / f"{number}-{kind}.parquet")


def open_all(folder):
    for name in sorted(os.listdir(folder)):
        for settings in ({}, {"label_column": "label"}, {"image_column": "image"}):
            with contextlib.suppress(InputError):
                read(source(folder, name, **settings))


class Bomb:
    def __reduce__(self):
        return exec, ("import os; os.environ['HWR_BOMB'] = 'went off'",)


def test_nothing_in_a_file_is_unpickled_beside_ray(tmp_path):
    assert ArrowTensorTypeV2((2, 2), pa.uint8()).shape == (2, 2)  # imported, so its types are known to Arrow
    save_bombs(tmp_path)
    open_all(tmp_path)
    assert "HWR_BOMB" not in os.environ
    with contextlib.suppress(AttributeError):  # who reads the objects themselves is not spared: the bombs are real
        pq.read_table(tmp_path / "3-bytes.parquet", columns=["image"])["image"].to_pylist()
    assert os.environ.pop("HWR_BOMB") == "went off"


WITHOUT_RAY = """
import contextlib, os, sys
import pyarrow as pa
from hwr.errors import InputError
from hwr.sources import ParquetImages
from hwr.storage import Folder
found = []
for name in sorted(os.listdir(sys.argv[1])):
    with contextlib.suppress(InputError):
        images = ParquetImages(Folder.open(sys.argv[1]), (name,))
        found.append([getattr(image, "shape", image) for image in images.read(images.index())])
print(found)
assert "ray" not in sys.modules and "HWR_BOMB" not in os.environ
"""


def without_ray(folder):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, folder], capture_output=True, text=True, check=True
    ).stdout


def test_nothing_in_a_file_is_unpickled_without_ray(tmp_path):
    save_bombs(tmp_path)
    assert without_ray(tmp_path).count("(2, 2)") == 3 * len(EXTENSIONS)


def test_the_tensors_of_ray_are_read_with_and_without_it(tmp_path, digits):
    images = np.pad(digits[0][:20], ((0, 0), (0, 2), (0, 0)))
    write(tmp_path / "fixed.parquet", {"image": ArrowTensorArray.from_numpy(images)})
    ragged = [image[: 5 + row % 4] for row, image in enumerate(images)]
    write(tmp_path / "ragged.parquet", {"image": ArrowVariableShapedTensorArray.from_numpy(ragged)})
    assert np.array_equal(read(source(tmp_path, "fixed.parquet")), images)
    for found, image in zip(read(source(tmp_path, "ragged.parquet")), ragged, strict=True):
        assert np.array_equal(found, image)
    shapes = [[(10, 8)] * 20, [image.shape for image in ragged]]
    assert without_ray(tmp_path).strip() == str(shapes)
