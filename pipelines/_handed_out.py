"""What hwr label hands out beside its predictions, where a flag asks for it; refused before anything is done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwr import listing, manifest, parts
from hwr.errors import InputError
from hwr.outputs import label_studio, rows
from hwr.outputs.label_studio import file_address
from hwr.outputs.sort_into import sort_into, sorted_already
from hwr.sources import FILES, Source
from hwr.sources.raw import Files
from hwr.storage import Folder
from pipelines import console


@dataclass(frozen=True)
class HandOut:
    """The flags that say where, and whose predictions they are.

    Attributes:
        sort_into: Folder for the images, one folder inside it a character; None for none.
        label_studio: File for tasks; None for none.
        owner: What these predictions are; see `owner`.
    """

    sort_into: str | None
    label_studio: str | None
    owner: str

    def check(self, out: Folder, images: Folder, source: Source) -> None:
        """Refuse what cannot be written, or would be read as an input later.

        Args:
            out: The folder of the labelling.
            images: What is labelled.
            source: The same, opened.

        Raises:
            HwrError: One of the places cannot be had.
        """
        taken = [("--images", images, "its files would be read as images")]
        _refuse_within("--out", out, taken)
        taken.append(("--out", out, "that folder is for hwr label alone"))
        if self.sort_into is not None:
            target = _opened("--sort-into", self.sort_into)
            _refuse_within("--sort-into", target, taken)
            taken.append(("--sort-into", target, "hwr ingest would read its files as images"))
            _refuse_within("--out", out, taken[-1:])
            sorted_already(target, self.owner)
        if self.label_studio is not None:
            if not isinstance(source, FILES):
                raise InputError("--label-studio shows image files: give --images a folder, a list of files or a file")
            _refuse_within("--label-studio", _opened("--label-studio", self.label_studio), taken)
            label_studio.check(self.label_studio)

    def write(self, out: Folder, source: Source) -> None:
        """Write what was asked for.

        Args:
            out: The folder of a complete labelling.
            source: What was labelled.

        Raises:
            HwrError: Something cannot be written, or the predictions are damaged.
        """
        made = manifest.require(out, "predictions")
        names = [file["name"] for file in made["files"]]
        if self.sort_into is not None:
            read = Files(source, parts.split(listing.require(out / "inputs")))
            done = sort_into(out, names, Folder.open(self.sort_into), self.owner, read)
            lost = f", {done.lost:,} could not be read" if done.lost else ""
            console.milestone(f"{self.sort_into}: {done.copied:,} images copied{lost}")
        if self.label_studio is not None and isinstance(source, FILES):
            tables, above = rows.tables(out, names, label_studio.COLUMNS), source.folder
            label_studio.write(
                tables, self.label_studio, made["alphabet"], made["model"], lambda key: file_address(above, key)
            )
            beside = "and how to show them in the .xml beside it"
            console.milestone(f"{self.label_studio}: tasks for Label Studio, {beside}")


def owner(out: Folder, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """What the predictions in a folder are: they stay the same when inputs come, and are others with other settings.

    Args:
        out: The folder of the labelling.
        settings: What decides the predictions.
        inputs: Fingerprints of the models.
    """
    return f"{out.location} {manifest.fingerprint(json.dumps([settings, inputs], sort_keys=True).encode())}"


def _opened(flag: str, location: str) -> Folder:
    if not location:
        raise InputError(f"{flag} is empty: was a variable not set?")
    return Folder.open(location)


def _refuse_within(flag: str, place: Folder, taken: list[tuple[str, Folder, str]]) -> None:
    for other, folder, why in taken:
        if place.is_within(folder):
            raise InputError(f"{flag} {place.name} lies inside {other} {folder.name}: {why}")
