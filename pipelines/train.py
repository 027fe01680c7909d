"""Train: samples folders to a run, data-parallel on Ray Train, with a checkpoint after each epoch."""

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import ray.train
import torch
import tyro
from ray.train.torch import TorchTrainer, get_device

import hwr
from hwr import bundle, manifest, models
from hwr.alphabet import Alphabet
from hwr.augment import AugmentConfig
from hwr.bundle import Card
from hwr.device import place
from hwr.errors import HwrError, InputError
from hwr.schema import images_from_arrow
from hwr.storage import Folder
from hwr.training import Epoch, Glyphs, Recipe, Training, fit
from pipelines import cli, console
from pipelines._ray import Cluster, cause, session

ARCHITECTURE = "glyphnet"
HISTORY = "history.jsonl"
STATE = "state.pt"

# A worker or machine may be lost this often before the run gives up; each time it goes on from its last checkpoint.
MAX_FAILURES = 3


@dataclass(frozen=True)
class Config:
    """What to train on, how, and where to put the run."""

    data: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]],
        tyro.conf.arg(metavar="DIR [DIR ...]", help_behavior_hint="(required, may be repeated)"),
    ]
    """Samples folders that hwr ingest made; several are trained on together."""
    out: str
    """Folder for the run; it must be new, or the same command's."""
    alphabet: cli.Text = None
    """Characters to tell apart: digits, A-Z, az35, emnist47 or english62 (see the README), or the characters
    themselves. All that the data holds, if it is not given; samples of other characters are left out."""
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = field(default_factory=Recipe)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    workers: cli.Count = None
    """Training workers: one a GPU, or one a machine where there is none, if it is not given."""


@dataclass(frozen=True)
class Job:
    """What each worker is told."""

    data: tuple[Folder, ...]
    out: Folder
    alphabet: Alphabet
    size: int
    recipe: Recipe
    augment: AugmentConfig


def run(config: Config) -> None:
    """Train one model.

    Raises:
        HwrError: The data, the flags or the output folder are not usable, or training failed.
    """
    folders = tuple(Folder.open(name) for group in config.data for name in group)
    if not folders:
        raise InputError("--data names no samples folder")
    facts = [manifest.require(folder, "samples") for folder in folders]
    job = _job(config, folders, facts)
    data = {folder.location: entry["fingerprint"] for folder, entry in zip(folders, facts, strict=True)}
    settings = {
        "alphabet": list(job.alphabet.labels), "recipe": asdict(config.recipe), "augment": asdict(config.augment),
    }  # fmt: skip
    if manifest.claim(job.out, "run", settings, data) is manifest.Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(job.out, 'run'))}")
        return
    with session() as ready:
        state = _train(config, job, ready())
    result = _finish(job, state, data, settings)
    console.milestone(f"{config.out}: {_sentence(result)}")


def _job(config: Config, folders: tuple[Folder, ...], facts: list[dict[str, Any]]) -> Job:
    """Check that the data sets fit together and settle the alphabet."""
    sizes = {entry["size"] for entry in facts}
    if len(sizes) > 1:
        raise InputError(f"--data folders hold glyphs of different sizes ({', '.join(map(str, sorted(sizes)))} pixels)")
    present = {label for entry in facts for label in entry["counts"]["labels"]}
    if not present:
        raise InputError(f"{folders[0].name} has no labelled samples to train on")
    alphabet = Alphabet.parse(config.alphabet) if config.alphabet is not None else Alphabet.of(present)
    named = ", ".join(folder.name for folder in folders)
    for split in ("train", "val"):
        if not any(entry["counts"]["splits"][split] for entry in facts):
            advice = "ingest anew with a larger --val-share" if split == "val" else "it may be an official test set"
            raise InputError(f"{named} has no samples in its {split} split: {advice}")
        labels = (alphabet.encode(table["label"].to_pylist()) for table in _tables(folders, split, ["label"]))
        # A list, so that every shard is opened: a damaged one is better found now than by each worker.
        if not sum([int((numbers >= 0).sum()) for numbers in labels]):
            raise InputError(f"{named} has no samples of these characters in its {split} split: ingest more of them")
    uncovered = [label for label in alphabet.labels if label not in present]
    if uncovered:
        raise InputError(f"the data has no sample of {' '.join(uncovered)}: leave it out of --alphabet or add data")
    return Job(folders, Folder.open(config.out), alphabet, sizes.pop(), config.recipe, config.augment)


def _train(config: Config, job: Job, cluster: Cluster) -> dict[str, Any]:
    """Run the workers, print each epoch as it ends, and return the last checkpoint's state."""
    wanted = config.workers if config.workers is not None else cluster.gpus or cluster.nodes
    workers = cluster.workers(wanted, gpus_each=1 if cluster.gpus else 0)
    cpus = cluster.cpus_each(workers)
    where = "GPU" if cluster.gpus else f"{cpus} CPUs"
    console.milestone(
        f"training {ARCHITECTURE} on {len(job.alphabet)} characters for up to {job.recipe.epochs} epochs: "
        f"{workers} worker(s) with {where} each, global batch {job.recipe.batch_size}"
    )
    done = len(_history(job.out))
    if done:
        console.milestone(f"going on after epoch {done}, or from the checkpoint before it")
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers,
            use_gpu=cluster.gpus > 0,
            resources_per_worker={"CPU": cpus, "GPU": 1 if cluster.gpus else 0},
        ),
        run_config=ray.train.RunConfig(
            name="checkpoints",
            storage_path=job.out.path,
            storage_filesystem=job.out.fs,
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),  # type: ignore[call-arg] # V2 takes it
        ),
    )
    try:
        result = _fit(trainer, job)
    except ray.train.TrainingFailedError as error:
        raise HwrError(f"training stopped: {cause(error)}; the same command goes on from the last epoch") from error
    if result.checkpoint is None:
        raise HwrError(f"training left no checkpoint in {job.out.name}: remove the folder and run the command again")
    return _read_state(result.checkpoint, torch.device("cpu"))


