"""Label: images and models to predictions, exactly one row an image."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
import tyro

from hwr import bundle, listing, manifest, parts
from hwr.bundle import Card
from hwr.errors import InputError
from hwr.outputs import rows, table
from hwr.predictor import load
from hwr.report import labelled
from hwr.report.tally import COLUMNS, Tally, write_summary
from hwr.sources import Samples, open_images, read_by_id
from hwr.storage import Folder
from pipelines import cli, console
from pipelines._cluster import cluster
from pipelines._growth import grown
from pipelines._handed_out import HandOut, owner
from pipelines._label_worker import Answers, LabelPart
from pipelines._listed import is_whole, write_down
from pipelines._metrics import Parts
from pipelines._parts import run_parts
from pipelines._shared import Shared


@dataclass(frozen=True)
class Config:
    """What to label, with which model, and where to put the predictions."""

    images: cli.Input
    """Folder of images, a zip or tar archive of them, a list of files (.txt or .csv), Parquet files with images, or a
    samples folder that hwr ingest made; as a path or a URI such as s3://bucket/scans."""
    model: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="MODEL", help_behavior_hint="(required, may be repeated)"),
        cli.Place.MODEL,
    ]
    """Run that hwr train made, the model folder in it, or the name of a model that ships with hwr (emnist47). Several
    vote: the mean of their probabilities counts."""
    out: cli.Output
    """Folder for the predictions; it must be new, or the same command's."""
    split: Annotated[
        Literal["train", "val", "test"] | None,
        tyro.conf.arg(metavar="{train,val,test}", help_behavior_hint="(optional)"),
    ] = None
    """Which split of a samples folder: all of them, if it is not given."""
    only: cli.Text = None
    """Characters to choose from, where more is known of the images than the model knows: digits, A-Z or ABC."""
    min_confidence: cli.Share = None
    """Abstain from an answer that is less sure than this, from 0 to 1."""
    target_accuracy: cli.Share = None
    """Abstain as rarely as the model's validation samples allow for this share of right answers, such as 0.99."""
    top_k: int = 5
    """How many of the likeliest characters each prediction names."""
    tta: tyro.conf.FlagCreatePairsOff[bool] = False
    """Look at each image in seven slightly different ways (test-time augmentation): more accurate, seven times as
    slow."""
    sort_into: Annotated[cli.Text, cli.Place.OUTPUT] = None
    """Folder to copy the images into, one folder inside it a character; hwr ingest --format image-folder reads it."""
    label_studio: Annotated[cli.Text, cli.Place.OUTPUT] = None
    """File for tasks that Label Studio imports, the least sure first; how it shows them is written beside it, as
    .xml. The README says what Label Studio needs to show images of this machine."""
    workers: cli.Count = None
    """Processes that label in parallel: as many as there are CPUs, and up to eight a GPU, if it is not given."""


def run(config: Config) -> None:
    """Label one set of images.

    Raises:
        HwrError: The images, the models or the output folder are not usable.
    """
    if not config.model:
        raise InputError("--model names no model")
    models, out = tuple(bundle.find(name) for name in config.model), Folder.open(config.out)
    loaded, kept = load(models, config.only)
    cards = [card for _, card in loaded]
    alphabet = [cards[0].alphabet[number] for number in kept]
    if config.top_k < 1:
        raise InputError(f"--top-k must be at least 1, not {config.top_k}")
    least = _least(config, cards)
    source, images = open_images(config.images, config.split), Folder.open(config.images)
    settings: dict[str, Any] = {
        "images": images.location, "split": config.split, "model": [bundle.address(model) for model in models],
        "only": config.only, "min_confidence": least, "top_k": config.top_k, "tta": config.tta,
    }  # fmt: skip
    inputs = dict(zip(settings["model"], map(bundle.fingerprint, models), strict=True))
    extra = HandOut(config.sort_into, config.label_studio, owner(out, settings, inputs))
    extra.check(out, images, source)
    index = source.index()  # before the claim: what cannot be listed leaves no folder behind
    claim = manifest.claim(out, "predictions", settings, inputs)
    new = write_down(index, out, None if isinstance(source, Samples) else alphabet, images)
    del index  # a million inputs are large; they are written down
    if claim is manifest.Claim.COMPLETE and not new and is_whole(out):
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(out, 'predictions'))}")
    else:
        told = f" ({new:,} of them new)" if claim is not manifest.Claim.NEW and new else ""
        about = _about(settings, alphabet, cards[0].size)
        answers = Answers(tuple(settings["model"]), config.only, config.top_k, least, config.tta)
        # A model that ships with hwr is on each machine, wherever it lies there.
        reads = [images, *(model for model in models if bundle.address(model) == model.location)]
        facts = _make(config, reads, {"source": source, "answers": answers, "out": out}, about, told)
        console.milestone(f"{config.out}: {_sentence(facts)}; see {table.NAME} and {labelled.NAME}")
    extra.write(out, source)


