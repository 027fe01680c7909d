"""Label: images and a run to predictions, exactly one row an image."""

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tyro

from hwr import bundle, manifest, parts, schema
from hwr.bundle import Card
from hwr.errors import InputError, Reject
from hwr.predictor import Predictor
from hwr.sources import Samples, Source, fingerprint, open_images, read_glyphs
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from pipelines import cli, console
from pipelines._ray import run_parts, session

# How many of the likeliest characters a prediction names.
TOP = 5

CSV = "predictions.csv"


@dataclass(frozen=True)
class Config:
    """What to label, with which model, and where to put the predictions."""

    images: str
    """Folder of images, or a samples folder that hwr ingest made."""
    model: str
    """Run that hwr train made, or the model folder in it."""
    out: str
    """Folder for the predictions; it must be new, or the same command's."""
    split: Annotated[
        Literal["train", "val", "test"] | None,
        tyro.conf.arg(metavar="{train,val,test}", help_behavior_hint="(optional)"),
    ] = None
    """Which split of a samples folder: all of them, if it is not given."""
    workers: cli.Count = None
    """Processes that label in parallel: one a GPU, or as many as there are CPUs, if it is not given."""


def run(config: Config) -> None:
    """Label one set of images.

    Raises:
        HwrError: The images, the model or the output folder are not usable.
    """
    model, out = bundle.find(config.model), Folder.open(config.out)
    _, card = bundle.load(model)
    source = open_images(config.images, config.split)
    images = Folder.open(config.images)
    if out.path.startswith(f"{images.path}/"):
        raise InputError(f"--out {config.out} lies inside --images {config.images}: its files would be read as images")
    index = _with_truth(source, card)
    settings = {"images": images.location, "split": config.split, "model": model.location}
    inputs = {images.location: fingerprint(index), model.location: bundle.fingerprint(model)}
    if manifest.claim(out, "predictions", settings, inputs) is manifest.Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(out, 'predictions'))}")
        return
    todo = parts.cut(index, "part")
    left = parts.missing(todo, out / "predictions")
    console.milestone(f"{config.images}: {len(index):,} images, {len(left)} of {len(todo)} parts to do")
    if left:
        with session() as ready:
            cluster = ready()
            workers = cluster.workers(config.workers if config.workers is not None else cluster.gpus or None)
            job = {"source": source, "model": model, "out": out}
            gpus = min(1.0, cluster.gpus / workers)
            run_parts(left, LabelPart, job, what="images", workers=workers, gpus=gpus)
    facts = {
        **_facts(out, todo), "model": model.location, "alphabet": card.alphabet, "size": card.size,
        "images": {"location": images.location, "split": config.split},
    }  # fmt: skip
    manifest.complete(out, "predictions", facts)
    console.milestone(f"{config.out}: {_sentence(facts)}; see {CSV}")


def _with_truth(source: Source, card: Card) -> pa.Table:
    """The index of what is to be labelled, its labels kept only where they are truth.

    A folder's name is taken for the truth only where every image lies in a folder named by a character of the model:
    a folder of scans that happens to be called ``A`` must not pass for one.
    """
    index = source.index()
    if isinstance(source, Samples) or set(index["label"].to_pylist()) <= set(card.alphabet):
        return index
    return index.set_column(index.schema.get_field_index("label"), "label", pa.nulls(len(index), pa.string()))


class LabelPart:
    """Labels the images of one part and writes its predictions; runs on a worker and keeps the model loaded."""

    def __init__(self, source: Source, model: Folder, out: Folder) -> None:
        self.source, self.out = source, out
        self.predictor = Predictor(model)

    def __call__(self, part: pa.Table) -> pa.Table:
        """Write ``predictions/PART.parquet``."""
        card = self.predictor.card
        glyphs, rejects = read_glyphs(self.source, part, card.size)
        readable = np.array([reject is None for reject in rejects])
        scores = np.zeros((len(part), len(card.alphabet)), np.float32)
        scores[readable] = self.predictor(glyphs[readable])
        table = to_predictions(part, scores, rejects, card.alphabet)
        self.out.write_table(f"predictions/{part['part'][0].as_py()}.parquet", table)
        return pa.table({"rows": [len(part)]})


def to_predictions(
    part: pa.Table, scores: npt.NDArray[np.float32], rejects: list[Reject | None], alphabet: list[str]
) -> pa.Table:
    """Scores as rows of the predictions contract.

    Args:
        part: The inputs, N rows of an index.
        scores: Probabilities (N, classes) float32; rows of rejects are not looked at.
        rejects: For each input, why it could not be read, or None.
        alphabet: Labels in the order of the scores.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    ranked = np.take_along_axis(scores, order, axis=1)
    rows = []
    for key, truth, reject, best, share in zip(
        part["key"].to_pylist(), part["label"].to_pylist(), rejects, order, ranked, strict=True
    ):
        row: dict[str, Any] = {"id": key, "label": truth, "status": "unreadable" if reject else "ok"}
        if reject:
            row["reason"] = f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason
        else:
            top = [{"label": alphabet[number], "score": score} for number, score in zip(best, share, strict=True)]
            row |= {"prediction": top[0]["label"], "confidence": top[0]["score"], "top": top}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema.PREDICTIONS)


def _facts(out: Folder, todo: list[pa.Table]) -> dict[str, Any]:
    """Write the CSV, and count what the shards hold."""
    columns = ["id", "status", "prediction", "confidence", "label", "reason"]
    whole, files = parts.collect(todo, out, "predictions", columns)
    header = ["file", "prediction", "confidence", "status", "reason", "label"]
    cells = [whole["id" if name == "file" else name].to_pylist() for name in header]
    cells[2] = [None if score is None else f"{score:.4f}" for score in cells[2]]
    out.write_bytes(CSV, to_csv(header, zip(*cells, strict=True)))
    status = Counter(whole["status"].to_pylist())
    return {
        "fingerprint": manifest.fingerprint(str(files).encode(), out.read_bytes(CSV)),
        "files": files,
        "counts": {"inputs": len(whole), "ok": status["ok"], "unreadable": status["unreadable"]},
    }


def _sentence(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    return f"{counts['inputs']:,} predictions, {counts['ok']:,} ok, {counts['unreadable']:,} unreadable"


if __name__ == "__main__":
    sys.exit(cli.main(["label", *sys.argv[1:]]))
