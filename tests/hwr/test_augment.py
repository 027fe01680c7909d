"""Augmentation: each sample varies on its own, seeded, and nothing changes when everything is off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwr.augment import AugmentConfig, draw, mixup, vary
from hwr.errors import InputError

NOTHING = dict.fromkeys(("rotation", "shift", "zoom", "shear", "elastic", "thickness"), 0.0)
EVERYTHING = AugmentConfig(thickness=0.5, noise=0.1, cutout=0.3, mixup=0.4, flip_horizontal=0.5, flip_vertical=0.5)


def only(**ranges) -> AugmentConfig:
    return AugmentConfig(**{**NOTHING, **ranges})


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def varied(images: torch.Tensor, config: AugmentConfig, seed: int = 0) -> torch.Tensor:
    return vary(images, draw(len(images), images.shape[-1], config, seeded(seed)))


@pytest.fixture(scope="module")
def glyphs(digits):
    return torch.nn.functional.interpolate(torch.from_numpy(digits[0][:64]).unsqueeze(1).float() / 255, size=28)


def test_all_off_changes_nothing(glyphs):
    assert varied(glyphs, only()) is glyphs


@pytest.mark.parametrize(
    "name",
    [
        "rotation",
        "shift",
        "zoom",
        "shear",
        "elastic",
        "thickness",
        "noise",
        "cutout",
        "flip_horizontal",
        "flip_vertical",
    ],
)
def test_each_variation_differs_from_sample_to_sample_and_repeats_with_its_seed(glyphs, name):
    config = only(**{name: 20.0 if name == "rotation" else 0.4 if name != "elastic" else 0.05})
    same = glyphs[:1].expand(64, -1, -1, -1)
    out = varied(same, config)
    kinds = len(torch.unique((out * 1e4).round().flatten(1), dim=0))
    assert kinds == 2 if name.startswith("flip") else kinds > 30
    assert torch.equal(out, varied(same, config))
    assert not torch.equal(out, varied(same, config, seed=1))


@given(
    st.floats(0, 180), st.floats(0, 0.5), st.floats(0, 0.9), st.floats(0, 2), st.floats(0, 0.25), st.floats(0, 1),
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 10), st.integers(2, 40), st.integers(1, 9),
)  # fmt: skip
def test_values_stay_in_range(rotation, shift, zoom, shear, elastic, thickness, noise, cutout, alpha, size, count):
    config = AugmentConfig(rotation, shift, zoom, shear, elastic, thickness, noise, cutout, alpha)
    variation = draw(count, size, config, seeded(0))
    out = vary(torch.rand(count, 1, size, size, generator=seeded(1)), variation)
    if variation.shares is not None:
        assert variation.shares.min() >= 0.5
        assert variation.shares.max() <= 1
        out = mixup(out, variation.shares)
    assert out.shape == (count, 1, size, size)
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-5


@given(st.integers(1, 12), st.integers(1, 4))
def test_shares_of_a_batch_vary_as_the_whole_does(count, world):
    images = torch.rand(count, 1, 12, 12, generator=seeded(2))
    variation = draw(count, 12, EVERYTHING, seeded(3))
    whole = vary(images, variation)
    for rank in range(min(world, count)):
        share = slice(rank, None, world)
        assert torch.allclose(vary(images[share], variation[share]), whole[share], atol=1e-6)


def test_a_shift_moves_ink_by_its_share_of_the_side():
    dot = torch.zeros(256, 1, 28, 28)
    dot[:, :, 13:15, 13:15] = 1
    moved = varied(dot, only(shift=0.1))
    columns = (moved.sum((1, 2)) * torch.arange(28)).sum(1) / moved.sum((1, 2, 3)) - 13.5
    assert columns.abs().max() <= 2.8 + 1e-3
    assert columns.abs().max() > 2.4


def test_a_rotation_turns_ink_without_changing_how_much_there_is():
    bar = torch.zeros(64, 1, 28, 28)
    bar[:, :, 6:22, 13:15] = 1
    turned = varied(bar, only(rotation=90))
    # Bilinear sampling does not keep the sum of a bar of two pixels exactly.
    assert torch.allclose(turned.sum((1, 2, 3)), bar.sum((1, 2, 3)), rtol=0.08)
    assert (turned - bar).abs().mean() > 0.01


def test_an_elastic_pull_has_the_deviation_that_was_asked_for():
    # An image that holds its own x coordinate shows where each pixel came from.
    ramp = ((torch.arange(28) + 0.5) / 28).expand(2000, 1, 28, 28)
    moved = varied(ramp, only(elastic=0.02))[..., 8:20, 8:20] - ramp[..., 8:20, 8:20]
    assert moved.std().item() == pytest.approx(0.02, rel=0.05)
    assert moved.mean().abs() < 0.001


def test_strokes_get_thicker_and_thinner():
    bar = torch.zeros(128, 1, 28, 28)
    bar[:, :, 4:24, 12:15] = 1
    widths = varied(bar, only(thickness=1.0))[:, 0, 14].sum(1)
    assert 1 <= widths.min() < 1.3
    assert 4.7 < widths.max() <= 5


def test_flips_happen_as_often_as_asked(glyphs):
    many = glyphs[:1].expand(1000, -1, -1, -1)
    flipped = varied(many, only(flip_horizontal=0.3))
    mirrored = (flipped - glyphs[:1].flip(3)).abs().amax((1, 2, 3)) < 1e-4
    upright = (flipped - glyphs[:1]).abs().amax((1, 2, 3)) < 1e-4
    assert (mirrored | upright).all()
    assert 0.25 < mirrored.float().mean() < 0.35
    upside_down = varied(many, only(flip_vertical=1.0))
    assert torch.allclose(upside_down, many.flip(2), atol=1e-4)


def test_cutout_wipes_squares_and_noise_has_its_deviation():
    white = torch.ones(400, 1, 28, 28)
    wiped = (varied(white, only(cutout=0.5)) == 0).sum((1, 2, 3))
    assert wiped.max() <= 15 * 15
    assert wiped.max() > 100
    grey = torch.full((100, 1, 28, 28), 0.5)
    assert (varied(grey, only(noise=0.1)) - grey).std().item() == pytest.approx(0.1, rel=0.02)


def test_mixup_mixes_with_the_sample_before():
    images = torch.arange(3.0).view(3, 1, 1, 1)
    assert mixup(images, torch.tensor([1.0, 0.75, 0.5])).flatten().tolist() == [0.0, 0.75, 1.5]


@pytest.mark.parametrize(
    "wrong",
    [{"rotation": -1}, {"shift": 0.6}, {"zoom": 1.0}, {"shear": 3}, {"flip_vertical": 1.1}, {"noise": float("nan")}],
)
def test_impossible_ranges_are_one_line(wrong):
    with pytest.raises(InputError, match=rf"--augment\.{next(iter(wrong)).replace('_', '-')} must be from 0 to"):
        AugmentConfig(**wrong)
