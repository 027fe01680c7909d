"""Export: a model to one file that other programs open, which answers as the model does."""

import sys
from dataclasses import dataclass
from typing import Annotated

import pyarrow.fs as pafs

from hwr import bundle, export
from hwr.errors import OutputError
from hwr.storage import Folder
from pipelines import cli, console


@dataclass(frozen=True)
class Config:
    """Which model to export, in which form, and where to put the file."""

    model: Annotated[str, cli.Place.MODEL]
    """Run that hwr train made, or the model folder in it."""
    format: export.Format
    """ONNX, the program format of torch.export, or the weights alone in HDF5."""
    out: cli.Output
    """File to write; it must not exist yet."""


def run(config: Config) -> None:
    """Export one model.

    Raises:
        HwrError: The model is not usable, the file cannot be written or exists, or it does not answer as the model.
    """
    folder, name = Folder.file(config.out)
    if (folder / name).kind() != pafs.FileType.NotFound:
        raise OutputError(f"{config.out} exists: choose another --out, or remove it")
    model, card = bundle.load(bundle.find(config.model))
    made = export.export(model, card, config.format)
    folder.write_bytes(name, made.data)
    console.milestone(
        f"{config.out}: {card.architecture} for {len(card.alphabet)} characters, {made.kind}; the same answers on "
        f"{made.glyphs:,} real glyphs, scores within {made.difference:.1e}"
    )


if __name__ == "__main__":
    sys.exit(cli.main(["export", *sys.argv[1:]]))
