"""Train: samples folders to a run, data-parallel on Ray Train, with a checkpoint after each epoch."""

import itertools
import math
import sys
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import ray.train
import torch
import tyro

import hwr
from hwr import bundle, manifest
from hwr.alphabet import Alphabet
from hwr.augment import AugmentConfig
from hwr.bundle import Card
from hwr.calibration import Calibration
from hwr.errors import HwrError, InputError
from hwr.report.pictures.curves import learning_curves
from hwr.storage import Folder
from hwr.training import Recipe, checkpoints
from hwr.training.state import read_history
from pipelines import cli, console
from pipelines._mlflow import tracking
from pipelines._records import variations, write_history
from pipelines._train_group import RAY, Wanted, train_group
from pipelines._train_worker import Job, Piece, first_model


@dataclass(frozen=True)
class Config:
    """What to train on, how, and where to put the run."""

    data: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="DIR [DIR ...]", help_behavior_hint="(required, may be repeated)"),
        cli.Place.INPUT,
    ]
    """Samples folders that hwr ingest made; several are trained on together."""
    out: cli.Output
    """Folder for the run; it must be new, or the same command's."""
    alphabet: cli.Text = None
    """Characters to tell apart: digits, A-Z, az35, emnist47 or english62 (see the README), or the characters
    themselves. All that the data holds, if it is not given; samples of other characters are left out."""
    model: Annotated[
        Literal["glyphnet", "baseline", "vgg5"] | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(optional)")
    ] = None
    """Network: glyphnet (small and residual), baseline (four convolutions) or vgg5 (large and slow). That of --init,
    or glyphnet, if it is not given."""
    init: Annotated[cli.Text, cli.Place.MODEL] = None
    """Run or model to start from; it may have another alphabet."""
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = field(default_factory=Recipe)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    workers: cli.Count = None
    """Training workers: one a GPU, or one a machine where there is none, if it is not given."""
    min_workers: cli.Count = None
    """Go on with as few as these when machines are lost, and with more again when they are back: 1 on several machines,
    if it is not given."""
    memory: Annotated[float | None, tyro.conf.arg(metavar="GB", help_behavior_hint="(optional)")] = None
    """Memory that each worker may take for samples, in GB; what does not fit is streamed. Half of the machine's, if it
    is not given."""
    keep: int = 2
    """How many checkpoints of the best epochs are kept, beside the latest."""
    mlflow: Annotated[cli.Text, cli.Place.SERVER] = None
    """MLflow server to log the run to, http://... or sqlite:///FILE; needs pip install 'hwr[mlflow]'."""
    preview: bool = False
    """Only draw how glyphs are varied: a picture named like --out with -preview.png at its end."""


def run(config: Config) -> None:
    """Train one model.

    Raises:
        HwrError: The data, the flags or the output folder are not usable, or training failed.
    """
    # In one order, whatever that of the flags, so that samples come in the same one.
    given = (Folder.open(name) for group in config.data for name in group)
    folders = tuple(sorted(given, key=lambda folder: folder.location))
    if not folders:
        raise InputError("--data names no samples folder")
    for one, other in itertools.pairwise(folders):
        if one.location == other.location:
            raise InputError(f"--data names {one.name} twice")
    facts = [manifest.require(folder, "samples") for folder in folders]
    job = _job(config, folders, facts)
    if config.preview:
        folder, name = Folder.file(config.out)
        folder.write_bytes(f"{name}-preview.png", variations(job))
        console.milestone(f"{(folder / f'{name}-preview.png').name}: some glyphs, each beside variations of it")
        return
    data = {folder.location: entry["fingerprint"] for folder, entry in zip(folders, facts, strict=True)}
    settings = {
        "alphabet": list(job.alphabet.labels), "model": job.architecture, "recipe": asdict(config.recipe),
        "augment": asdict(config.augment), "init": bundle.fingerprint(bundle.find(job.init)) if job.init else None,
    }  # fmt: skip
    if manifest.claim(job.out, "run", settings, data) is manifest.Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(job.out, 'run'))}")
        return
    with tracking(config.mlflow, job.out, settings) as tracker:
        calibration = train_group(job, folders, Wanted(config.workers, config.min_workers, config.memory), tracker)
        # By the names that the user gave them: the card goes places where this machine's folders mean nothing.
        named = [{"location": folder.name, "fingerprint": data[folder.location]} for folder in folders]
        result = _finish(job, named, settings, calibration)
        tracker.finish(job.out)
    console.milestone(f"{config.out}: {_sentence(result)}")


