"""A job's own numbers for Ray's metrics agents, which hand them to Prometheus.

Only the command's process records them. Ray sends them to the agent of its machine about every ten seconds and once
more when the command ends; where there is no agent, as on a laptop, they stay where they are.
"""

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from ray.util.metrics import Counter, Gauge

from hwr.storage import Folder

if TYPE_CHECKING:  # it brings PyTorch, which ingest does without
    from hwr.training import Epoch, Progress

# Prometheus itself names every series it reads with `job` and `instance`: a label of ours must have another name. A
# run is known by its folder's last name, so there are as many series as runs, and no path or bucket is told to
# everyone who may look at a dashboard.
LABELS = ("command", "run")

# Ray puts `ray_` before each name.
COUNTERS = {
    "hwr_rows_total": "Inputs that are done, rejects included",
    "hwr_rejects_total": "Inputs that could not be read",
}
GAUGES = {
    "hwr_done_ratio": "Share of the running command's work that is done, from 0 to 1; an early stop ends below 1",
    "hwr_images_per_second": "Images a second: since the command began, or in the running epoch",
    "hwr_epoch": "Epoch that is being trained, or the last one",
    "hwr_train_loss_nats": "Mean training loss, of the running epoch so far or of the last one",
    "hwr_val_loss_nats": "Mean validation loss of the last epoch",
    "hwr_val_accuracy_ratio": "Share of validation samples that the last epoch's model names rightly, from 0 to 1",
}


@cache  # Ray counts in the object
def _counter(name: str) -> Counter:
    return Counter(name, COUNTERS[name], LABELS)


@cache
def _gauge(name: str) -> Gauge:
    return Gauge(name, GAUGES[name], LABELS)


class Meter:
    """Tells one command's numbers; Ray must run."""

    def __init__(self, command: str, out: Folder) -> None:
        """Begin with nothing told.

        Args:
            command: The job's name on the command line.
            out: Its output folder, whose last name tells runs apart.
        """
        # Ray's core takes ASCII only, and an error here would be the job's.
        self.labels = {"command": command, "run": out.base.encode("ascii", "backslashreplace").decode()}

    def count(self, name: str, more: int) -> None:
        """Add to one of `COUNTERS`."""
        if more:  # Ray refuses zero
            _counter(name).inc(more, self.labels)

    def show(self, **values: float) -> None:
        """Set some of `GAUGES`."""
        for name, value in values.items():
            _gauge(name).set(float(value), self.labels)


class Parts(Meter):
    """Numbers of a command that does its work in parts."""

    def __init__(self, command: str, out: Folder, rows: int) -> None:
        """Begin to take the time.

        Args:
            command: As for `Meter`.
            out: As for `Meter`.
            rows: Inputs that are to be done.
        """
        super().__init__(command, out)
        self.rows, self.done, self.begun = rows, 0, time.monotonic()

    def add(self, row: dict[str, Any]) -> None:
        """Take note of a part that is done: one row with ``rows`` and ``rejects``, how many of these are no images."""
        self.done += int(row["rows"])
        self.count("hwr_rows_total", int(row["rows"]))
        self.count("hwr_rejects_total", int(row["rejects"]))
        rate = self.done / max(time.monotonic() - self.begun, 1e-9)
        self.show(hwr_done_ratio=self.done / self.rows, hwr_images_per_second=rate)


class Epochs(Meter):
    """Numbers of a training."""

    def progress(self, progress: "Progress") -> None:
        """Take note of how the running epoch goes."""
        self.show(
            hwr_epoch=progress.epoch,
            hwr_train_loss_nats=progress.loss,
            hwr_images_per_second=progress.images_per_second,
        )

    def epoch(self, epoch: "Epoch") -> None:
        """Take note of an epoch that is over."""
        self.show(
            hwr_epoch=epoch.epoch,
            hwr_train_loss_nats=epoch.train_loss,
            hwr_images_per_second=epoch.images_per_second,
            hwr_val_loss_nats=epoch.val_loss,
            hwr_val_accuracy_ratio=epoch.val_accuracy,
        )
