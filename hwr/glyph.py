"""Files and crops of one character -> glyphs: white ink on black, upright, laid out as MNIST lays them out.

MNIST (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition") scales the ink
into a 20 x 20 box, aspect kept, and moves its centre of mass to the centre of 28 x 28. EMNIST (Cohen, Afshar, Tapson,
van Schaik 2017, arXiv:1702.05373) centres the box instead and lets it grow to 24. Both count as canonical here.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from hwr.errors import Reject, RejectError
from hwr.ink import strokes

Grey = npt.NDArray[np.uint8]
Ink = npt.NDArray[np.float32]

_STROKE = 2.2 / 20  # thinnest stroke, as a share of the ink's longer side; see _thicken
_CHUNK = 512  # glyphs measured at a time, so that their floats stay in the cache


def is_canonical(images: Grey) -> npt.NDArray[np.bool_]:
    """Which images already are glyphs: white ink on clean black, as large and as central as in MNIST or EMNIST.

    Every row of MNIST passes, and of the 313,752 rows of EMNIST measured. Rotating, mirroring or transposing an image
    changes nothing.

    Args:
        images: Images (N, S, S) uint8.

    Returns:
        Verdicts (N,) bool.
    """
    parts = [_measure(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


def _measure(images: Grey) -> npt.NDArray[np.bool_]:
    count, size = images.shape[:2]
    top, bottom, left, right = images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]
    edges = np.stack([top, bottom, left, right], axis=1)
    dirty = np.count_nonzero(edges, axis=(1, 2)) / (4 * size)
    # Measured: at most 12% of the border is ink and no corner ever is.
    reach = edges.max(axis=2) >= 128
    across = (reach[:, 0] & reach[:, 1]) | (reach[:, 2] & reach[:, 3])
    clean = dirty <= 0.15
    clean[across] &= _tips(images[across])
    clean &= (top[:, [0, -1]].max(axis=1) == 0) & (bottom[:, [0, -1]].max(axis=1) == 0)
    floats, ones = images.astype(np.float32), np.ones(size, np.float32)
    rows = (floats.reshape(-1, size) @ ones).reshape(count, size)
    columns: Ink = ones @ floats  # matrix products: sums over axes this short are ten times slower
    mass = rows.sum(axis=1)
    # Measured: peaks of 214 and more, mean brightness to 0.47 (a square blot of ink would have 0.56).
    bright = (images.reshape(count, -1).max(axis=1) >= 200) & (mass <= 0.6 * 255 * size * size)
    (long_y, central_y), (long_x, central_x) = _spread(rows, mass), _spread(columns, mass)
    # Measured: the longer side is 19 to 28 of 28.
    result: npt.NDArray[np.bool_] = clean & bright & central_y & central_x & (np.maximum(long_y, long_x) >= 0.6 * size)
    return result


def _tips(images: Grey) -> npt.NDArray[np.bool_]:
    """Whether strong ink on two opposite edges (N, S, S) is the tips of a light letter, and not strokes cut off.

    Measured on the 16 such rows: at most 3 of an edge's 28 pixels are strong, the other edges are empty, the ink on the
    two weighs less than that a pixel further in, and mean brightness stays below 0.12.
    """
    size = images.shape[1]
    turn = images[:, [0, -1]].max(axis=(1, 2)) < images[:, :, [0, -1]].max(axis=(1, 2))
    upright = np.where(turn[:, None, None], images.transpose(0, 2, 1), images)
    ends = upright[:, [0, -1]]
    few = (np.count_nonzero(ends >= 128, axis=2) <= 3 * size / 28).all(axis=1)
    free = upright[:, :, [0, -1]].max(axis=(1, 2)) == 0
    fading = ends.sum(axis=(1, 2), dtype=np.int64) <= upright[:, [1, -2]].sum(axis=(1, 2), dtype=np.int64)
    light = upright.mean(axis=(1, 2)) <= 0.12 * 255
    return np.asarray(few & free & fading & light)


def _spread(profile: Ink, mass: Ink) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Extent of the ink along one axis, and whether the frame's centre lies between its centre of mass and its middle.

    That is so both where the mass is centred (MNIST) and where the box is (EMNIST), to within 1 pixel of 28.
    """
    size = profile.shape[1]
    inked = profile > 0
    first, last = inked.argmax(axis=1), size - 1 - inked[:, ::-1].argmax(axis=1)
    middle = (first + last) / 2
    heavy = profile @ np.arange(size, dtype=np.float32) / np.maximum(mass, 1)
    centre, slack = (size - 1) / 2, 1 + size / 28
    central = (np.minimum(middle, heavy) <= centre + slack) & (np.maximum(middle, heavy) >= centre - slack)
    return last - first + 1, central


