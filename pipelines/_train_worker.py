"""What each training worker does: load or stream samples, go on from the last checkpoint, tell of epochs, calibrate."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import torch
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.train.torch import get_device
from torch import nn

from hwr import augment, bundle, models
from hwr.alphabet import Alphabet
from hwr.augment import AugmentConfig
from hwr.device import as_glyphs, as_input, place
from hwr.errors import HwrError, InputError
from hwr.schema import images_from_arrow, images_to_arrow
from hwr.storage import Folder
from hwr.training import Epoch, Feed, Glyphs, InMemory, Ranks, Recipe, Training, calibrate, checkpoints, fit
from hwr.training.state import Partial
from hwr.training.stream import Streamed, Stretch
from hwr.training.transfer import adopt
from pipelines._board import Board

# Rows that are validated at a time.
_VAL_ROWS = 1024

# Of the memory that a worker may take for samples, half is the shuffle buffer; the rest is on its way there.
_BUFFER_SHARE = 0.5

# Tasks of one worker that read for it at the same time.
_READERS = 2

# Tasks take some tenths of a second each, so that one is late by a few hundredths at most.
_REST_S = 0.05


@dataclass(frozen=True)
class Piece:
    """The rows of one split in one shard.

    Attributes:
        folder: The samples folder.
        name: The shard.
        rows: How many rows of the split have a label of the alphabet.
    """

    folder: Folder
    name: str
    rows: int


@dataclass(frozen=True)
class Job:
    """What each worker is told.

    Attributes:
        pieces: The shards, by split.
        counts: Training samples of each character (C,) int64.
        out: The run.
        architecture: A name in `hwr.models`.
        alphabet: Labels in the order of the model's outputs.
        size: Side of the glyphs, in pixels.
        recipe: Settings of the loop.
        augment: Settings of the augmentation.
        is_streamed: Whether samples are read anew each epoch.
        memory: Bytes that a worker may take for samples.
        init: The model to start from, as `hwr.bundle.find` finds it.
        keep: How many of the best epochs' checkpoints to keep.
    """

    pieces: dict[str, tuple[Piece, ...]]
    counts: torch.Tensor
    out: Folder
    architecture: str
    alphabet: Alphabet
    size: int
    recipe: Recipe
    augment: AugmentConfig
    is_streamed: bool
    memory: int
    init: str | None
    keep: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        rows = int(self.counts.sum())
        return rows // min(rows, self.recipe.batch_size)

    @property
    def checkpoints(self) -> Folder:
        """Where the run keeps its checkpoints."""
        return self.out / "checkpoints"


@dataclass(frozen=True)
class Failure:
    """What ended a worker, for the user; no other try would mend it."""

    text: str


@dataclass(frozen=True)
class Started:
    """The workers are there, and begin where the last checkpoint ends.

    Attributes:
        history: The epochs that are done.
        step: Steps that are done of the next one.
        workers: How many there are.
        confusion: Counts (C, C) int64 of the last validation, see `Training`; empty where there was none.
    """

    history: tuple[Epoch, ...]
    step: int
    workers: int
    confusion: torch.Tensor


def train_worker(config: dict[str, Any]) -> None:
    """Train until the job is over or was asked to stop.

    Args:
        config: The `Job` as ``job``, the `Board` as ``board``, and what must be seen as ``shared``, a `Shared`.
    """
    job, board = config["job"], config["board"]
    if board.was_stopped():
        return  # started anew after a failure that the command knows of
    try:
        config["shared"].require()
        _train(job, board)
    except HwrError as error:
        board.give_up(Failure(str(error)))
        if Ranks.current().world > 1:
            raise  # Ray ends the ranks that wait for this one, and starts all anew, who find that the job is given up
        # Of one rank alone, Ray need not hear.


def _train(job: Job, board: Board) -> None:
    # Logical CPUs may outnumber those of the machine; threads that share a core wait for each other.
    torch.set_num_threads(min(torch.get_num_threads(), os.cpu_count() or 1))
    device = get_device()
    ranks = Ranks.current()
    training = start(job, device)
    feed, val = _samples(job, device)
    if ranks.is_first:
        board.tell(Started(tuple(training.history), training.partial.step, ranks.world, training.confusion))
    for event in fit(training, feed, val, job.recipe, job.augment, board.is_stopping):
        if not ranks.is_first:
            continue
        if isinstance(event, Epoch):
            _check_counts(job, training)
        if isinstance(event, Epoch) or event.save:
            checkpoints.save(job.checkpoints, training, job.keep)
        board.tell((event, training.confusion) if isinstance(event, Epoch) else event)
    # Only the first rank asks: one that heard of a stop later would wait for the others for ever.
    was_stopped = ranks.is_first and board.was_stopped()
    if training.is_over(job.recipe) and not ranks.from_first([was_stopped], device)[0]:
        training.average.load_state_dict(training.best)
        calibration = calibrate(training.average, len(training.confusion), val, ranks)
        if ranks.is_first:
            board.leave(calibration)


def _check_counts(job: Job, training: Training) -> None:
    counted, wanted = int(training.confusion.sum()), sum(piece.rows for piece in job.pieces["val"])
    if counted != wanted:
        raise RuntimeError(f"validation counted {counted} of {wanted} samples")


def start(job: Job, device: torch.device) -> Training:
    """A run at its last checkpoint, or at its beginning."""
    training = Training.start(place(first_model(job), device), job.recipe)
    state, _ = checkpoints.latest(job.checkpoints, device)
    if state is not None:
        training.load_state_dict(state)
    if job.is_streamed and training.partial.world != Ranks.current().world:
        # Other ranks read other stretches, so what is left of the epoch is not known: it is trained anew.
        training.partial = Partial()
    return training


def first_model(job: Job) -> nn.Module:
    """The network before its first step.

    Raises:
        InputError: The glyphs are too small for it, or the model to start from does not fit.
    """
    torch.manual_seed(job.recipe.seed)
    model = models.build(job.architecture, job.size, len(job.alphabet))
    if job.init is not None:
        other, card = bundle.load(bundle.find(job.init))
        if card.size != job.size:
            raise InputError(f"--init reads glyphs of {card.size} pixels, but the data has {job.size}")
        adopt(model, job.alphabet.labels, other.state_dict(), card.alphabet)
    return model


def _samples(job: Job, device: torch.device) -> tuple[Feed, Callable[[Ranks], Iterable[Glyphs]]]:
    """Training samples, and a function that gives a rank's share of the validation samples."""
    if job.is_streamed:
        return _streamed(job, device), lambda ranks: _read_val(job, device, ranks)
    train, val = (_load(job, split, device) for split in ("train", "val"))
    chunks = list(val.chunks(_VAL_ROWS))
    return InMemory(train, job.counts, job.recipe.seed), lambda ranks: chunks[ranks.share]


