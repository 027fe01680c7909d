"""Random variations of glyphs, drawn afresh for every sample and every epoch.

Two steps: `draw` says how each sample of a batch is to vary, and `vary` does it, a pure function on a batch tensor
that runs wherever the tensor is. Affine and elastic distortion follow Simard et al., "Best practices for convolutional
neural networks applied to visual document analysis", 2003; cutout DeVries and Taylor,
https://arxiv.org/abs/1708.04552; mixup Zhang et al., https://arxiv.org/abs/1710.09412.
"""

import functools
from dataclasses import dataclass, fields
from typing import Literal, Self

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of PyTorch uses
from torch import Tensor

from hwr.errors import InputError

Where = Literal["auto", "device", "data"]

# Control points of the elastic distortion along each axis: about four pixels of an MNIST glyph apart, the smoothness
# (sigma 4) that Simard et al. found best.
_POINTS = 7

_MOST = {
    "rotation": 180.0, "shift": 0.5, "zoom": 0.9, "shear": 2.0, "elastic": 0.25, "thickness": 1.0, "noise": 1.0,
    "cutout": 1.0, "mixup": 10.0, "flip_horizontal": 1.0, "flip_vertical": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class AugmentConfig:
    """How far glyphs are varied while training; 0 turns a variation off."""

    rotation: float = 5.0
    """Rotation, in degrees to either side."""
    shift: float = 0.05
    """Shift along each axis, as a share of the glyph's side."""
    zoom: float = 0.08
    """Change of size, as a share, for both axes together and half as much between them."""
    shear: float = 0.1
    """Horizontal shear: the slant of handwriting."""
    elastic: float = 0.01
    """Elastic distortion: standard deviation of how far ink is pulled, as a share of the glyph's side."""
    thickness: float = 0.1
    """Thinner or thicker strokes: 1 is up to one pixel on each side of a stroke."""
    noise: float = 0.0
    """Standard deviation of noise on each pixel, as a share of full ink."""
    cutout: float = 0.0
    """Side of a square that is wiped out, at most, as a share of the glyph's side."""
    mixup: float = 0.0
    """Mixing of pairs of glyphs and their labels: alpha of the Beta(alpha, alpha) distribution of their shares."""
    flip_horizontal: float = 0.0
    """Chance of a mirror image; characters are not symmetric, so this teaches wrong shapes."""
    flip_vertical: float = 0.0
    """Chance of turning a glyph upside down; likewise."""
    where: Where = "auto"
    """Where glyphs are varied: on the training worker's device, or in Ray Data tasks on the way there."""

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                flag = name.replace("_", "-")
                raise InputError(f"--augment.{flag} must be from 0 to {most:g}, not {getattr(self, name)}")


@dataclass(frozen=True)
class Variation:
    """How each of N samples varies; what is turned off is None.

    Attributes:
        maps: Affine maps (N, 2, 3) float32 from output to input coordinates in [-1, 1], as `affine_grid` takes them.
        pulls: Displacements (N, 2, P, P) float32 at control points, in the same coordinates.
        thickness: (N,) float32; above 0 strokes get thicker, below 0 thinner.
        noise: What to add to each pixel (N, 1, S, S) float32.
        holes: Left, top, right and bottom (N, 4) float32 of the square to wipe out, in pixels.
        shares: (N,) float32 in [0.5, 1]: what `mixup` leaves of each sample.
    """

    maps: Tensor | None = None
    pulls: Tensor | None = None
    thickness: Tensor | None = None
    noise: Tensor | None = None
    holes: Tensor | None = None
    shares: Tensor | None = None

    def __getitem__(self, rows: slice) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: None if value is None else value[rows] for name, value in values.items()})


def draw(count: int, size: int, config: AugmentConfig, generator: torch.Generator) -> Variation:
    """Draw how each sample of a batch varies.

    Args:
        count: Number of samples N.
        size: Side S of the glyphs, in pixels.
        config: The ranges.
        generator: Where the randomness comes from; the variation is made on its device.
    """

    def even(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=generator.device) * 2 - 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator, device=generator.device)

    is_affine = any((config.rotation, config.shift, config.zoom, config.shear, config.elastic,
                     config.flip_horizontal, config.flip_vertical))  # fmt: skip
    return Variation(
        _maps(even(8), config) if is_affine else None,
        # A share of the side is twice that in coordinates from -1 to 1.
        normal(2, _POINTS, _POINTS) * (2 * config.elastic) if config.elastic else None,
        even() * config.thickness if config.thickness else None,
        normal(1, size, size) * config.noise if config.noise else None,
        _holes(even(3), size, config.cutout) if config.cutout else None,
        _shares(count, config.mixup, generator) if config.mixup else None,
    )


def vary(images: Tensor, variation: Variation) -> Tensor:
    """Apply all of a variation but mixup.

    Args:
        images: (N, 1, S, S) float in [0, 1].
        variation: Of the same N samples.

    Returns:
        (N, 1, S, S), the type and range of `images`.
    """
    if variation.thickness is not None:
        images = _thicken(images, variation.thickness)
    if variation.maps is not None:
        images = _warp(images, variation.maps, variation.pulls)
    if variation.noise is not None:
        images = (images + variation.noise).clamp_(0, 1)
    return images if variation.holes is None else _wipe(images, variation.holes)


