"""Real digits at the size of glyphs, and ways to start a training on them."""

import pytest
import torch

from hwr import models
from hwr.device import place
from hwr.training import Glyphs, InMemory, Ranks, Recipe, Training


@pytest.fixture(scope="session")
def glyphs(digits) -> tuple[Glyphs, Glyphs]:
    """600 digits to train on, 201 to validate."""
    images = torch.nn.functional.interpolate(torch.from_numpy(digits[0]).unsqueeze(1).float(), size=28, mode="bilinear")
    whole = Glyphs(images.squeeze(1).round().to(torch.uint8), torch.from_numpy(digits[1]))
    return whole[:600], whole[600:801]


def feed(train: Glyphs, seed: int = 0) -> InMemory:
    return InMemory(train, torch.bincount(train.labels, minlength=10), seed)


def shares(val: Glyphs):
    return lambda ranks: list(val.chunks(64))[ranks.share]


def started(recipe: Recipe, name: str = "glyphnet") -> Training:
    torch.manual_seed(recipe.seed)
    return Training.start(place(models.build(name, 28, 10), torch.device("cpu")), recipe)


ALONE = Ranks()