def _load(job: Job, split: str, device: torch.device) -> Glyphs:
    """All samples of a split on the device, in no more memory than they need there."""
    rows = sum(piece.rows for piece in job.pieces[split])
    images = torch.empty(rows, job.size, job.size, dtype=torch.uint8, device=device)
    labels = torch.empty(rows, dtype=torch.int64, device=device)
    first = 0
    for part in read(job.pieces[split], split, job.alphabet):
        images[first : first + len(part)], labels[first : first + len(part)] = part.images, part.labels
        first += len(part)
    return Glyphs(images, labels)


def _read_val(job: Job, device: torch.device, ranks: Ranks) -> Iterator[Glyphs]:
    for glyphs in read(job.pieces["val"][ranks.share], "val", job.alphabet):
        for chunk in glyphs.chunks(_VAL_ROWS):
            yield chunk.to(device)


def read(pieces: Sequence[Piece], split: str, alphabet: Alphabet) -> Iterator[Glyphs]:
    """Read one split of one shard after the other, leaving out labels that the alphabet lacks."""
    for piece in pieces:
        table = piece.folder.read_table(piece.name, ["label", "image"], split=split)
        numbers = alphabet.encode(table["label"].to_pylist())
        images = images_from_arrow(table["image"])[numbers >= 0]
        if len(images) != piece.rows:
            raise InputError(f"{piece.folder.name}/{piece.name} has changed since training began")
        yield Glyphs(torch.from_numpy(np.array(images)), torch.from_numpy(numbers[numbers >= 0]))


def _streamed(job: Job, device: torch.device) -> Streamed:
    pieces = job.pieces["train"]
    row = job.size * job.size + 8
    is_varied = job.augment.where == "data"
    return Streamed(
        tuple(piece.rows for piece in pieces), job.counts, job.recipe.seed, is_varied,
        max(1, int(job.memory * _BUFFER_SHARE / row)), device, lambda stretches: _read_by_tasks(job, stretches),
    )  # fmt: skip


def _read_by_tasks(job: Job, stretches: Sequence[Stretch]) -> Iterable[Glyphs]:
    """Read, and augment where that is wanted, in Ray Data tasks; in order, so that a restart repeats it."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.custom_execution_callback_classes = [_Unhurried]
    context.execution_options.resource_limits = ray.data.ExecutionResources.for_limits(
        cpu=_READERS, object_store_memory=job.memory * (1 - _BUFFER_SHARE)
    )
    rows = [
        pa.table({name: [getattr(each, name)] for name in ("piece", "start", "stop", "seed")}) for each in stretches
    ]
    # Varying is work, for CPUs that the training leaves. Reading is little, and done on the spot beside the training.
    is_work = job.augment.where == "data"
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    tasks = ray.data.from_blocks(rows).map_batches(
        _read_stretch,
        fn_kwargs={"job": replace(job, init=None)},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=_READERS),
        num_cpus=1 if is_work else 0,
        label_selector=None if is_work else here,
    )
    for table in tasks.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        images = np.array(images_from_arrow(table["image"]))
        yield Glyphs(torch.from_numpy(images), torch.from_numpy(table["label"].to_numpy().copy()))


class _Unhurried(ExecutionCallback):
    """Lets the thread that schedules Ray Data's tasks rest between two looks at them.

    While what is read waits to be trained on, it looks without a pause (Ray 2.60), and takes half of the speed from the
    training in the same process.
    """

    def on_execution_step(self, _executor: object) -> None:
        time.sleep(_REST_S)


def _read_stretch(row: pa.Table, job: Job) -> pa.Table:
    stretch = Stretch(**row.to_pylist()[0])
    (glyphs,) = read(job.pieces["train"][stretch.piece : stretch.piece + 1], "train", job.alphabet)
    glyphs = glyphs[stretch.start : stretch.stop]
    if job.augment.where == "data":
        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(stretch.seed)
        variation = augment.draw(len(glyphs), job.size, job.augment, generator)
        glyphs = replace(glyphs, images=as_glyphs(augment.vary(as_input(glyphs.images), variation)))
    return pa.table({"image": images_to_arrow(glyphs.images.numpy()), "label": glyphs.labels.numpy()})
