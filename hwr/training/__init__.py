"""How a network is trained: recipe, samples, the loop over epochs, checkpoints between them, calibration at the end."""

from hwr.training.calibrate import calibrate
from hwr.training.feed import Feed, Glyphs, InMemory
from hwr.training.loop import Progress, fit, validate
from hwr.training.ranks import Ranks
from hwr.training.recipe import Recipe
from hwr.training.state import Epoch, Training, why_over

__all__ = [
    "Epoch", "Feed", "Glyphs", "InMemory", "Progress", "Ranks", "Recipe", "Training", "calibrate", "fit", "validate",
    "why_over",
]  # fmt: skip
