"""From glyphs to scores, with a trained model on one device."""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr import bundle
from hwr.device import as_input, autocast, place
from hwr.storage import Folder

_BATCH = 256


class Predictor:
    """A model, ready to label; loads the folder once and keeps it on its device.

    Attributes:
        card: The model's card.
    """

    def __init__(self, folder: Folder) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model, self.card = bundle.load(folder)
        self.model = place(model, self.device)

    @torch.inference_mode()
    def __call__(self, glyphs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Score canonical glyphs.

        Args:
            glyphs: (N, S, S) uint8, S as in the card.

        Returns:
            Probabilities (N, classes) float32 in the order of the card's alphabet; each row sums to 1.
        """
        scores = [np.zeros((0, len(self.card.alphabet)), np.float32)]
        for start in range(0, len(glyphs), _BATCH):
            batch = torch.tensor(glyphs[start : start + _BATCH], device=self.device)
            with autocast(self.device, "auto"):
                raw = self.model(as_input(batch))
            scores.append(F.softmax(raw.float(), dim=1).cpu().numpy())
        return np.concatenate(scores)
