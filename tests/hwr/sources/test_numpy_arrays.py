"""Arrays of every kind and shape that people save come back as the images they were, and nothing is ever unpickled."""

import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr.errors import InputError, Reject
from hwr.sources.numpy_arrays import NumpyArrays, to_grey
from hwr.storage import Folder
from tests.pictures import read

DIGITS = dict(enumerate("0123456789"))


def source(folder, *files, characters=DIGITS):
    return NumpyArrays(Folder.open(str(folder)), files or tuple(sorted(os.listdir(folder))), characters)


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][:30], digits[1][:30]


@pytest.mark.parametrize("names", [("x_train", "y_train"), ("images", "labels"), ("train_images", "train_labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed, None])
def test_pairs_are_found_by_name(tmp_path, some, names, save):
    if save:
        save(tmp_path / "some.npz", **dict(zip(names, some, strict=True)))
    else:
        for name, array in zip(names, some, strict=True):
            np.save(tmp_path / f"{name}.npy", array)
    index, images = read(source(tmp_path))
    assert np.array_equal(images, some[0])
    assert index["label"].to_pylist() == [str(label) for label in some[1]]
    assert set(index["split"].to_pylist()) == {"train" if "train" in names[0] else None}
    assert index["key"][3].as_py() == (f"some.npz!/{names[0]}#3" if save else f"{names[0]}.npy#3")


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images,
        lambda images: images[..., None],
        lambda images: images.reshape(30, 64),
        lambda images: images.astype(">i8"),
        lambda images: images / 255,
        lambda images: (images / 255).astype(np.float16),
        lambda images: (images / 255).astype(np.float32)[..., None],
    ],
)
def test_every_kind_and_shape_is_read(tmp_path, some, change):
    np.savez(tmp_path / "some.npz", x=change(some[0]), y=some[1][:, None])
    assert np.array_equal(read(source(tmp_path))[1], some[0])


def test_rows_come_in_any_slice(tmp_path, some):
    np.save(tmp_path / "x.npy", some[0])
    found = source(tmp_path)
    index = found.index()
    assert index["label"].null_count == 30
    assert np.array_equal(list(found.read(index.slice(17, 5))), some[0][17:22])
    assert np.array_equal(list(found.read(index.take([3, 9, 28]))), some[0][[3, 9, 28]])


def test_labels_are_class_numbers_or_characters(tmp_path, some):
    np.savez(tmp_path / "a.npz", x=some[0][:3], y=np.array(["A", "é", ""]))
    assert source(tmp_path).index()["label"].to_pylist() == ["A", "é", None]
    np.savez(tmp_path / "a.npz", x=some[0][:3], y=np.array([1, 7, 99]))
    index = source(tmp_path, characters={1: "x", 7: "y"}).index()
    assert index["label"].to_pylist() == ["x", "y", None]
    assert index["detail"].to_pylist() == [None, None, "class 99"]


@given(hnp.arrays(st.sampled_from([np.int16, np.float32, np.uint16]), (3, 2, 2)))
def test_only_grey_tones_pass(values):
    highest = 1 if values.dtype.kind == "f" else 255
    for image, grey in zip(values, to_grey(values), strict=True):
        if ((image >= 0) & (image <= highest)).all():
            assert np.array_equal(grey, np.rint(image * (255 / highest)).astype(np.uint8))
        else:
            assert isinstance(grey, Reject)
            assert grey.reason == "out-of-range"


def test_a_cut_file_gives_what_it_has(tmp_path, some):
    np.save(tmp_path / "x.npy", some[0])
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[: -64 * 5 - 1])
    images = read(source(tmp_path))[1]
    assert np.array_equal(images[:24], some[0][:24])
    assert images[24:] == [Reject("corrupt", "x.npy ends after 24 images")] * 6


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_pickles_are_refused_and_never_run(tmp_path, some, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    bombs = np.array([Bomb()] * 30, object)
    for arrays in ({"x": bombs, "y": some[1]}, {"x": some[0], "y": bombs}):
        np.savez(folder / "some.npz", **arrays)
        with pytest.raises(InputError, match=r"some\.npz!/[xy] (holds object|cannot be read as labels)"):
            source(folder).index()
    (folder / "some.npz").unlink()
    (folder / "x.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"x\.npy is not an array of NumPy's"):
        source(folder).index()
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "has no array of images among some.npz!/a: call them x_train and y_train"),
        ({"x": np.zeros((3, 5))}, r"has the shape \(3, 5\): expected \(N, S, S\)"),
        ({"x": np.zeros((3, 4, 4, 3))}, r"has the shape \(3, 4, 4, 3\)"),
        ({"x": np.zeros((3, 4, 4)), "y": np.zeros(4)}, "should hold 3 labels, one for each image of some.npz!/x"),
        ({"x": np.asfortranarray(np.zeros((3, 4, 4)))}, "is stored column by column"),
        ({"x": np.zeros((3, 4), complex)}, "holds complex128 instead of numbers"),
    ],
)
def test_what_is_no_pair_of_images_and_labels_is_one_line(tmp_path, arrays, message):
    np.savez(tmp_path / "some.npz", **arrays)
    with pytest.raises(InputError, match=message):
        source(tmp_path).index()


def test_no_archive_is_one_line(tmp_path):
    (tmp_path / "some.npz").write_bytes(io.BytesIO(b"hello").read())
    with pytest.raises(InputError, match=r"some\.npz is damaged or no \.npz file"):
        source(tmp_path).index()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }", "has the shape"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 28, 28), }", "has the shape"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (5, -28, -28), }", "has the shape"),
        ("{[]: 1}", "is not an array of NumPy's"),
        ("((((((", "is not an array of NumPy's"),
    ],
)
def test_headers_that_lie_are_one_line(tmp_path, header, message):
    text = header.encode().ljust(117) + b"\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(InputError, match=message):
        source(tmp_path).index()


def test_two_arrays_for_one_role_and_labels_that_are_no_classes_are_refused(tmp_path, some):
    np.savez(tmp_path / "some.npz", x_train=some[0], data_train=some[0])
    with pytest.raises(
        InputError, match=r"has some\.npz!/x_train and some\.npz!/data_train: which of them has the images"
    ):
        source(tmp_path).index()
    np.savez(tmp_path / "some.npz", x=some[0], y=some[1] + 0.5)
    with pytest.raises(InputError, match="holds numbers that are no class numbers"):
        source(tmp_path).index()
    np.savez(tmp_path / "some.npz", x=some[0], y=np.where(some[1] == 3, np.nan, some[1]))
    with pytest.raises(InputError, match="holds numbers that are no class numbers"):
        source(tmp_path).index()


def test_a_lone_axis_of_one_is_no_side(tmp_path, some):
    for shape in ((30, 64, 1), (30, 1, 64), (30, 1, 8, 8)):
        np.save(tmp_path / "x.npy", some[0].reshape(shape))
        assert np.array_equal(read(source(tmp_path))[1], some[0])
