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

Grey = npt.NDArray[np.uint8]
Ink = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_WORK = 640  # longest side at which strokes are looked for; a 5 px pen line of a 1200 px scan still has 2.7 px
_STROKE = 2.2 / 20  # thinnest stroke, as a share of the ink's longer side; see _thicken
_CHUNK = 2048  # glyphs measured at a time, so that their floats stay in the cache


def is_canonical(images: Grey) -> npt.NDArray[np.bool_]:
    """Which images already are glyphs: white ink on clean black, as large and as central as in MNIST or EMNIST.

    Every row of MNIST passes, and all but 14 of the 137,905 rows of EMNIST measured (their ink runs from one edge to
    the opposite one). Rotating, mirroring or transposing an image changes nothing.

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
    # Measured: at most 12% of the border is ink and no corner ever is; 14 rows have strong ink on opposite edges, which
    # is also how a crop looks that was cut off, so those are laid out afresh.
    reach = edges.max(axis=2) >= 128
    clean = (dirty <= 0.15) & ~(reach[:, 0] & reach[:, 1]) & ~(reach[:, 2] & reach[:, 3])
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
    ink = _crop(_ink(_shrink(image)))
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


def _shrink(image: Grey) -> Ink:
    """To at most `_WORK` pixels a side, and as much smoother as it is larger than a crop."""
    factor = -(-max(image.shape) // _WORK)
    if factor > 1:
        height, width = (max(1, round(side / factor)) for side in image.shape)
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    sigma = max(image.shape) / 500
    smooth = image.astype(np.float32)
    return smooth if sigma < 0.3 else np.asarray(cv2.GaussianBlur(smooth, (0, 0), sigma), np.float32)


def _ink(picture: Ink) -> Ink:
    """How much of each pixel is ink (H, W) float32 in [0, 1], whichever of ink and paper is the darker."""
    rest = picture - _paper(picture)
    if rest[rest > 8].sum() < -rest[rest < -8].sum():
        rest = -rest
    marked = _upper(np.maximum(rest, 0))
    every = 1 + rest.size // 20_000
    level = float(np.median(rest[marked])) if marked.any() else 0.0
    noise = 1.4826 * float(np.median(np.abs(rest[~marked][::every])))
    if level < max(12.0, 4 * noise):
        raise RejectError(Reject("blank", f"no ink: contrast {level:.0f} of 255, noise {noise:.0f}"))
    low = min(max(0.15 * level, 3 * noise), 0.6 * level)
    return np.asarray(np.clip((rest - low) / (0.85 * level - low), 0, 1), np.float32)


def _paper(picture: Ink) -> Ink | float:
    """Brightness of the paper: one number where the border is even, else a quadratic surface."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    level = float(np.median(border))
    if np.mean(np.abs(border - level) <= 8) >= 0.5:  # the rest may be strokes that a tight crop cuts
        return level
    small = cv2.resize(picture, [min(side, 32) for side in picture.shape[::-1]], interpolation=cv2.INTER_AREA)
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in small.shape)
    plain = np.ones_like(small)
    basis = np.stack([plain, plain * x, plain * y[:, None], y[:, None] * x, plain * x**2, (plain.T * y**2).T])
    basis = basis.reshape(6, -1).T
    flat = np.asarray(small.reshape(-1), np.float32)
    # Two guesses of which pixels are ink, for paper that is nearly even and for paper whose shading exceeds the ink; a
    # flat, a tilted and a bent surface, of which the simplest that does about as well is the safest.
    starts = _upper(flat), _upper(np.asarray(flat - basis @ _solve(basis, flat), np.float32))
    fits = (_fit(basis, flat, start, degree) for degree in (1, 3, 6) for start in starts)
    terms, marked, _ = min(fits, key=lambda fit: fit[2])
    grid = marked.reshape(small.shape)
    edges = np.concatenate([grid[0], grid[-1], grid[:, 0], grid[:, -1]])
    if edges.mean() + grid.mean() > 1:  # then the marked pixels are the paper, and what lies around is ink
        terms[0] += terms[6]
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in picture.shape)
    along, down = terms[0] + terms[1] * x + terms[4] * x**2, terms[2] * y + terms[5] * y**2
    return np.asarray(along + down[:, None] + terms[3] * y[:, None] * x, np.float32)


