"""Training in one process without Ray, ours and as one would write it: ``python -m tests.benchmarks.loops NAME …``.

Each prints one line of JSON. Needs PyTorch and NumPy, and PyArrow only where it reads samples.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr import augment, models
from hwr.augment import AugmentConfig
from hwr.device import as_input, autocast, place
from hwr.training import Epoch, Glyphs, InMemory, Recipe, Training, fit
from tests.benchmarks.real import CLASSES, ROWS, SIDE, emnist47r

BATCH = 256
ROUNDS = 3

# What the usual layers of augmentation do: turns, shifts and zoom.
USUAL = AugmentConfig(rotation=10.8, shift=0.1, zoom=0.1, shear=0, elastic=0, thickness=0)


def real(rows: int, device: torch.device) -> Glyphs:
    """Training glyphs on a device, which stay there."""
    images, labels = emnist47r(rows)
    return Glyphs(torch.from_numpy(images), torch.from_numpy(labels)).to(device)


def ours(name: str, train: Glyphs, val: Glyphs, epochs: int, augmentation: AugmentConfig) -> Iterator[Epoch]:
    """Train by `hwr.training.fit`, a network of this name and as many classes as the labels have."""
    device = train.labels.device
    classes = int(train.labels.max()) + 1
    recipe = Recipe(epochs=epochs, batch_size=BATCH, patience=0)
    training = Training.start(place(models.build(name, train.images.shape[-1], classes), device), recipe)
    feed = InMemory(train, torch.bincount(train.labels, minlength=classes).cpu(), recipe.seed)
    chunks = list(val.chunks(1024))
    events = fit(training, feed, lambda ranks: chunks[ranks.share], recipe, augmentation)
    return (event for event in events if isinstance(event, Epoch))


def bare(name: str, glyphs: Glyphs, augmentation: AugmentConfig) -> Iterator[float]:
    """The same without anything around it: a plain loop, which yields the images per second of each epoch."""
    device = glyphs.labels.device
    model = place(models.build(name, SIDE, CLASSES), device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.02, fused=True)
    generator = torch.Generator(device).manual_seed(0)
    while True:
        start, total = time.perf_counter(), torch.zeros((), device=device)
        order = torch.randperm(len(glyphs), device=device)
        steps = len(order) // BATCH
        for rows in order[: steps * BATCH].split(BATCH):
            batch = glyphs[rows]
            variation = augment.draw(BATCH, SIDE, augmentation, generator)
            images = augment.vary(as_input(batch.images), variation)
            with autocast(device, "auto"):
                scores = model(images)
            loss = F.cross_entropy(scores.float(), batch.labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()  # waits for the device
        yield steps * BATCH / (time.perf_counter() - start)


def turns(name: str, glyphs: Glyphs, augmentation: AugmentConfig) -> tuple[float, float]:
    """Images per second of ours and of the bare loop, an epoch each in turns after one to warm up; the best of each."""
    plain = bare(name, glyphs, augmentation)
    epochs = ours(name, glyphs, glyphs[:BATCH], 1 + ROUNDS, augmentation)
    pairs = [(epoch.images_per_second, next(plain)) for epoch in epochs][1:]
    return max(mine for mine, _ in pairs), max(theirs for _, theirs in pairs)


def alone() -> float:
    """Images per second of ours, after an epoch to warm up."""
    glyphs = real(ROWS, torch.device("cpu"))
    _, timed = ours("baseline", glyphs, glyphs[:BATCH], 2, USUAL)
    return timed.images_per_second


def beside() -> tuple[float, float]:
    """Images per second of ours and of the bare loop."""
    return turns("baseline", real(ROWS, torch.device("cpu")), USUAL)


def samples(folder: str) -> float:
    """An epoch of GlyphNet on a samples folder, as a short script would run it: its accuracy."""
    import numpy as np  # noqa: PLC0415 - only this function needs it, and PyArrow, which not every machine has
    import pyarrow.parquet as pq  # noqa: PLC0415

    from hwr.schema import images_from_arrow  # noqa: PLC0415

    table = pq.read_table(Path(folder, "samples"))
    _, numbers = np.unique(np.array(table["label"].to_pylist()), return_inverse=True)
    images, splits = images_from_arrow(table["image"]), np.array(table["split"].to_pylist())
    train, val = (
        Glyphs(torch.from_numpy(images[splits == split]), torch.from_numpy(numbers[splits == split]))
        for split in ("train", "val")
    )
    (epoch,) = ours("glyphnet", train, val, 1, AugmentConfig())
    return epoch.val_accuracy


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
