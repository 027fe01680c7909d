"""How a network is trained: the recipe, the samples, the loop over epochs, and the checkpoints between them."""

from hwr.training.feed import Feed, Glyphs, InMemory
from hwr.training.loop import Progress, fit, validate
from hwr.training.ranks import Ranks
from hwr.training.recipe import Recipe
from hwr.training.state import Epoch, Training

__all__ = ["Epoch", "Feed", "Glyphs", "InMemory", "Progress", "Ranks", "Recipe", "Training", "fit", "validate"]
