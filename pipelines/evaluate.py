"""The job that scores predictions: predictions and truth in, report.html, report.json and their pictures out."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from hwr import listing, manifest, schema, sources
from hwr.errors import InputError
from hwr.labels_csv import read_file, read_labels
from hwr.manifest import Claim
from hwr.report import page
from hwr.report.recognition import Report
from hwr.storage import Folder
from pipelines import cli, console


@dataclass(frozen=True)
class Config:
    """Score predictions against the truth: report.html, report.json and the pictures in it."""

    predictions: str
    """Folder that hwr label made."""
    out: str
    """Folder for report.html, report.json and their pictures; it must be new, or the same command's."""
    truth: cli.Text = None
    """CSV with columns file (or id) and label; without it the truth that rides in the predictions is used."""


def run(config: Config) -> None:
    """Run the job.

    Raises:
        InputError: The predictions are missing or unfinished, or the truth does not fit them.
        OutputError: The output folder belongs to something else.
    """
    folder, out = Folder.open(config.predictions), Folder.open(config.out)
    made = manifest.require(folder, "predictions")
    truth = None if config.truth is None else read_file(config.truth)
    # All that can be wrong with the truth is found before the output is claimed, so that a mended file may use it.
    predictions = _read_predictions(folder, made)
    if truth is not None:
        predictions = join(predictions, read_labels(truth.data, truth.name).labels, truth.name, folder.name)
    settings = {"predictions": folder.location, "truth": truth and truth.location}
    inputs = {folder.location: made["fingerprint"]}
    if truth is not None:
        inputs[truth.location] = manifest.fingerprint(truth.data)
    if manifest.claim(out, "report", settings, inputs) is Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {manifest.require(out, 'report')['headline']}")
        return

    report = Report.of(predictions, made["alphabet"])
    facts = _facts(folder, made, truth.location if truth else None)
    pictures = page.pictures(report)
    for picture in pictures:
        out.write_bytes(f"{picture.name}.png", picture.light)
    out.write_json("report.json", {"evaluated": facts, **report.to_json()})
    listed = listing.require(folder / "inputs")
    html = page.render(
        report, facts, pictures, lambda ids: sources.read_by_id(made["images"], listed, ids, made["size"])
    )
    out.write_bytes("report.html", html.encode())

    line = headline(report)
    files = ["report.html", "report.json", *(f"{picture.name}.png" for picture in pictures)]
    manifest.complete(out, "report", {"headline": line, "files": files})
    console.milestone(f"{config.out}/report.html: {line}")


def join(predictions: pa.Table, truth: dict[str, str | None], name: str, folder: str) -> pa.Table:
    """Give predictions their truth by id; one that the truth does not name has none.

    Args:
        predictions: A table of `hwr.schema.PREDICTIONS`; truth that rides in it is replaced.
        truth: Id to label.
        name: The name of the truth, for messages.
        folder: The name of the predictions, for messages.

    Raises:
        InputError: The truth names an input that was not predicted.
    """
    ids = predictions["id"].to_pylist()
    unknown = sorted(truth.keys() - set(ids))
    if unknown:
        raise InputError(
            f"{name} names {len(unknown)} of {len(truth)} inputs that are not in {folder}, such as {unknown[0]!r}: "
            f"ids there look like {ids[0]!r}"
            if ids
            else f"{name} names {len(unknown)} inputs, but {folder} has no predictions at all"
        )
    place = schema.PREDICTIONS.get_field_index("label")
    return predictions.set_column(place, schema.PREDICTIONS.field(place), pa.array(map(truth.get, ids), pa.string()))


def headline(report: Report) -> str:
    """The report in one line."""
    if report.scores is None:
        return f"{report.statuses['ok']:,} answers, of which none has a known truth"
    share = report.scores.share
    low, high = share.interval
    line = f"accuracy {share.accuracy:.2%} ({low:.2%} to {high:.2%}) over {share.rows:,} answers"
    left = [f"{count:,} {status}" for status, count in report.statuses.items() if status != "ok" and count]
    without = len(report.rows) - report.with_truth
    return ", ".join([line, *left, *([f"{without:,} without truth"] if without else [])])


def _read_predictions(folder: Folder, made: dict[str, Any]) -> pa.Table:
    tables = [folder.read_table(file["name"]) for file in made["files"]]
    found = sum(table.num_rows for table in tables)
    expected = sum(file["rows"] for file in made["files"])
    if found != expected:
        raise InputError(f"{folder.name} is damaged: it has {found} rows and its manifest says {expected}; label anew")
    return pa.concat_tables([schema.PREDICTIONS.empty_table(), *tables])


def _facts(folder: Folder, made: dict[str, Any], truth: str | None) -> dict[str, str]:
    images = made["images"]
    split = f", split {images['split']}" if images["split"] else ""
    return {
        "Predictions": folder.location,
        "Model": made["model"],
        "Images": f"{images['location']}{split}",
        "Truth": truth or "rides in the predictions",
        "Alphabet": " ".join(made["alphabet"]),
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


if __name__ == "__main__":
    sys.exit(cli.main(["evaluate", *sys.argv[1:]]))
