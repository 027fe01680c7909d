"""Where the ink is in a picture, whatever its paper, light and size."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hwr.errors import Reject, RejectError

Grey = npt.NDArray[np.uint8]
Ink = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.float64]

_WORK = 640  # longest side at which strokes are looked for; a 5 px pen line of a 1200 px scan still has 2.7 px
_TWO_TONES = 0.80  # share of the variance that lies between ink and paper, from which on a picture is ink on even paper
_TONES = np.arange(256.0)
_RIDGE = 1e-3  # keeps fits of tiny pictures solvable


def strokes(image: Grey) -> Ink:
    """Cut a picture to the strokes in it, with specks of under 2% of the largest stroke wiped out.

    Args:
        image: Image (H, W) uint8 with pixels, dark ink on light or light on dark.

    Returns:
        How much of each pixel is ink (h, w) float32 in [0, 1], whichever of ink and paper is the darker; a large image
        comes back reduced.

    Raises:
        RejectError: ``blank``, where there is no ink.
    """
    page, paper = _flatten(_shrink(image))
    smallest = 1e-4 * page.size
    ink = _ink(_histogram(page), paper)
    page, mask = _cut(page, _within(page, ink > 0.2))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    firm = np.bincount(parts[_within(page, ink > 0.5) > 0], minlength=count) > 0
    largest = int((area * firm).max())
    if largest < smallest:
        raise RejectError(Reject("blank", f"no stroke, only specks of {largest} pixels"))
    mask = (firm & (area >= 0.02 * largest) & (area > 0)).take(np.asarray(parts, np.intp)).view(np.uint8)
    page, near = _cut(page, mask, np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8))
    return np.asarray(cv2.LUT(page, ink) * near, np.float32)


def _shrink(image: Grey) -> Grey:
    """To at most `_WORK` pixels a side, and as much smoother as it is larger than a crop."""
    factor = -(-max(image.shape) // _WORK)
    if factor > 1:
        height, width = (max(1, round(side / factor)) for side in image.shape)
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    sigma = max(image.shape) / 500
    return image if sigma < 0.3 else np.asarray(cv2.GaussianBlur(image, (5, 5), sigma), np.uint8)


def _flatten(page: Grey) -> tuple[Grey, int]:
    """The page (H, W) with its shading taken away, and the brightness of its paper, even from there on."""
    height, width = (min(side, 32) for side in page.shape)
    small = np.asarray(cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    level, even = _paper(small)
    if even:
        return page, level
    surface = _surface(small, page.shape)
    level = round(float(surface.mean()))
    return np.asarray(np.clip(np.rint(page + (level - surface)), 0, 255), np.uint8), level


def _paper(small: Grey) -> tuple[int, bool]:
    """Brightness of the paper, and whether it is even."""
    split, clarity = _otsu(_histogram(small))
    if clarity < _TWO_TONES:
        tones = _border(small)  # half of which may be strokes that a crop cuts
    else:  # away from the ink, paper is not blurred
        above = small > split
        paper = above if _is_paper(above) else ~above
        away = cv2.distanceTransform(paper.astype(np.uint8), cv2.DIST_L2, 3)
        tones = small[away >= 0.6 * away.max()]
    level = int(np.sort(tones)[len(tones) // 2])
    return level, bool(np.mean(np.abs(tones.astype(np.int64) - level) <= 8) >= 0.5)


def _is_paper(mask: Mask) -> bool:
    """Whether marked pixels are the paper: it lies along the border, in the corners and in more pieces than the ink.

    That holds however much of a tight crop is ink; weighed on crops of real characters, 3 in 10,000 come out wrong.
    """
    score = _border(mask).mean() - 0.5
    if abs(score) < 0.3:
        corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]].mean() - 0.5
        ours, others = (cv2.connectedComponents(side.astype(np.uint8))[0] for side in (mask, ~mask))
        score += corners / 2 + min(max(ours - others, -3), 3) / 12
    return bool(score >= 0)


def _border(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _histogram(page: Grey) -> Counts:
    rows = page[:: 1 + page.size // 200_000]
    return np.asarray(cv2.calcHist([rows], [0], None, [256], [0, 256]), np.float64).ravel()


def _otsu(counts: Counts) -> tuple[int, float]:
    """The last tone of the darker of two classes (Otsu 1979), and the share of all variance between the two.

    That share is 0.64 for Gaussian noise, 0.75 for an even ramp, and nears 1 for two tones.
    """
    below, sums = counts.cumsum(), (counts * _TONES).cumsum()
    total, mean = below[-1], sums[-1] / below[-1]
    between = (mean * below - sums) ** 2 / np.maximum(below * (total - below), 1e-9)
    split = int(between.argmax())
    return split, float(between[split] * total / max(counts @ (_TONES - mean) ** 2, 1e-9))


def _surface(small: Grey, shape: tuple[int, int]) -> Ink:
    """Brightness of the paper (H, W): a quadratic surface, fitted to the small page with its ink left out."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in small.shape)
    y, x = np.repeat(y, len(x)), np.tile(x, len(y))
    terms, marked = _fit(np.stack([np.ones_like(x), x, y, x * y, x**2, y**2]), small.ravel().astype(np.float32))
    grid = marked.reshape(small.shape)
    if _border(grid).mean() + grid.mean() > 1:  # then the marked pixels are the paper, and what lies around is ink
        terms[0] += terms[6]
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    even, along, down, twist, bend, sag = terms[:6]
    row = even + along * x + bend * x**2
    return np.asarray(row + (down * y + sag * y**2)[:, None] + (twist * y)[:, None] * x, np.float32)


