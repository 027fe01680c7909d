"""Pictures become glyphs: the layout is that of MNIST, whatever the picture."""

import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwr.decode import decode
from hwr.glyph import canonical, canonical_batch, is_canonical
from tests.pictures import DATA, attempt, digits, idx, near, needs_data, reason


def test_layout_is_that_of_mnist():
    """Longer side 20, centre of mass at pixel 14, black border, full contrast."""
    for digit in digits():
        glyph = canonical(digit)
        rows, columns = np.flatnonzero((glyph > 40).any(axis=1)), np.flatnonzero((glyph > 40).any(axis=0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
        mass = glyph / glyph.sum()
        assert abs(mass.sum(axis=1) @ np.arange(28) - 14) < 0.6
        assert abs(mass.sum(axis=0) @ np.arange(28) - 14) < 0.6
        assert glyph.max() == 255
        assert glyph[[0, -1]].max() == glyph[:, [0, -1]].max() == 0


def test_polarity_paper_and_scale_do_not_matter():
    """White on black, faint ink, shaded and noisy paper, and a large scan all give about the same glyph."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    for digit in digits()[:40]:
        wanted, ink = canonical(digit), 1 - digit / 255
        shaded = (190 + 40 * x - 15 * y) * (1 - 0.6 * ink)
        variants = {
            "inverted": 255 - digit,
            "faint": 180 - 40 * ink,
            "shaded": shaded,
            "shaded, light on dark": 255 - shaded,
            "noisy": np.clip(shaded + rng.normal(0, 5, digit.shape), 0, 255),
            "large": cv2.resize(digit, (960, 960), interpolation=cv2.INTER_CUBIC),
            "off centre": np.pad(digit, ((0, 80), (40, 0)), constant_values=255),
        }
        for name, variant in variants.items():
            assert near(canonical(variant.astype(np.uint8)), wanted) < 12, name


def test_thin_pen_line_in_a_large_scan_stays_readable():
    page = np.full((900, 1200), 255, np.uint8)
    cv2.ellipse(page, (600, 450), (200, 300), 0, 0, 360, 0, 5)
    glyph = canonical(page)
    assert 0.06 < (glyph >= 128).mean() < 0.2
    assert glyph[14, 14] == 0


@pytest.mark.parametrize("shape", [(60, 1), (1, 60), (60, 9), (9, 60), (900, 1200)])
def test_a_bare_line_stays_visible(shape):
    page = np.full(shape, 255, np.uint8)
    if shape[0] > shape[1]:
        page[10:30, shape[1] // 2] = 0
    else:
        page[shape[0] // 2, 10:30] = 0
    glyph = canonical(page)
    assert (glyph >= 128).sum() >= 30
    assert glyph.shape == (28, 28)


def test_blank_pages_are_refused():
    rng = np.random.default_rng(1)
    noise = np.clip(rng.normal(200, 6, (300, 400)), 0, 255).astype(np.uint8)
    speck = np.full((640, 480), 250, np.uint8)
    speck[100:102, 100] = 0
    for page in (np.zeros((28, 28), np.uint8), np.full((1, 9), 77, np.uint8), np.zeros((0, 5), np.uint8), noise, speck):
        assert reason(canonical, page) == "blank"


def test_specks_are_wiped_and_the_dot_of_an_i_is_kept():
    page = np.full((300, 300), 255, np.uint8)
    page[120:260, 140:160] = 0
    page[80:100, 140:160] = 0
    clean = canonical(page)
    page[5:9, 5:9] = 0
    np.testing.assert_array_equal(canonical(page), clean)
    assert clean[4:7, 12:16].max() > 200


def test_input_is_read_only_and_result_is_new():
    glyph = canonical(digits()[0])
    glyph.flags.writeable = False
    again = canonical(glyph)
    assert again.flags.writeable
    np.testing.assert_array_equal(again, glyph)
    page = digits()[0].copy()
    page.flags.writeable = False
    np.testing.assert_array_equal(canonical(page), glyph)


def test_sizes():
    for size in (8, 13, 20, 32, 64):
        assert is_canonical(canonical(digits()[7], size)[None])[0]
    with pytest.raises(ValueError, match="8 or more"):
        canonical(digits()[7], 7)


PICTURES = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda shape: arrays(
        np.uint8, shape, elements=st.sampled_from([0, 1, 20, 128, 200, 254, 255]) | st.integers(0, 255)
    )
)


@settings(max_examples=300, deadline=None)
@given(PICTURES, st.sampled_from([8, 11, 13, 28, 40]))
def test_twice_is_once(picture, size):
    """Whatever the picture, its glyph passes as one and comes back bit for bit; the picture is left alone."""
    before = picture.copy()
    glyph, why = attempt(canonical, picture, size)
    np.testing.assert_array_equal(picture, before)
    if why:
        assert why == "blank"
        return
    assert is_canonical(glyph[None])[0]
    np.testing.assert_array_equal(canonical(glyph, size), glyph)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.floats(0, 1))
def test_twice_is_once_for_noise(seed, height, width, share):
    """The same for dense random pictures, which hypothesis itself seldom draws."""
    rng = np.random.default_rng(seed)
    picture = (rng.integers(0, 256, (height, width)) * (rng.random((height, width)) < share)).astype(np.uint8)
    glyph, why = attempt(canonical, picture)
    assert why or is_canonical(glyph[None])[0]


# ---- is_canonical and the batch


def test_raw_crops_do_not_pass():
    glyph = canonical(digits()[3])
    small = np.zeros_like(glyph)
    small[2:12, 2:12] = cv2.resize(glyph[4:24, 4:24], (10, 10), interpolation=cv2.INTER_AREA)
    filled = cv2.resize(glyph[4:24, 4:24], (28, 28), interpolation=cv2.INTER_LINEAR)
    raw = {
        "dark on white": 255 - glyph,
        "edge to edge": filled,
        "small, in a corner": small,
        "blank": np.zeros_like(glyph),
        "white": np.full_like(glyph, 255),
        "grey paper": np.maximum(glyph, 20),
        "faint": glyph // 3,
        "white sheet in a black frame": np.pad(255 - glyph[1:-1, 1:-1], 1),
    }
    assert is_canonical(glyph[None]).tolist() == [True]
    for name, image in raw.items():
        assert not is_canonical(image[None])[0], name
    assert is_canonical(np.zeros((0, 28, 28), np.uint8)).shape == (0,)


def test_batch_equals_one_by_one():
    """Glyphs, raw crops, scans and blanks mixed; a reject leaves zeros and its reason in its place."""
    images = [
        canonical(digits()[0]),
        digits()[1],
        np.zeros((28, 28), np.uint8),
        255 - canonical(digits()[2]),
        digits()[3][:50],
    ]
    glyphs, rejects = canonical_batch(images, 28)
    assert [reject and reject.reason for reject in rejects] == [None, None, "blank", None, None]
    assert not glyphs[2].any()
    for index in (0, 1, 3, 4):
        np.testing.assert_array_equal(glyphs[index], canonical(images[index]))
    stacked, none = canonical_batch(digits()[:5], 28)
    assert stacked.shape == (5, 28, 28)
    assert none == [None] * 5
    assert canonical_batch([], 28)[0].shape == (0, 28, 28)


@needs_data
def test_published_rows_pass_through_bit_for_bit():
    """All of MNIST, EMNIST and A-Z, also where a letter's ink runs from one edge to the opposite one."""
    names = ("mnist/train", "mnist/t10k", "emnist47r/emnist47r-train", "emnist47r/emnist47r-test")
    for rows in (*(idx(f"{name}-images-idx3-ubyte.gz") for name in names), *capitals()):
        assert is_canonical(rows).all()
        glyphs, rejects = canonical_batch(rows, 28)
        assert rejects == [None] * len(rows)
        np.testing.assert_array_equal(glyphs, rows)
        assert is_canonical(rows[-10_000:].transpose(0, 2, 1)).all()
        assert not is_canonical(255 - rows[:10_000]).any()


def capitals():
    for file in sorted((DATA / "az").glob("*.csv.gz")):
        rows = pd.read_csv(file, header=None, dtype=np.uint8).to_numpy()
        yield rows[:, 1:].reshape(-1, 28, 28)


@needs_data
@pytest.mark.parametrize(("share", "passing"), [(1, 0.35), (0.9, 0.02), (0.8, 0.005), (0.6, 0.002)])
def test_enlarged_letters_cut_at_the_edges_do_not_pass(share, passing):
    """Square crops, from whole letters (some are as large in EMNIST, and pass) to ones cut through strokes."""
    rows = np.concatenate(
        [idx("mnist/t10k-images-idx3-ubyte.gz"), idx("emnist47r/emnist47r-test-images-idx3-ubyte.gz")]
    )
    crops = []
    for glyph in rows[::5]:
        x, y, width, height = cv2.boundingRect((glyph > 30).astype(np.uint8))
        side, middle = max(width, height) * share / 28, (x + width / 2 - 0.5, y + height / 2 - 0.5)
        matrix = np.array([[side, 0, middle[0] - 13.5 * side], [0, side, middle[1] - 13.5 * side]])
        crops.append(cv2.warpAffine(glyph, matrix, (28, 28), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP))
    assert is_canonical(np.stack(crops)).mean() <= passing
    assert not is_canonical(255 - np.stack(crops)).any()


@pytest.mark.parametrize("margin", [0, 1, 2])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_tight_crops_give_the_glyph(scale, margin):
    """Ink to the very edge, filling most of a crop: never blank, never inverted, in either polarity."""
    for digit in digits()[:50]:
        page = cv2.resize(255 - digit[16:-16, 16:-16], None, fx=scale / 4, fy=scale / 4, interpolation=cv2.INTER_AREA)
        page = np.pad(np.clip(3 * page.astype(int) - 255, 0, 255).astype(np.uint8), 8 + scale)  # sharp as in a scan
        x, y, width, height = cv2.boundingRect((page >= 100).astype(np.uint8))
        crop = page[y - margin : y + height + margin, x - margin : x + width + margin]
        wanted = canonical(page)
        for picture in (crop, 255 - crop, 215 - crop // 2):
            assert near(canonical(picture), wanted) < 14


def test_a_stroke_filling_its_crop_is_not_inverted():
    """A slanted bar cut to its box, three quarters of the border ink at most, at any size and contrast."""
    for width, height, lean in ((8, 40, 6), (6, 60, 5), (20, 80, 16), (40, 160, 30)):
        page = np.zeros((height + 60, width + lean + 60), np.uint8)
        corners = [(30 + lean, 30), (30 + lean + width, 30), (30 + width, 30 + height), (30, 30 + height)]
        cv2.fillPoly(page, [np.array(corners)], 255)
        crop = page[30 : 31 + height, 30 : 31 + lean + width]
        for picture in (crop, 255 - crop, 90 + crop // 4):
            assert near(canonical(picture), canonical(page)) < 6, (width, height)


@needs_data
def test_pen_on_paper_scans():
    """One writer in ten of the 1200 x 900 scans: never blank, weight as EMNIST's, the same in negative."""
    with zipfile.ZipFile(DATA / "english" / "Img.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith("-007.png"))
        scans = [decode(archive.read(name)) for name in names]
    glyphs, rejects = canonical_batch(scans, 28)
    negatives, _ = canonical_batch([255 - scan for scan in scans], 28)
    assert len(scans) == 62
    assert rejects == [None] * 62
    assert 0.08 < (glyphs >= 128).mean() < 0.25
    assert np.abs(glyphs.astype(int) - negatives).max() <= 3
