"""Decoding never fails but by a reject that says why."""

import contextlib
import struct
import zlib
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr.decode import FORMATS, MAX_PIXELS, decode
from hwr.errors import RejectError
from hwr.glyph import canonical
from tests.pictures import attempt, digits, encode, near, reason


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_picture(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    found = decode(encode(digits()[3], kind, **options))
    assert found.shape == (96, 96)
    assert found.dtype == np.uint8
    assert near(found, digits()[3]) < 3


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_pixel_type_gives_the_same_glyph(mode):
    picture = Image.fromarray(digits()[5])
    if mode == "1":
        picture = picture.point(lambda value: 255 * (value > 127))  # or else PIL would dither
    if mode == "I;16":
        picture = Image.fromarray(digits()[5].astype(np.uint16) * 257)
    data = encode(picture.convert(mode) if mode != "I;16" else picture, "TIFF" if mode in ("CMYK", "I", "F") else "PNG")
    assert near(canonical(decode(data)), canonical(digits()[5])) < 8


@pytest.mark.parametrize("side", [28, 64])
def test_quick_way_equals_careful_way(side):
    for digit in digits()[:20]:
        image = cv2.resize(digit, (side, side))
        np.testing.assert_array_equal(decode(encode(image)), image)
        np.testing.assert_array_equal(decode(encode(image, dpi=(300, 300))), image)  # one more chunk: PIL reads it


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(stream, colour, *, after=b"", pieces=1, shape=(20, 30)):
    """A PNG whose every checksum holds, whatever its stream of pixels."""
    header = struct.pack(">IIBBBBB", shape[1], shape[0], 8, colour, 0, 0, 0)
    cuts = [len(stream) * piece // pieces for piece in range(pieces + 1)]
    pixels = b"".join(chunk(b"IDAT", stream[one:two]) for one, two in pairwise(cuts))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + after + pixels + chunk(b"IEND", b"")


CAREFUL = chunk(b"prVt", b"")  # means nothing, but is no plain chunk, so that PIL reads the file
PLAIN = chunk(b"pHYs", bytes(9)) + chunk(b"tIME", bytes(7)) + chunk(b"tEXt", b"Software\0x")


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 2]),
    st.sampled_from(["sound", "short", "long", "cut", "flipped", "no filter"]),
    st.integers(1, 4),
)
def test_quick_and_careful_way_agree_on_any_pixels(seed, colour, damage, pieces):
    """To 1 grey level in colour, exactly in grey, and on what is broken in a file whose checksums all hold."""
    rng = np.random.default_rng(seed)
    rows = np.pad(rng.integers(0, 256, (20, 30 * (1 + colour)), np.uint8), ((0, 0), (1, 0)))
    rows[:, 0] = 9 if damage == "no filter" else rng.integers(0, 5, 20)
    raw = rows.tobytes()
    stream = zlib.compress({"short": raw[: len(raw) // 2], "long": raw + b"more"}.get(damage, raw))
    if damage == "cut":
        stream = stream[: rng.integers(0, len(stream) - 50)]
    if damage == "flipped":
        at = int(rng.integers(0, len(stream)))
        stream = stream[:at] + bytes([stream[at] ^ int(rng.integers(1, 256))]) + stream[at + 1 :]
    quick, why = attempt(decode, png(stream, colour, after=PLAIN, pieces=pieces))
    careful, why_not = attempt(decode, png(stream, colour, after=CAREFUL, pieces=pieces))
    assert why == why_not
    if damage in ("sound", "long"):
        assert why is None
    if why is None:
        assert np.abs(quick.astype(int) - careful).max() <= (1 if colour else 0)


def test_chunks_that_change_the_picture_are_heeded():
    """A gamma, a key to transparency and EXIF in a text: what the careful way makes of them is what comes out."""
    raw = zlib.compress(np.pad(np.full((20, 90), 100, np.uint8), ((0, 0), (1, 0))).tobytes())
    gamma, key = chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"tRNS", struct.pack(">HHH", 100, 100, 100))
    np.testing.assert_array_equal(decode(png(raw, 2, after=gamma)), 100)
    np.testing.assert_array_equal(decode(png(raw, 2, after=key)), 255)
    assert reason(decode, png(raw, 2, after=chunk(b"pHYs", bytes(3)))) == "corrupt"
    exif = Image.Exif()
    exif[0x0112] = 6
    text = b"Raw profile type exif\0\nexif\n" + f"{len(exif.tobytes()):8d}\n{exif.tobytes().hex()}\n".encode()
    assert decode(png(raw, 2, after=chunk(b"tEXt", text))).shape == (30, 20)


@pytest.mark.parametrize(("ink", "fill"), [(0, 0), (0, 255), (255, 255), (255, 0), (180, 180)])
def test_ink_in_the_alpha_channel_is_read(ink, fill):
    """Dark and white ink on a transparent page, whatever colour hides under the transparency."""
    alpha = 255 - digits()[2]
    grey = np.where(alpha > 0, ink, fill).astype(np.uint8)
    picture = Image.merge("RGBA", [*[Image.fromarray(grey)] * 3, Image.fromarray(alpha)])
    assert near(canonical(decode(encode(picture))), canonical(digits()[2])) < 8


def test_paper_with_transparent_corners_keeps_its_ink():
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:8, :8] = 0
    picture = Image.merge("LA", [Image.fromarray(digits()[2]), Image.fromarray(alpha)])
    np.testing.assert_array_equal(decode(encode(picture)), digits()[2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = digits()[4][:, 10:80]
    found = decode(encode(image, kind, exif=exif))
    assert found.shape == (70, 96)
    assert near(found, np.rot90(image, -1)) < 4


def test_animation_gives_its_first_frame():
    frames = [Image.fromarray(digit) for digit in digits()[:3]]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(decode(data), digits()[0]) < 3


def test_reasons_of_broken_files():
    png, jpeg = encode(digits()[0]), encode(digits()[0], "JPEG")
    assert reason(decode, b"") == "empty"
    assert reason(decode, b"hello, no picture here") == "not-an-image"
    assert reason(decode, png[: len(png) // 2]) == "corrupt"
    assert reason(decode, jpeg[: len(jpeg) // 2]) == "corrupt"
    assert reason(decode, png[:12]) == "corrupt"
    flipped = bytearray(png)
    flipped[60] ^= 0xFF
    assert reason(decode, bytes(flipped)) == "corrupt"


@pytest.mark.parametrize("side", [7_072, 10_000, 60_000])
def test_bombs_are_refused_from_the_header(side):
    """Below, between and above PIL's own two limits; there are no pixels behind the header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    pixels = b"IDAT" + zlib.compress(b"")
    data += struct.pack(">I", len(pixels) - 4) + pixels + struct.pack(">I", zlib.crc32(pixels))
    assert side**2 > MAX_PIXELS
    assert reason(decode, data) == "too-large"


SEEDS = [encode(np.ascontiguousarray(digits()[1][::3, ::3]), kind) for kind in FORMATS] + [
    encode(Image.fromarray(digits()[1][::3, ::3]).convert(mode)) for mode in ("1", "P", "RGBA")
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_mutated_files_give_a_picture_or_a_reject(seed, changes, cut, truncate):
    data = bytearray(seed)
    for at, value in changes:
        data[at % len(data)] = value
    if truncate:
        del data[cut % len(data) :]
    found, why = attempt(decode, bytes(data))
    assert why in {None, "empty", "not-an-image", "corrupt", "too-large"}
    assert why or (found.ndim == 2 and found.dtype == np.uint8)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_picture_or_a_reject(data):
    with contextlib.suppress(RejectError):
        assert decode(data).ndim == 2