def _fit(basis: Ink, values: Ink, marked: Mask, degree: int) -> tuple[Ink, Mask, float]:
    """Fit a surface of some terms plus one step for the marked pixels, and mark anew, in turns as k-means does.

    With a level of its own for either side, ink does not bend the paper's surface even where it covers half a crop.
    """
    terms = np.zeros(7, np.float32)
    used = [*range(degree), 6]
    for _ in range(10):
        terms[used] = _solve(np.column_stack([basis[:, :degree], marked]), values)
        rest, step = values - basis @ terms[:6], terms[6]
        before, marked = marked, np.abs(rest - step) < np.abs(rest)
        if (before == marked).all():
            break
    error = float(np.abs(np.where(marked, rest - step, rest)).mean())
    return terms, marked, (error + 1) * (1 + 0.05 * degree)


def _solve(basis: Ink, values: Ink) -> Ink:
    ridge = 1e-3 * np.eye(basis.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(basis.T @ basis + ridge, basis.T @ values), np.float32)


def _upper(values: Ink) -> Mask:
    """The brighter of the two classes that values fall into (Otsu 1979)."""
    low, high = float(values.min()), float(values.max())
    scaled = ((values - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    split, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(scaled > split)


def _crop(ink: Ink) -> Ink:
    """Cut to the strokes, with specks of under 2% of the largest stroke wiped out."""
    smallest = 1e-4 * ink.size
    x, y, width, height = cv2.boundingRect((ink > 0.2).astype(np.uint8))
    ink = ink[y : y + height, x : x + width]
    count, parts, stats, _ = cv2.connectedComponentsWithStats((ink > 0.2).astype(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    firm = np.bincount(parts[ink > 0.5], minlength=count) > 0
    largest = int((area * firm).max())
    if largest < smallest:
        raise RejectError(Reject("blank", f"no stroke, only specks of {largest} pixels"))
    keep = firm & (area >= 0.02 * largest) & (area > 0)
    mask = keep[parts]
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(ink[box] * near[box], np.float32)


def _thicken(ink: Ink) -> Ink:
    """Bring a pen line that is thin for its letter to the weight of MNIST's; scaling down would fade it to grey."""
    mask = np.pad((ink > 0.5).astype(np.uint8), 1)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    width = max(1.0, 4 * float(depth[mask > 0].mean()) - 2)
    # (width + more) / (longer + more) = _STROKE
    more = (_STROKE * max(ink.shape) - width) / (1 - _STROKE)
    if more < 1:
        return ink
    pad = int(np.ceil(more / 2))
    ink = np.pad(ink, pad)
    away = cv2.distanceTransform((ink <= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.maximum(ink, np.clip(more / 2 + 0.5 - away, 0, 1)), np.float32)


def _place(ink: Ink, size: int) -> Grey:
    """Scale and centre in one averaging step, so that strokes are resampled once.

    MNIST's own centre of mass lies at pixel index S/2 (measured: 14.0), half a pixel past the middle. It gives way
    where the ink would come within a pixel of the border.
    """
    unit = max(ink.shape) / round(size * 20 / 28)  # pixels of ink to one of the glyph
    frame = round(size * unit)
    padded = np.pad(ink, frame)
    start = []
    for axis, side in enumerate(ink.shape):
        profile = ink.sum(axis=1 - axis)
        heavy = float(profile @ (np.arange(side) + 0.5)) / float(profile.sum())
        wanted = heavy - (size + 1) / 2 * unit
        start.append(frame + round(min(max(wanted, side + unit - frame), -unit)))
    window = padded[start[0] : start[0] + frame, start[1] : start[1] + frame]
    glyph = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)
    glyph[[0, -1]] = 0
    glyph[:, [0, -1]] = 0
    return np.asarray(np.rint(glyph * (255 / glyph.max())), np.uint8)
