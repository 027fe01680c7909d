"""What a training run leaves for people while it goes on: the live line, history, TensorBoard, MLflow."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from hwr import augment
from hwr.calibration import Calibration
from hwr.device import as_glyphs, as_input
from hwr.errors import HwrError
from hwr.report import events
from hwr.report.pictures.confusion import confusion_picture
from hwr.report.pictures.variations import sheet
from hwr.storage import Folder
from hwr.training import Epoch, Progress, checkpoints, why_over
from pipelines import console
from pipelines._metrics import Epochs
from pipelines._mlflow import Tracker
from pipelines._train_worker import Failure, Job, Started, read

HISTORY = "history.jsonl"

# The sheet of variations shows so many characters at most, each so many times.
SHOWN, VARIATIONS = 24, 10


class Records:
    """Takes what the workers tell.

    Nothing that was written before is read: what is done, the workers know from their checkpoint.

    Attributes:
        is_running: Whether the workers have begun.
        calibration: Of the best epoch's weights, once the training is over.
    """

    def __init__(self, job: Job, tracker: Tracker, show: console.Advance) -> None:
        """Begin with nothing: the workers say what is done already.

        Args:
            job: The training.
            tracker: Also hears of each epoch.
            show: Told of steps since it was last told, and of how it goes; see `console.progress`.
        """
        self.job, self.tracker, self.show = job, tracker, show
        self.meter = Epochs("train", job.out)
        self.history: list[Epoch] = []
        self.steps = job.steps
        self.is_running = False
        self.calibration: Calibration | None = None
        self.shown = 0
        self._show(0, "starting")

    def add(self, news: Sequence[Any]) -> int:
        """Take what the workers have told, and say how much it was.

        Raises:
            HwrError: One of them failed, for a reason that no other try would mend.
        """
        self.is_running = self.is_running or bool(news)
        for item in news:
            if isinstance(item, Failure):
                kept = "; earlier checkpoints are kept" if checkpoints.names(self.job.checkpoints) else ""
                raise HwrError(f"training stopped: {item.text}{kept}")
            if isinstance(item, Started):
                self._start(item)
            elif isinstance(item, Progress):
                self.meter.progress(item)
                self._show((item.epoch - 1) * self.steps + item.step, _progress_line(item))
            elif isinstance(item, Calibration):
                self.calibration = item
                self._say_early()
                console.milestone(f"calibrated: {_calibration_line(item)}")
            else:
                self._end_epoch(*item)
        return len(news)

    def _start(self, started: Started) -> None:
        """Go on with the records of the epochs that are done, and make up for those that a loss has left out."""
        self.history = list(started.history)
        for epoch in self.history:
            if not events.has(self.job.out, epoch.epoch):
                is_last = epoch is self.history[-1]
                self._write_events(epoch, started.confusion if is_last else None)
            self.tracker.epoch(asdict(epoch))
        if self.history:
            write_history(self.job.out, self.history)
            self.meter.epoch(self.history[-1])
        self._show(len(self.history) * self.steps + started.step, "", is_work=False)
        if self.history or started.step:
            within = f" and {started.step} of {self.steps} steps of the next" if started.step else ""
            console.milestone(f"going on after epoch {len(self.history)}{within}, {started.workers} worker(s)")

    def _end_epoch(self, epoch: Epoch, confusion: torch.Tensor) -> None:
        self.history.append(epoch)
        write_history(self.job.out, self.history)
        self._write_events(epoch, confusion)
        self.tracker.epoch(asdict(epoch))
        self.meter.epoch(epoch)
        self._show(epoch.epoch * self.steps, "")
        console.milestone(_epoch_line(epoch, self.job.recipe.epochs))

    def _say_early(self) -> None:
        """Say why there were fewer epochs than was asked for."""
        if len(self.history) < self.job.recipe.epochs:
            why = why_over(self.history, self.job.recipe, sum(epoch.seconds for epoch in self.history))
            console.milestone(f"that was enough: {why}")

    def _write_events(self, epoch: Epoch, confusion: torch.Tensor | None) -> None:
        pictures = {}
        if confusion is not None:
            pictures["confusion"] = confusion_picture(confusion.numpy(), self.job.alphabet.labels)
        if epoch.epoch == 1:
            pictures["augmented samples"] = variations(self.job)
        events.write(self.job.out, asdict(epoch), pictures)

    def _show(self, done: int, note: str, *, is_work: bool = True) -> None:
        self.show(done - self.shown, note, is_work=is_work)
        self.meter.show(hwr_done_ratio=done / (self.steps * self.job.recipe.epochs))
        self.shown = done


def write_history(out: Folder, history: Sequence[Epoch]) -> None:
    """Write one JSON line an epoch. The whole file is written anew, so that no restart leaves a gap or a double."""
    lines = [json.dumps(asdict(epoch)) for epoch in history]
    out.write_bytes(HISTORY, ("\n".join(lines) + "\n").encode())


def variations(job: Job) -> bytes:
    """Draw one glyph of each character as the network sees it: as it is, and varied; a PNG file."""
    found: dict[int, torch.Tensor] = {}
    for glyphs in read(job.pieces["train"], "train", job.alphabet):
        for number, image in zip(glyphs.labels.tolist(), glyphs.images, strict=True):
            found.setdefault(number, image)
        if len(found) == len(job.alphabet):
            break
    shown = sorted(found)[:: -(-len(found) // SHOWN)]
    originals = torch.stack([found[number] for number in shown])
    repeated = originals.repeat_interleave(VARIATIONS, dim=0)
    generator = torch.Generator().manual_seed(job.recipe.seed)
    variation = augment.draw(len(repeated), job.size, job.augment, generator)
    varied = augment.vary(as_input(repeated), variation)
    if variation.shares is not None:
        varied = augment.mixup(varied, variation.shares)
    pictures = as_glyphs(varied).view(len(shown), VARIATIONS, job.size, job.size)
    return sheet(originals.numpy(), pictures.numpy(), [job.alphabet.labels[number] for number in shown])


def _progress_line(progress: Progress) -> str:
    return (
        f"epoch {progress.epoch}: loss {progress.loss:.4f}, accuracy {progress.accuracy:.2%}, "
        f"{progress.images_per_second:,.0f} images/s"
    )


def _epoch_line(epoch: Epoch, epochs: int) -> str:
    return (
        f"epoch {epoch.epoch}/{epochs}: loss {epoch.train_loss:.4f}, val loss {epoch.val_loss:.4f}, "
        f"val accuracy {epoch.val_accuracy:.2%}{' (best)' if epoch.best else ''}, "
        f"{epoch.images_per_second:,.0f} images/s"
    )


def _calibration_line(calibration: Calibration) -> str:
    return (
        f"temperature {calibration.temperature:.2f}, expected calibration error {calibration.ece:.2%} on "
        f"{sum(calibration.rows):,} validation samples"
    )
