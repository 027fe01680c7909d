"""From glyphs to probabilities, with one or several trained models on one device."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr import bundle
from hwr.alphabet import Alphabet
from hwr.augment import Variation, vary
from hwr.bundle import Card
from hwr.device import as_input, has_bf16, place
from hwr.errors import InputError
from hwr.storage import Folder

# Glyphs that a network takes at a time: on a processor, so many that what lies between layers stays in its caches; on
# a GPU, half as many again and again until they fit.
_BATCH = {"cpu": 256, "cuda": 8192}

# What test-time augmentation looks at: the glyph as it is, turned, slanted and scaled a little either way.
_VIEWS = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0]],
        [[0.9962, -0.0872, 0], [0.0872, 0.9962, 0]], [[0.9962, 0.0872, 0], [-0.0872, 0.9962, 0]],  # 5 degrees
        [[1, 0.1, 0], [0, 1, 0]], [[1, -0.1, 0], [0, 1, 0]],
        [[1.06, 0, 0], [0, 1.06, 0]], [[0.94, 0, 0], [0, 0.94, 0]],
    ]
)  # fmt: skip


class Predictor:
    """Models, ready to label: loaded once, folded for inference and kept on their device.

    Several models are an ensemble: the mean of their probabilities counts.

    Attributes:
        alphabet: Labels in the order of the probabilities.
        size: Side of the glyphs, in pixels.
    """

    def __init__(self, folders: Sequence[Folder], only: str | None = None, *, tta: bool = False) -> None:
        """Load models.

        Args:
            folders: Model folders; one or more.
            only: Characters to choose from, as `Alphabet.parse` takes them; all of the models', if not given.
            tta: Whether to look at every glyph in several ways and take the mean (test-time augmentation).

        Raises:
            InputError: See `load`.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._kind = torch.bfloat16 if has_bf16(self.device) else torch.float32
        self._batch = _BATCH[self.device.type]
        self._views = _VIEWS.to(self.device) if tta else None
        loaded, kept = load(folders, only)
        card = loaded[0][1]
        self.size = card.size
        self._models = [self._ready(model) for model, _ in loaded]
        known = [each.calibrated() for _, each in loaded]
        self._temperatures = [calibration.temperature if calibration else 1.0 for calibration in known]
        self.alphabet = [card.alphabet[number] for number in kept]
        self._kept = torch.tensor(kept, device=self.device)

    @torch.inference_mode()
    def __call__(self, glyphs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Score canonical glyphs.

        Args:
            glyphs: (N, S, S) uint8.

        Returns:
            Calibrated probabilities (N, labels) float32 in the order of the alphabet; each row sums to 1.
        """
        found = [np.zeros((0, len(self.alphabet)), np.float32)]
        start = 0
        while start < len(glyphs):
            try:
                found.append(self._score(torch.tensor(glyphs[start : start + self._batch])).cpu().numpy())
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
                self._batch //= 2
                continue
            start += len(found[-1])
        return np.concatenate(found)

    def _ready(self, model: nn.Module) -> nn.Module:
        """Batch norm folded into the layers before it, in the device's layout and arithmetic."""
        return place(fuse(model.eval()), self.device).to(self._kind)

    def _score(self, glyphs: Tensor) -> Tensor:
        images = as_input(glyphs.to(self.device))
        if self._views is None:
            return self._mean(images)
        views = [vary(images, Variation(maps=view.expand(len(images), 2, 3))) for view in self._views]
        return torch.stack([self._mean(view) for view in views]).mean(0)

    def _mean(self, images: Tensor) -> Tensor:
        """The models' mean probabilities of images (N, 1, S, S), over the characters that are chosen from."""
        scores = [model(images.to(self._kind)).float()[:, self._kept] for model in self._models]
        calibrated = zip(scores, self._temperatures, strict=True)
        return torch.stack([F.softmax(each / temperature, dim=1) for each, temperature in calibrated]).mean(0)


def load(folders: Sequence[Folder], only: str | None) -> tuple[list[tuple[nn.Module, Card]], list[int]]:
    """Read models that are to label together, and check that they can.

    Args:
        folders: Model folders; one or more.
        only: Characters to choose from, as `Alphabet.parse` takes them; all of the models', if not given.

    Returns:
        Each network, on the processor, with its card; and the numbers of the labels to choose from.

    Raises:
        InputError: A model is damaged, the models do not read the same characters at the same size, or ``only`` names
            one that they do not read.
    """
    loaded = [bundle.load(folder) for folder in folders]
    card = loaded[0][1]
    for folder, (_, other) in zip(folders, loaded, strict=True):
        if (other.alphabet, other.size) != (card.alphabet, card.size):
            raise InputError(f"{folders[0].name} and {folder.name} do not read the same characters at the same size")
    return loaded, _chosen(card.alphabet, only)


def _chosen(labels: Sequence[str], only: str | None) -> list[int]:
    """The numbers of the labels to choose from, in the model's order."""
    if only is None:
        return list(range(len(labels)))
    try:
        wanted = Alphabet.parse(only).labels
    except InputError as error:
        raise InputError(f"--only {only!r}: {error}") from None
    unknown = [label for label in wanted if label not in labels]
    if unknown:
        raise InputError(
            f"--only names {' '.join(unknown)}, which the model does not read: it knows {' '.join(labels)}"
        )
    return [number for number, label in enumerate(labels) if label in wanted]
