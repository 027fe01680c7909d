"""What TensorBoard shows of a training: one file of events for each epoch.

TensorBoard reads the files of a folder in the order of their names as if they were one. So nothing is ever appended,
which object stores cannot do, and an epoch that is trained again after a restart replaces its own file: there are
neither gaps nor doubles.
"""

import io
import time
from collections.abc import Mapping
from typing import Any

from PIL import Image

from hwr.storage import Folder

NAME = "tensorboard/events.out.tfevents.{:010d}.hwr"
VERSION = "brain.Event:2"  # from this version on, a reader drops no step that came before another
SCALARS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/val": "val_accuracy",
    "f1/val": "val_f1",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}
"""The name in TensorBoard of each figure of an epoch."""


def has(folder: Folder, epoch: int) -> bool:
    """Whether an epoch has been written."""
    return folder.has(NAME.format(epoch))


def write(folder: Folder, record: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
    """Write what one epoch came to.

    Args:
        folder: The run; the file goes into ``tensorboard/`` below.
        record: The epoch, as a line of ``history.jsonl``.
        pictures: Name to PNG file.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    # Imported where it is needed: the writer takes a quarter of a second, and most of what reads this package never
    # writes an event.
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415

    values = [Summary.Value(tag=tag, simple_value=record[name]) for tag, name in SCALARS.items()]
    for tag, png in pictures.items():
        width, height = Image.open(io.BytesIO(png)).size
        picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        values.append(Summary.Value(tag=tag, image=picture))
    now = time.time()
    data = io.BytesIO()
    writer = RecordWriter(data)
    writer.write(Event(wall_time=now, file_version=VERSION).SerializeToString())
    writer.write(Event(wall_time=now, step=record["epoch"], summary=Summary(value=values)).SerializeToString())
    folder.write_bytes(NAME.format(record["epoch"]), data.getvalue())
