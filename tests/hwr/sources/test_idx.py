"""IDX files of every kind are read row for row, damaged ones as far as they go."""

import gzip
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr.errors import InputError, Reject
from hwr.sources import Idx
from hwr.storage import Folder

DIGITS = dict(enumerate("0123456789"))


def idx(images) -> bytes:
    return struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()


def idx_labels(labels) -> bytes:
    return struct.pack(">II", 0x801, len(labels)) + np.asarray(labels, np.uint8).tobytes()


def write(folder, stem, images, labels, packed=True):
    pack, suffix = (gzip.compress, ".gz") if packed else (bytes, "")
    (folder / f"{stem}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    (folder / f"{stem}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_labels(labels)))


def source(folder, **settings) -> Idx:
    return Idx(Folder.open(str(folder)), DIGITS, **settings)


@pytest.fixture
def some(digits):
    return digits[0][:20], digits[1][:20]


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))), st.booleans())
def test_any_images_come_back_as_they_were(tmp_path_factory, images, packed):
    folder = tmp_path_factory.mktemp("idx")
    write(folder, "train", images, [1] * len(images), packed)
    found = source(folder)
    assert np.array_equal(list(found.read(found.index())), images)


def test_splits_come_from_file_names_and_keys_are_unique(tmp_path, some):
    write(tmp_path, "train", *some)
    write(tmp_path, "t10k", *some)
    write(tmp_path, "extra", *some)
    index = source(tmp_path).index()
    pairs = set(zip(index["file"].to_pylist(), index["split"].to_pylist(), strict=True))
    assert {(name.split("-")[0], split) for name, split in pairs} == {
        ("train", "train"),
        ("t10k", "test"),
        ("extra", None),
    }
    assert len(set(index["key"].to_pylist())) == 60
    assert index["label"].to_pylist()[:20] == [str(label) for label in some[1]]


def test_emnist_images_come_out_upright(tmp_path, some):
    write(tmp_path, "train", some[0].transpose(0, 2, 1), some[1])
    found = source(tmp_path, transposed=True)
    assert np.array_equal(list(found.read(found.index())), some[0])


def test_a_class_without_a_character_is_a_reject(tmp_path, some):
    write(tmp_path, "train", some[0][:2], [3, 12])
    index = source(tmp_path).index()
    assert index.select(["label", "reason", "detail"]).to_pylist() == [
        {"label": "3", "reason": None, "detail": None},
        {"label": None, "reason": "unknown-label", "detail": "class 12"},
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_truncated_file_gives_what_it_holds_and_rejects_the_rest(tmp_path, some, pack):
    write(tmp_path, "train", *some)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = pack(idx(some[0]))
    path.write_bytes(whole[: int(len(whole) * 0.7)])
    found = source(tmp_path)
    read = list(found.read(found.index()))
    good = [image for image in read if not isinstance(image, Reject)]
    assert len(read) == 20
    assert 5 < len(good) < 20
    assert np.array_equal(good, some[0][: len(good)])
    assert read[-1] == Reject("corrupt", f"train-images-idx3-ubyte.gz ends after {len(good)} images")


def test_a_damaged_gzip_gives_what_lies_before_the_damage(tmp_path, some):
    write(tmp_path, "train", *some)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = bytearray(path.read_bytes())
    for damaged in (whole[:-6] + b"\0" + whole[-5:], whole[:300] + bytes([whole[300] ^ 255]) + whole[301:]):
        path.write_bytes(damaged)
        found = source(tmp_path)
        assert len(list(found.read(found.index()))) == 20


def test_gzip_of_several_members_is_whole(tmp_path, some):
    write(tmp_path, "train", *some)
    raw = idx(some[0])
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(raw[:500]) + gzip.compress(raw[500:]))
    found = source(tmp_path)
    assert np.array_equal(list(found.read(found.index())), some[0])


def test_the_same_images_plain_and_packed_are_refused(tmp_path, some):
    write(tmp_path, "train", *some)
    write(tmp_path, "train", *some, packed=False)
    with pytest.raises(InputError, match=r"has both train-images-idx3-ubyte and train-images-idx3-ubyte\.gz"):
        source(tmp_path).index()


def test_each_unusable_folder_has_its_line(tmp_path, some):
    def refused(message):
        with pytest.raises(InputError, match=message):
            source(tmp_path).index()

    refused("has no IDX images: expected files such as train-images-idx3-ubyte.gz")
    write(tmp_path, "train", *some)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(idx_labels(some[1][:5]))
    refused("has 20 images, but 5 labels belong to it")
    labels.write_bytes(idx_labels(some[1])[:-3])
    refused("should hold 20 labels, but holds 17")
    labels.write_bytes(idx_labels(some[1]) + b"1")
    refused("should hold 20 labels, but holds more")
    labels.write_bytes(b"hello")
    refused("is not an IDX label file")
    labels.unlink()
    refused("has no labels beside it: expected train-labels-idx1-ubyte.gz")
    labels.write_bytes(idx_labels(some[1]))
    images = tmp_path / "train-images-idx3-ubyte.gz"
    images.write_bytes(struct.pack(">IIII", 0x803, 20, 1 << 16, 1 << 16))
    refused("says that its images are 65536 x 65536 pixels")
    images.write_bytes(b"")
    refused("is not an IDX image file")


def test_mnist_is_read_whole(data):
    found = Idx(Folder.open(str(data / "mnist")), DIGITS)
    index = found.index()
    assert len(index) == 70_000
    assert index["split"].to_pylist().count("test") == 10_000
    rows = index.filter(pa.compute.equal(index["file"], "t10k-images-idx3-ubyte.gz")).slice(9_998)
    raw = np.frombuffer(
        gzip.decompress((data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    assert np.array_equal(list(found.read(rows)), raw.reshape(-1, 28, 28)[9_998:])
