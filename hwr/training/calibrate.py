"""Calibrating a trained network on the validation samples, however many ranks share them."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from hwr import bundle
from hwr.alphabet import Alphabet
from hwr.calibration import BINS, TEMPERATURES, Calibration, best_temperature, count, losses
from hwr.device import as_input, autocast, place
from hwr.errors import InputError
from hwr.sources import Samples, read_glyphs
from hwr.storage import Folder
from hwr.training.feed import Glyphs
from hwr.training.ranks import Ranks

_ROWS = 1024


@torch.inference_mode()
def calibrate(model: nn.Module, classes: int, val: Callable[[Ranks], Iterable[Glyphs]], ranks: Ranks) -> Calibration:
    """Fit the temperature, then count confidences under it and answers; only sums leave the device or the rank.

    Args:
        model: The network; left in evaluation mode.
        classes: How many characters it knows.
        val: Gives a rank's share of the validation samples, on the device, each time it is called; see `fit`.
        ranks: Who shares the work.

    Raises:
        InputError: The network's scores are no finite numbers.
    """
    model.eval()
    device = next(model.parameters()).device
    total = torch.zeros(len(TEMPERATURES), dtype=torch.float64, device=device)
    for scores, labels in _scores(model, val(ranks), device):
        total += losses(scores, labels)
    temperature = best_temperature(ranks.sum(total))
    counts = torch.zeros(2 * BINS + classes, dtype=torch.float64, device=device)
    for scores, labels in _scores(model, val(ranks), device):
        answers = torch.bincount(scores.argmax(1), minlength=classes)
        counts += torch.cat([count(scores, labels, temperature).flatten(), answers])
    sums = tuple(map(int, ranks.sum(counts)))
    return Calibration(temperature, sums[:BINS], sums[BINS : 2 * BINS], sums[2 * BINS :])


def calibrate_folder(model: Folder, samples: Folder) -> Calibration:
    """The same for a model that is there already, in this process alone.

    Args:
        model: A model folder.
        samples: A samples folder; the validation rows whose label the model knows are used.

    Raises:
        InputError: One of them is not usable, or no validation row has a label that the model knows.
    """
    network, card = bundle.load(model)
    source = Samples(samples, "val")
    index = source.index()
    numbers = torch.from_numpy(Alphabet(tuple(card.alphabet)).encode(index["label"].to_pylist()))
    images, _ = read_glyphs(source, index, card.size)
    known = Glyphs(torch.from_numpy(images), numbers)[numbers >= 0]
    if not len(known):
        raise InputError(f"{samples.name} has no validation sample of a character that {model.name} knows")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return calibrate(
        place(network, device), len(card.alphabet), lambda _: (part.to(device) for part in known.chunks(_ROWS)), Ranks()
    )


def _scores(model: nn.Module, val: Iterable[Glyphs], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (N, C) float32 and labels (N,), batch by batch, in the arithmetic in which hwr label will run."""
    for glyphs in val:
        with autocast(device, "auto"):
            scores = model(as_input(glyphs.images))
        yield scores.float(), glyphs.labels