def _job(config: Config, folders: tuple[Folder, ...], facts: list[dict[str, Any]]) -> Job:
    """Check that the data sets fit together, and settle alphabet and architecture."""
    sizes = {entry["size"] for entry in facts}
    if len(sizes) > 1:
        raise InputError(f"--data folders hold glyphs of different sizes ({', '.join(map(str, sorted(sizes)))} pixels)")
    present = {label for entry in facts for label in entry["counts"]["labels"]}
    if not present:
        raise InputError(f"{folders[0].name} has no labelled samples to train on")
    alphabet = Alphabet.parse(config.alphabet) if config.alphabet is not None else Alphabet.of(present)
    uncovered = [label for label in alphabet.labels if label not in present]
    if uncovered:
        raise InputError(f"the data has no sample of {' '.join(uncovered)}: leave it out of --alphabet or add data")
    pieces, counts = _pieces(folders, facts, alphabet)
    if config.keep < 0:
        raise InputError(f"--keep must be at least 0, not {config.keep}")
    init = bundle.find(config.init) if config.init is not None else None
    known = bundle.load(init)[1].architecture if init is not None else None
    if config.memory is not None and not 1e-4 <= config.memory < math.inf:
        raise InputError(f"--memory must be a number from 0.0001 up, not {config.memory}")
    if known and config.model and known != config.model:
        raise InputError(f"--init {config.init} is a {known}, not a {config.model}: leave --model out")
    job = Job(
        pieces, counts, Folder.open(config.out), config.model or known or "glyphnet", alphabet, sizes.pop(),
        config.recipe, config.augment, is_streamed=False, memory=0,
        init=bundle.address(init) if init else None, keep=config.keep,
    )  # fmt: skip
    first_model(job)  # what does not fit together is better found now than by each worker
    return job


def _pieces(
    folders: tuple[Folder, ...], facts: list[dict[str, Any]], alphabet: Alphabet
) -> tuple[dict[str, tuple[Piece, ...]], torch.Tensor]:
    """Count what each shard has of the alphabet, and say what is left out.

    Every shard is opened: a damaged one is better found now than by each worker.
    """
    pieces: dict[str, list[Piece]] = {"train": [], "val": []}
    counts = torch.zeros(len(alphabet), dtype=torch.int64)
    left_out = 0
    for folder, entry in zip(folders, facts, strict=True):
        for file in entry["files"]:
            numbers, splits = _rows(folder, file, alphabet)
            for name, found in pieces.items():
                known = numbers[(splits == name) & (numbers >= 0)]
                left_out += int(((splits == name) & (numbers < 0)).sum())
                if len(known):
                    found.append(Piece(folder, file["name"], len(known)))
                if name == "train":
                    counts += torch.from_numpy(np.bincount(known, minlength=len(alphabet)))
    named = ", ".join(folder.name for folder in folders)
    for split, found in pieces.items():
        if not found:
            advice = "ingest anew with a larger --val-share" if split == "val" else "it may be an official test set"
            raise InputError(f"{named} has no samples of these characters in its {split} split: {advice}")
    missing = [label for label, count in zip(alphabet.labels, counts.tolist(), strict=True) if not count]
    if missing:
        raise InputError(f"{named} has no sample of {' '.join(missing)} in its train split: add data or leave it out")
    if left_out:
        console.milestone(f"{left_out:,} samples are left out: they have no label, or one outside the alphabet")
    return {split: tuple(found) for split, found in pieces.items()}, counts


def _rows(
    folder: Folder, file: dict[str, Any], alphabet: Alphabet
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_]]:
    """Class number and split of each row of a shard."""
    table = folder.read_table(file["name"], ["label", "split"])
    if (len(table), folder.bytes(file["name"])) != (file["rows"], file["bytes"]):
        raise InputError(f"{folder.name}/{file['name']} is not the file that was ingested: ingest anew")
    return alphabet.encode(table["label"].to_pylist()), np.array(table["split"].to_pylist(), str)


def _finish(job: Job, data: list[dict[str, str]], settings: dict[str, Any], calibration: Calibration) -> dict[str, Any]:
    """Turn the last checkpoint into what users take away: history, labels, model and manifest."""
    state, damaged = checkpoints.latest(job.checkpoints, torch.device("cpu"))
    if state is None or damaged:
        raise HwrError(f"{job.out.name} has no whole checkpoint of its last epoch: run the same command again")
    history = read_history(state)
    best = next(epoch for epoch in reversed(history) if epoch.best)
    metrics = {
        "val_accuracy": best.val_accuracy, "val_loss": best.val_loss, "val_f1": best.val_f1, "epoch": best.epoch,
        "epochs": len(history), "selected": "highest validation accuracy, lowest loss among equals",
    }  # fmt: skip
    card = Card(
        job.architecture, list(job.alphabet.labels), job.size, bundle.PREPROCESSING,
        data, metrics, settings, calibration.to_json(),
        versions={"hwr": hwr.__version__, "torch": torch.__version__, "ray": ray.__version__},
    )  # fmt: skip
    write_history(job.out, history)
    job.out.write_bytes("curves.png", learning_curves([asdict(epoch) for epoch in history]))
    bundle.save(job.out / "model", state["best"], card)
    job.out.write_json("labels.json", dict(enumerate(card.alphabet)))
    facts = {"fingerprint": bundle.fingerprint(job.out / "model"), "metrics": metrics}
    job.out.remove_folder(RAY)
    manifest.complete(job.out, "run", facts)
    return facts


def _sentence(facts: dict[str, Any]) -> str:
    metrics = facts["metrics"]
    return (
        f"validation accuracy {metrics['val_accuracy']:.2%} in epoch {metrics['epoch']} of {metrics['epochs']}; "
        "the model is in model/"
    )


if __name__ == "__main__":
    sys.exit(cli.main(["train", *sys.argv[1:]]))