def _read_state(checkpoint: ray.train.Checkpoint, device: torch.device) -> dict[str, Any]:
    with checkpoint.as_directory() as folder:
        state: dict[str, Any] = torch.load(Path(folder, STATE), map_location=device, weights_only=True)
    return state


def train_worker(config: dict[str, Any]) -> None:
    """The loop on each worker: load, go on from the last checkpoint if there is one, report every epoch."""
    job: Job = config["job"]
    device = get_device()
    torch.manual_seed(job.recipe.seed)
    model = place(models.build(ARCHITECTURE, job.size, len(job.alphabet)), device)
    training = Training.start(model, job.recipe)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        training.load_state_dict(_read_state(checkpoint, device))
    train, val = (load_split(job.data, name, job.alphabet, device) for name in ("train", "val"))
    is_first = ray.train.get_context().get_world_rank() == 0
    for epoch in fit(training, train, val, job.recipe, job.augment):
        if not is_first:
            ray.train.report(asdict(epoch))
            continue
        with tempfile.TemporaryDirectory() as folder:
            torch.save(training.state_dict(), Path(folder, STATE))
            ray.train.report(asdict(epoch), checkpoint=ray.train.Checkpoint.from_directory(folder))
        write_history(job.out, training.history)


def load_split(folders: tuple[Folder, ...], split: str, alphabet: Alphabet, device: torch.device) -> Glyphs:
    """Load one split of several samples folders into memory, leaving out labels that the alphabet lacks."""
    images, labels = [], []
    for table in _tables(folders, split, ["label", "image"]):
        numbers = alphabet.encode(table["label"].to_pylist())
        images.append(images_from_arrow(table["image"])[numbers >= 0])
        labels.append(numbers[numbers >= 0])
    return Glyphs(
        torch.from_numpy(np.concatenate(images)).to(device), torch.from_numpy(np.concatenate(labels)).to(device)
    )


def _tables(folders: tuple[Folder, ...], split: str, columns: list[str]) -> Iterator[pa.Table]:
    """What the shards have of one split, one after the other."""
    for folder in folders:
        for entry in manifest.require(folder, "samples")["files"]:
            yield folder.read_table(entry["name"], columns, split=split)


def write_history(out: Folder, history: list[Epoch]) -> None:
    """Write one JSON line an epoch. The whole file is written anew, so that no restart leaves a gap or a double."""
    lines = [json.dumps(asdict(epoch)) for epoch in history]
    out.write_bytes(HISTORY, ("\n".join(lines) + "\n").encode())


def _fit(trainer: TorchTrainer, job: Job) -> ray.train.Result:
    """Run the trainer beside this thread, which shows one line, and one step of the bar, for each epoch.

    In the main thread Ray Train would take Ctrl-C for itself and end the process without a word.
    """
    outcome: Future[ray.train.Result] = Future()

    def work() -> None:
        try:
            outcome.set_result(trainer.fit())
        except BaseException as error:  # noqa: BLE001 - raised again where the outcome is asked for
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    shown = len(_history(job.out))
    with console.progress("epochs", job.recipe.epochs) as advance:
        advance(shown, "starting")
        while True:
            over = bool(wait([outcome], timeout=0.5).done)
            for epoch in _history(job.out)[shown:]:
                advance(1, f"{epoch['images_per_second']:,.0f} images/s")
                console.milestone(_epoch_line(epoch, job.recipe.epochs))
                shown += 1
            if over:
                return outcome.result()


def _history(out: Folder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_bytes(HISTORY).splitlines()] if out.has(HISTORY) else []


def _epoch_line(epoch: dict[str, Any], epochs: int) -> str:
    return (
        f"epoch {epoch['epoch']}/{epochs}: loss {epoch['train_loss']:.4f}, val loss {epoch['val_loss']:.4f}, "
        f"val accuracy {epoch['val_accuracy']:.2%}{' (best)' if epoch['best'] else ''}, "
        f"{epoch['images_per_second']:,.0f} images/s"
    )


def _finish(job: Job, state: dict[str, Any], data: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Turn the last checkpoint into what users take away: history, labels, model and manifest."""
    history = [Epoch(**epoch) for epoch in state["history"]]
    best = next(epoch for epoch in reversed(history) if epoch.best)
    metrics = {
        "val_accuracy": best.val_accuracy, "val_loss": best.val_loss, "epoch": best.epoch, "epochs": len(history),
        "selected": "highest validation accuracy, lowest loss among equals",
    }  # fmt: skip
    card = Card(
        ARCHITECTURE, list(job.alphabet.labels), job.size, bundle.PREPROCESSING,
        [{"location": location, "fingerprint": mark} for location, mark in data.items()], metrics, settings,
        {"hwr": hwr.__version__, "torch": torch.__version__, "ray": ray.__version__},
    )  # fmt: skip
    write_history(job.out, history)
    bundle.save(job.out / "model", state["best"], card)
    job.out.write_json("labels.json", dict(enumerate(card.alphabet)))
    facts = {"fingerprint": bundle.fingerprint(job.out / "model"), "metrics": metrics}
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