def _about(settings: dict[str, Any], alphabet: list[str], size: int) -> dict[str, Any]:
    """What the manifest and the pages say of the labelling."""
    return {
        "model": ", ".join(settings["model"]), "alphabet": alphabet, "size": size,
        "min_confidence": settings["min_confidence"],
        "images": {"location": settings["images"], "split": settings["split"]},
    }  # fmt: skip


def _least(config: Config, cards: list[Card]) -> float:
    """From which confidence on answers are given."""
    if config.target_accuracy is None:
        least = config.min_confidence or 0.0
        if not 0 <= least <= 1:
            raise InputError(f"--min-confidence must be from 0 to 1, not {least}")
        return least
    if config.min_confidence is not None:
        raise InputError("give --min-confidence or --target-accuracy, not both")
    if len(cards) > 1 or config.only or config.tta:
        raise InputError(
            "--target-accuracy is known of one model as it was validated: leave out --only, --tta and further models, "
            "or give --min-confidence"
        )
    calibration = cards[0].calibrated()
    if calibration is None:
        raise InputError(f"{config.model[0]} has no calibration: train it anew, or give --min-confidence")
    found = calibration.threshold(config.target_accuracy)
    console.milestone(
        f"answers are given from a confidence of {found.min_confidence:.1%} on: of the validation samples that is "
        f"{found.coverage:.1%}, and {found.accuracy:.2%} of these are right"
    )
    return found.min_confidence


def _make(config: Config, reads: list[Folder], job: dict[str, Any], about: dict[str, Any], told: str) -> dict[str, Any]:
    """Label what is left of all that is listed, and complete the folder: what its manifest says."""
    out = job["out"]
    while True:
        state = listing.stamps(out / "inputs")
        listed = listing.require(out / "inputs")
        todo = parts.split(listed)
        left = parts.missing(todo, out / "predictions", id="key", label="label")
        console.milestone(f"{config.images}: {len(listed):,} images{told}, {len(left)} of {len(todo)} parts to do")
        if left:
            _label(left, job, reads, config.workers)
        facts = _finish(out, listed, about)
        if listing.stamps(out / "inputs") == state:  # else another run of the same command has found more
            manifest.complete(out, "predictions", facts)
            return facts


def _label(left: list[pa.Table], job: dict[str, Any], reads: list[Folder], wanted: int | None) -> None:
    """Have workers do the parts that are left."""
    shared = Shared.of(job["out"], reads, left[0]["file"].to_pylist())
    there = cluster()
    workers, _ = there.shared_gpus(wanted)
    there = grown(there, min(len(left), workers), gpus_each=0, at_least=1)
    workers, gpus = there.shared_gpus(wanted)
    meter = Parts("label", job["out"], sum(map(len, left)))
    run_parts(left, LabelPart, job, what="images", workers=workers, shared=shared, gpus=gpus, told=meter.add)


def _finish(out: Folder, listed: pa.Table, about: dict[str, Any]) -> dict[str, Any]:
    """Write what people read, and say what there is."""
    files = parts.files(parts.split(listed), out, "predictions")
    names = [file["name"] for file in files]
    table.write(rows.tables(out, names, table.COLUMNS), out)
    tally = Tally.of(rows.tables(out, names, COLUMNS), about["alphabet"])
    drawn = labelled.pictures(tally)
    page = labelled.render(
        tally, _shown(about), drawn, lambda ids: read_by_id(about["images"], listed, ids, about["size"])
    )
    out.write_bytes(labelled.NAME, page.encode())
    write_summary(out, tally, about)
    marks = [manifest.fingerprint(out.read_bytes(name)).encode() for name in names]
    return {
        **about, "fingerprint": manifest.fingerprint(*marks), "files": files,
        "counts": {"inputs": tally.inputs, **tally.statuses},
    }  # fmt: skip


def _shown(about: dict[str, Any]) -> dict[str, str]:
    """What the page says of the labelling: no date, so that a job that was interrupted ends as an undisturbed one."""
    split = f", split {about['images']['split']}" if about["images"]["split"] else ""
    limit = {"Answers from a confidence of": f"{about['min_confidence']:.1%}"} if about["min_confidence"] else {}
    return {
        "Images": f"{about['images']['location']}{split}",
        "Model": about["model"],
        "Alphabet": " ".join(about["alphabet"]),
        **limit,
    }


def _sentence(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    abstained = f"{counts['abstained']:,} abstained, " if counts["abstained"] else ""
    return f"{counts['inputs']:,} predictions, {counts['ok']:,} ok, {abstained}{counts['unreadable']:,} unreadable"


if __name__ == "__main__":
    sys.exit(cli.main(["label", *sys.argv[1:]]))
