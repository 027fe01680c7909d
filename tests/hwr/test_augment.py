"""Augmentation: one map a sample, seeded, and nothing moves when everything is off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwr.augment import AugmentConfig, draw, warp
from hwr.errors import InputError

OFF = AugmentConfig(rotation=0, shift=0, zoom=0, shear=0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def glyphs(digits):
    return torch.nn.functional.interpolate(torch.from_numpy(digits[0][:64]).unsqueeze(1).float() / 255, size=28)


def test_all_off_changes_nothing(glyphs):
    assert torch.allclose(warp(glyphs, draw(64, OFF, seeded(0))), glyphs, atol=1e-5)


def test_each_sample_has_a_map_of_its_own_and_a_seed_repeats_them():
    maps = draw(64, AugmentConfig(), seeded(1))
    assert len(torch.unique(maps.flatten(1), dim=0)) == 64
    assert torch.equal(maps, draw(64, AugmentConfig(), seeded(1)))
    assert not torch.equal(maps, draw(64, AugmentConfig(), seeded(2)))


@given(st.floats(0, 180), st.floats(0, 0.5), st.floats(0, 0.9), st.floats(0, 2))
def test_values_stay_in_range(rotation, shift, zoom, shear):
    maps = draw(4, AugmentConfig(rotation, shift, zoom, shear), seeded(0))
    out = warp(torch.ones(4, 1, 28, 28), maps)
    assert out.shape == (4, 1, 28, 28)
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-5


def test_a_shift_moves_ink_by_its_share_of_the_side():
    dot = torch.zeros(256, 1, 28, 28)
    dot[:, :, 13:15, 13:15] = 1
    moved = warp(dot, draw(256, AugmentConfig(rotation=0, shift=0.1, zoom=0, shear=0), seeded(0)))
    columns = (moved.sum((1, 2)) * torch.arange(28)).sum(1) / moved.sum((1, 2, 3)) - 13.5
    assert columns.abs().max() <= 2.8 + 1e-3
    assert columns.abs().max() > 2.4


def test_a_rotation_turns_ink_without_changing_how_much_there_is():
    bar = torch.zeros(64, 1, 28, 28)
    bar[:, :, 6:22, 13:15] = 1
    turned = warp(bar, draw(64, AugmentConfig(rotation=90, shift=0, zoom=0, shear=0), seeded(0)))
    # Bilinear sampling does not keep the sum of a bar of two pixels exactly.
    assert torch.allclose(turned.sum((1, 2, 3)), bar.sum((1, 2, 3)), rtol=0.08)
    assert (turned - bar).abs().mean() > 0.01


@pytest.mark.parametrize("wrong", [{"rotation": -1}, {"shift": 0.6}, {"zoom": 1.0}, {"shear": 3}])
def test_impossible_ranges_are_one_line(wrong):
    with pytest.raises(InputError, match=r"--augment\.\w+ must be from 0 to"):
        AugmentConfig(**wrong)
