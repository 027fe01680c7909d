"""Random variations of glyphs, drawn afresh for every sample and every epoch.

One pure function on a batch tensor; where it runs is the caller's choice. Affine distortion follows the practice of
Simard et al., "Best practices for convolutional neural networks applied to visual document analysis", 2003.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that all of PyTorch uses
from torch import Tensor

from hwr.errors import InputError


@dataclass(frozen=True)
class AugmentConfig:
    """How far a glyph is moved and bent, each drawn evenly from minus to plus the value; 0 turns one off."""

    rotation: float = 10.0
    """Rotation, in degrees."""
    shift: float = 0.07
    """Shift along each axis, as a share of the glyph's side."""
    zoom: float = 0.12
    """Change of size, as a share, for both axes together and half as much between them."""
    shear: float = 0.15
    """Horizontal shear: the slant of handwriting."""

    def __post_init__(self) -> None:
        for name, most in (("rotation", 180.0), ("shift", 0.5), ("zoom", 0.9), ("shear", 2.0)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"--augment.{name} must be from 0 to {most:g}, not {getattr(self, name)}")


def draw(count: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Draw one affine map a sample.

    Args:
        count: Number of samples N.
        config: The ranges.
        generator: Where the randomness comes from; the maps are made on its device.

    Returns:
        Maps (N, 2, 3) float32 from output to input coordinates in [-1, 1], as `affine_grid` takes them.
    """
    u = torch.rand(count, 6, generator=generator, device=generator.device) * 2 - 1
    angle = torch.deg2rad(u[:, 0] * config.rotation)
    zoom = 1 + u[:, 1] * config.zoom
    stretch = 1 + u[:, 2] * config.zoom / 2
    shear = u[:, 3] * config.shear
    cos, sin = torch.cos(angle), torch.sin(angle)
    sx, sy = zoom * stretch, zoom / stretch
    maps = torch.stack(
        [
            sx * cos,
            sx * (shear * cos - sin),
            2 * config.shift * u[:, 4],
            sy * sin,
            sy * (shear * sin + cos),
            2 * config.shift * u[:, 5],
        ],
        dim=1,
    )
    return maps.view(count, 2, 3)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Apply one affine map a sample, bilinear, black outside.

    Args:
        images: (N, 1, S, S) float in [0, 1].
        maps: (N, 2, 3) from `draw`.

    Returns:
        (N, 1, S, S), the type and range of `images`.
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