def mixup(images: Tensor, shares: Tensor) -> Tensor:
    """Mix each sample with the one before it in the batch; the first with the last.

    Args:
        images: (N, 1, S, S) float in [0, 1].
        shares: (N,) what is left of each sample; the rest is the other's.

    Returns:
        (N, 1, S, S), the type and range of `images`.
    """
    return torch.lerp(images.roll(1, 0), images, shares.view(-1, 1, 1, 1).to(images.dtype))


def _maps(u: Tensor, config: AugmentConfig) -> Tensor:
    """Affine maps (N, 2, 3) from even draws (N, 8) in [-1, 1]."""
    angle = torch.deg2rad(u[:, 0] * config.rotation)
    zoom = 1 + u[:, 1] * config.zoom
    stretch = 1 + u[:, 2] * config.zoom / 2
    shear = u[:, 3] * config.shear
    cos, sin = torch.cos(angle), torch.sin(angle)
    sx, sy = zoom * stretch, zoom / stretch
    if config.flip_horizontal:
        sx = sx * _sign(u[:, 6], config.flip_horizontal)
    if config.flip_vertical:
        sy = sy * _sign(u[:, 7], config.flip_vertical)
    across = (sx * cos, sx * (shear * cos - sin), 2 * config.shift * u[:, 4])
    down = (sy * sin, sy * (shear * sin + cos), 2 * config.shift * u[:, 5])
    return torch.stack([*across, *down], dim=1).view(-1, 2, 3)


def _sign(u: Tensor, chance: float) -> Tensor:
    """-1 with a chance, else 1, from even draws in [-1, 1]."""
    return 1 - 2 * ((u + 1) / 2 < chance).to(u.dtype)


def _holes(u: Tensor, size: int, most: float) -> Tensor:
    """Squares (N, 4) from even draws (N, 3) in [-1, 1]: their centre is anywhere, so they may reach over the edge."""
    centre = (u[:, :2] + 1) / 2 * size
    half = (u[:, 2:] + 1) / 4 * size * most
    return torch.cat([centre - half, centre + half], dim=1)


def _shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), the larger side: PyTorch's own Beta takes no generator."""
    gammas = torch._standard_gamma(torch.full((2, count), alpha, device=generator.device), generator=generator)
    total = gammas.sum(0)
    # With a tiny alpha both may underflow to 0; then nothing is mixed.
    share = torch.where(total > 0, gammas[0] / total, torch.ones_like(total))
    return torch.maximum(share, 1 - share)


def _thicken(images: Tensor, thickness: Tensor) -> Tensor:
    """Go part of the way to the largest, or the smallest, of the 3 x 3 pixels around each pixel."""
    amount = thickness.view(-1, 1, 1, 1).to(images.dtype)
    thick = torch.lerp(images, _largest(images), amount.clamp(min=0))
    return torch.lerp(thick, -_largest(-images), (-amount).clamp(min=0))


def _largest(images: Tensor) -> Tensor:
    """The largest of the 3 x 3 pixels around each; by slices, since max_pool2d is slow for one channel."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(torch.maximum(padded[:, :, :-2], padded[:, :, 1:-1]), padded[:, :, 2:])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def _warp(images: Tensor, maps: Tensor, pulls: Tensor | None) -> Tensor:
    """Move ink along an affine map and, if given, an elastic field; bilinear, black outside.

    Both are linear in what was drawn, so one matrix product makes all sampling points; it is twice as fast as
    `affine_grid` and a field on top.
    """
    count, _, height, width = images.shape
    factors = [maps.reshape(2 * count, 3)]
    if pulls is not None:
        factors.append(pulls.reshape(2 * count, _POINTS * _POINTS))
    grid = torch.cat(factors, dim=1) @ _basis(height, width, pulls is not None, maps.device)
    points = grid.view(count, 2, height, width).permute(0, 2, 3, 1)
    return F.grid_sample(images, points, mode="bilinear", padding_mode="zeros", align_corners=False)


@functools.cache  # it would be half of all calls to a GPU
def _basis(height: int, width: int, is_elastic: bool, device: torch.device) -> Tensor:
    """What each number of a map and each control point add to the sampling points (3 or 3 + P * P, height * width)."""
    x, y = ((torch.arange(size) * 2 + 1) / size - 1 for size in (width, height))
    affine = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)])
    smooth = torch.einsum("yp,xq->pqyx", _spline(height), _spline(width)).flatten(0, 1)
    return torch.cat([affine, smooth] if is_elastic else [affine]).flatten(1).to(device)


def _spline(size: int) -> Tensor:
    """Weights (size, P) of the control points for each pixel: a uniform cubic B-spline, from edge to edge.

    Rows are scaled to norm 1, so that a field of independent points of deviation d has deviation d at every pixel.
    """
    x = (torch.linspace(0, _POINTS - 1, size)[:, None] - torch.arange(_POINTS)).abs()
    near, far = 2 / 3 - x**2 + x**3 / 2, (2 - x).clamp(min=0) ** 3 / 6
    weights = torch.where(x < 1, near, far)
    return weights / weights.square().sum(dim=1, keepdim=True).sqrt()


def _wipe(images: Tensor, holes: Tensor) -> Tensor:
    """Black out one rectangle a sample."""
    centres = torch.arange(images.shape[-1], device=images.device) + 0.5
    left, top, right, bottom = holes.unsqueeze(2).unbind(1)
    across = (left < centres) & (centres < right)
    down = (top < centres) & (centres < bottom)
    return images.masked_fill((down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1), 0)
