"""Weights move to another alphabet character by character."""

import pytest
import torch

from hwr import models
from hwr.errors import InputError
from hwr.training.transfer import adopt


def test_rows_of_common_characters_move_and_new_ones_stay():
    old, new = models.build("glyphnet", 28, 3), models.build("glyphnet", 28, 4)
    fresh = {name: value.clone() for name, value in new.state_dict().items()}
    assert adopt(new, "BAxy", old.state_dict(), "ABC") == ["B", "A"]
    state, source = new.state_dict(), old.state_dict()
    *body, weight, bias = state
    assert all(torch.equal(state[name], source[name]) for name in body)
    for name in (weight, bias):
        assert torch.equal(state[name][:2], source[name][[1, 0]])
        assert torch.equal(state[name][2:], fresh[name][2:])


def test_weights_of_another_shape_are_one_line():
    with pytest.raises(InputError, match="--init does not fit: its "):
        adopt(models.build("baseline", 28, 3), "ABC", models.build("baseline", 32, 3).state_dict(), "ABC")
    with pytest.raises(InputError, match="--init does not fit: its "):
        adopt(models.build("glyphnet", 28, 3), "ABC", models.build("baseline", 28, 3).state_dict(), "ABC")