def _fit(basis: Ink, values: Ink) -> tuple[Ink, Mask]:
    """Fit surfaces plus one step for the marked pixels, and mark anew, in turns as k-means does; return the best.

    With a level of its own for either side, ink does not bend the paper's surface even where it covers half a crop.
    Two guesses of which pixels are ink, for paper that is nearly even and for paper whose shading exceeds the ink; a
    flat, a tilted and a bent surface, of which the simplest that does about as well is the safest.

    Args:
        basis: The surfaces' terms (6, N): constant, linear (2), quadratic (3).
        values: Brightness (N,).

    Returns:
        The six terms and the step (7,), and which pixels are marked (N,).
    """
    gram, moments = basis @ basis.T, basis @ values
    bent = values - np.linalg.solve(gram + _RIDGE * np.eye(6, dtype=np.float32), moments) @ basis
    degrees = np.repeat([1, 3, 6], 2)
    marked = np.stack([_upper(values), _upper(np.asarray(bent, np.float32))] * 3)
    left = np.zeros((6, 7, 7))  # one system of equations a fit
    left[:, :6, :6] = gram
    unused = np.arange(6) >= degrees[:, None]
    left[:, range(7), range(7)] += np.pad(np.where(unused, 1e9, _RIDGE), ((0, 0), (0, 1)), constant_values=_RIDGE)
    corner = left[:, 6, 6].copy()
    right = np.tile(np.append(moments, 0), (6, 1))
    for _ in range(10):
        chosen = marked.astype(np.float32)
        left[:, :6, 6] = left[:, 6, :6] = chosen @ basis.T
        left[:, 6, 6] = corner + chosen.sum(axis=1)
        right[:, 6] = chosen @ values
        terms = np.linalg.solve(left, right[..., None])[..., 0].astype(np.float32)
        rest, step = values - terms[:, :6] @ basis, terms[:, 6:]
        before, marked = marked, np.abs(rest - step) < np.abs(rest)
        if (before == marked).all():
            break
    error = np.abs(np.where(marked, rest - step, rest)).mean(axis=1)
    best = int(((error + 1) * (1 + 0.05 * degrees)).argmin())
    return terms[best], marked[best]


def _upper(values: Ink) -> Mask:
    """The brighter of the two classes that values fall into."""
    low, high = values.min(), values.max()
    scaled = ((values - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    return np.asarray(scaled > _otsu(np.bincount(scaled, minlength=256).astype(np.float64))[0])


def _within(page: Grey, tones: Mask) -> Grey:
    """Where the page has one of the tones, which are the darkest or the lightest: 1 there and 0 elsewhere."""
    chosen = np.flatnonzero(tones)
    if tones[-1]:
        return np.asarray(cv2.threshold(page, float(chosen[0]) - 1, 1, cv2.THRESH_BINARY)[1], np.uint8)
    return np.asarray(cv2.threshold(page, float(chosen[-1]), 1, cv2.THRESH_BINARY_INV)[1], np.uint8)


def _cut(page: Grey, mask: Grey, *others: Grey) -> list[Grey]:
    """The page and the other pictures, or the mask where there are none, cut to the mask's bounding box."""
    x, y, width, height = cv2.boundingRect(mask)
    return [picture[y : y + height, x : x + width] for picture in (page, *(others or [mask]))]


def _ink(counts: Counts, paper: int) -> Ink:
    """How much ink each tone is (256,) float32 in [0, 1], whichever of ink and paper is the darker.

    Args:
        counts: Pixels of each tone (256,).
        paper: Tone of the paper.
    """
    rest = np.arange(256) - paper
    weight = counts * rest
    if weight[rest > 8].sum() < -weight[rest < -8].sum():
        rest = -rest
    split, _ = _otsu(np.bincount(np.maximum(rest, 0), counts, 256).astype(np.float64))
    marked = rest > split
    level = _median(rest[marked], counts[marked])
    noise = 1.4826 * _median(np.abs(rest[~marked]), counts[~marked])
    two_tones = _otsu(counts)[1] >= _TWO_TONES
    if two_tones:  # then what looks like noise may be the rim of strokes that fill the crop
        noise = min(noise, 1.4826 * _median(np.abs(rest[marked] - level), counts[marked]))
    if level < (12 if two_tones else max(12.0, 4 * noise)):
        raise RejectError(Reject("blank", f"no ink: contrast {level:.0f} of 255, noise {noise:.0f}"))
    low = min(max(0.15 * level, 3 * noise), 0.6 * level)
    return np.asarray(np.clip((rest - low) / (0.85 * level - low), 0, 1), np.float32)


def _median(values: npt.NDArray[np.int64], counts: Counts) -> float:
    """The median of values that each occur so many times; 0 where there are none."""
    order = values.argsort()
    below = counts[order].cumsum()
    return float(values[order][below.searchsorted(below[-1] / 2)]) if counts.any() else 0.0
