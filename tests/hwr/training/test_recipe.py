"""Rates go up and down as they should, and impossible recipes are refused."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwr.errors import InputError
from hwr.training.recipe import Recipe, one_cycle, plateaus


def test_one_cycle_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [one_cycle(step / 1000) for step in range(1001)]
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates.index(max(rates)) == 200
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.001)


def test_cosine_falls_from_the_peak_and_constant_stays():
    cosine, constant = Recipe(schedule="cosine", learning_rate=2), Recipe(schedule="constant", learning_rate=2)
    assert [cosine.rate(progress, []) for progress in (0, 0.5, 1)] == pytest.approx([2, 1, 0])
    assert {constant.rate(progress, []) for progress in (0, 0.5, 1)} == {2}


@pytest.mark.parametrize(
    ("losses", "drops"),
    [([], 0), ([3, 2, 1], 0), ([1, 2], 0), ([1, 2, 2], 1), ([1, 2, 2, 2, 2], 2), ([1, 2, 0.5, 1, 1], 1)],
)
def test_a_plateau_halves_the_rate(losses, drops):
    assert plateaus(losses) == drops
    history = [SimpleNamespace(val_loss=loss) for loss in losses]
    assert Recipe(schedule="plateau", learning_rate=8).rate(0.9, history) == 8 * 0.5**drops


@given(st.lists(st.floats(0, 10)))
def test_plateaus_never_fall_as_epochs_are_added(losses):
    counts = [plateaus(losses[:end]) for end in range(len(losses) + 1)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_norms_and_biases_are_not_decayed(name, kind):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(4, 3))
    optimizer = Recipe(optimizer=name, weight_decay=0.5).make_optimizer(model)
    assert type(optimizer) is kind
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1}, {"learning_rate": float("nan")}, {"patience": -1},
        {"label_smoothing": 1}, {"ema": 1.0}, {"time_limit": float("inf")}, {"min_delta": -0.1}, {"gradient_clip": -1},
    ],
)  # fmt: skip
def test_impossible_recipes_are_one_line(wrong):
    with pytest.raises(InputError, match=f"--{next(iter(wrong)).replace('_', '-')} must be"):
        Recipe(**wrong)