def canonical(image: Grey, size: int = 28) -> Grey:
    """Turn any grey picture of one character into a glyph; a glyph comes back bit for bit.

    Args:
        image: Image (H, W) uint8, dark ink on light or light on dark, on paper of any even or gently shaded tone.
        size: Side S of the glyph, 8 or more.

    Returns:
        Glyph (S, S) uint8, a new array: black 0, ink to 255, its longer side 20/28 of S, its centre of mass central.

    Raises:
        RejectError: ``blank``, where there is no ink.
    """
    if size < 8:
        raise ValueError(f"a glyph needs a size of 8 or more, not {size}")
    if image.shape == (size, size) and is_canonical(image[None])[0]:
        return image.copy()
    if image.size == 0:
        raise RejectError(Reject("blank", "the picture has no pixels"))
    ink = strokes(image)
    grow = -(-4 * size // max(ink.shape))
    if grow > 1:  # room to place and thicken strokes by fractions of a final pixel
        ink = np.asarray(cv2.resize(ink, None, fx=grow, fy=grow, interpolation=cv2.INTER_LINEAR), np.float32)
    return _place(_thicken(ink), size)


def canonical_batch(images: Sequence[Grey] | Grey, size: int = 28) -> tuple[Grey, list[Reject | None]]:
    """Turn pictures of mixed shapes into glyphs.

    Args:
        images: N images (H, W) uint8, or one array (N, H, W).
        size: Side S of the glyphs, 8 or more.

    Returns:
        Glyphs (N, S, S) uint8, and for each None or why it was refused; a refused one is all zero.
    """
    rejects: list[Reject | None] = [None] * len(images)
    glyphs = _gather(images, (size, size))
    for index in np.flatnonzero(~is_canonical(glyphs)):
        try:
            glyphs[index] = canonical(images[int(index)], size)
        except RejectError as error:
            glyphs[index] = 0
            rejects[index] = error.reject
    return glyphs, rejects


def _gather(images: Sequence[Grey] | Grey, shape: tuple[int, int]) -> Grey:
    """Copy images of the given shape into one array, and leave zeros for the others."""
    if isinstance(images, np.ndarray) and images.shape[1:] == shape:
        return images.copy()
    empty = np.zeros(shape, np.uint8)
    chosen = [image if image.shape == shape else empty for image in images]
    return np.concatenate(chosen).reshape(-1, *shape) if chosen else np.zeros((0, *shape), np.uint8)


def _thicken(ink: Ink) -> Ink:
    """Bring a pen line that is thin for its letter to the weight of MNIST's; scaling down would fade it to grey."""
    mask = cv2.copyMakeBorder((ink > 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    width = max(1.0, 4 * cv2.sumElems(depth)[0] / cv2.countNonZero(mask) - 2)
    # (width + more) / (longer + more) = _STROKE
    more = (_STROKE * max(ink.shape) - width) / (1 - _STROKE)
    if more < 1:
        return ink
    pad = int(np.ceil(more / 2))
    ink = np.asarray(cv2.copyMakeBorder(ink, pad, pad, pad, pad, cv2.BORDER_CONSTANT), np.float32)
    away = cv2.distanceTransform((ink <= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.maximum(ink, np.clip(more / 2 + 0.5 - away, 0, 1)), np.float32)


def _place(ink: Ink, size: int) -> Grey:
    """Scale and centre in one averaging step, so that strokes are resampled once.

    MNIST's own centre of mass lies at pixel index S/2 (measured: 14.0), half a pixel past the middle. It gives way
    where the ink would come within a pixel of the border.
    """
    unit = max(ink.shape) / round(size * 20 / 28)  # pixels of ink to one of the glyph
    glyph = _averages(_averages(ink, size, unit).T, size, unit).T
    glyph[[0, -1]] = 0
    glyph[:, [0, -1]] = 0
    return np.asarray(np.rint(np.maximum(glyph, 0) * (255 / glyph.max())), np.uint8)


def _averages(ink: Ink, size: int, unit: float) -> Ink:
    """Sum ink (h, w) into the glyph's rows (S, w), each `unit` pixels high and placed by the ink's centre of mass.

    Running sums, not a matrix product: the threads that one may start cost more than they save.
    """
    side, profile = len(ink), ink.sum(axis=1)
    heavy = float(profile @ (np.arange(side) + 0.5)) / float(profile.sum())
    start = min(max(heavy - (size + 1) / 2 * unit, side + unit - size * unit), -unit)
    bounds = np.clip(start + unit * np.arange(size + 1), 0, side)
    whole = np.minimum(bounds.astype(np.intp), side - 1)
    sums = ink.cumsum(axis=0)[whole] - (1 - (bounds - whole))[:, None] * ink[whole]
    return np.asarray(np.diff(sums, axis=0), np.float32)
