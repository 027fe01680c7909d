"""Evaluate: predictions and truth to a report that a person acts on."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import tyro

from hwr import labels_csv, listing, manifest, schema
from hwr.errors import InputError
from hwr.labels_csv import Labels
from hwr.manifest import Claim
from hwr.metrics import look_alikes
from hwr.metrics.table import classification_report
from hwr.report import illustrations, page
from hwr.report.evaluation import ANSWERS, Against, Evaluation
from hwr.report.galleries import galleries
from hwr.report.origin import Origin
from hwr.report.recognition import Report
from hwr.sources import read_by_id
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from pipelines import cli, console

SUSPECTS = "suspects.csv"
TABLE = "classification_report.txt"


@dataclass(frozen=True)
class Config:
    """Score predictions against the truth: report.html, report.json and the pictures in it."""

    predictions: cli.Input
    """Folder that hwr label made."""
    out: cli.Output
    """Folder for report.html, report.json and their pictures; it must be new, or the same command's."""
    truth: Annotated[cli.Text, cli.Place.INPUT] = None
    """CSV with columns file (or id) and label, and source, split or writer if there are figures to be had for each;
    without it the truth that rides in the predictions is used."""
    merge: cli.Text = None
    """Characters that count as one in a second set of figures, beside the strict one: 0O,1Il."""
    fold_case: tyro.conf.FlagCreatePairsOff[bool] = False
    """Let capitals and small letters count as one in that second set of figures."""
    against: Annotated[cli.Text, cli.Place.INPUT] = None
    """Report of another model on the same inputs: what changed since, and whether that may be chance."""


def run(config: Config) -> None:
    """Run the job.

    Raises:
        InputError: The predictions are missing or unfinished, the truth or the other report does not fit them.
        OutputError: The output folder belongs to something else.
    """
    folder, out = Folder.open(config.predictions), Folder.open(config.out)
    made = manifest.require(folder, "predictions")
    # All that can be wrong with what the user names is found before the output is claimed, so that it may be mended.
    predictions, truth = _read_predictions(folder, made), None
    inputs = {folder.location: made["fingerprint"]}
    if config.truth is not None:
        file = labels_csv.read_file(config.truth)
        truth = labels_csv.read_labels(file.data, file.name)
        predictions = join(predictions, truth, file.name, folder.name)
        inputs[file.location] = manifest.fingerprint(file.data)
    is_merged = config.merge is not None or config.fold_case
    names = look_alikes.groups(config.merge, config.fold_case, _labels(predictions, made)) if is_merged else None
    earlier = None
    if config.against is not None:
        earlier = _read_report(config.against, predictions)
        inputs[Folder.open(config.against).location] = earlier.fingerprint
    settings = _settings(config)
    if manifest.claim(out, "report", settings, inputs) is Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {manifest.require(out, 'report')['headline']}")
        return

    listed = listing.require(folder / "inputs")
    origin = Origin.of(folder, made["images"], listed["stamp"][0].as_py() if len(listed) else None)
    report = Report.of(predictions, made["alphabet"], {**origin.groups, **(truth.groups if truth else {})})
    against = Against.of(report, earlier.answers, earlier.location) if earlier else None
    evaluation = Evaluation.of(report, origin, names, against)
    facts = _facts(folder, made, settings)
    files = _write(out, evaluation, facts, listed, made)
    line = headline(evaluation)
    mark = manifest.fingerprint(out.read_bytes(ANSWERS))
    manifest.complete(out, "report", {"headline": line, "fingerprint": mark, "files": files})
    console.milestone(f"{config.out}/report.html: {line}")


def join(predictions: pa.Table, truth: Labels, name: str, folder: str) -> pa.Table:
    """Give predictions their truth by id; one that the truth does not name has none.

    Args:
        predictions: A table of `hwr.schema.PREDICTIONS`; truth that rides in it is replaced.
        truth: What a file says of them.
        name: The name of the truth, for messages.
        folder: The name of the predictions, for messages.

    Raises:
        InputError: The truth names an input that was not predicted.
    """
    ids = predictions["id"].to_pylist()
    unknown = sorted(truth.labels.keys() - set(ids))
    if unknown:
        raise InputError(
            f"{name} names {len(unknown)} of {len(truth.labels)} inputs that are not in {folder}, such as "
            f"{unknown[0]!r}: ids there look like {ids[0]!r}"
            if ids
            else f"{name} names {len(unknown)} inputs, but {folder} has no predictions at all"
        )
    place = schema.PREDICTIONS.get_field_index("label")
    labels = pa.array(map(truth.labels.get, ids), pa.string())
    return predictions.set_column(place, schema.PREDICTIONS.field(place), labels)


def headline(evaluation: Evaluation) -> str:
    """The report in one line."""
    report = evaluation.report
    if report.scores is None:
        counts = ", ".join(f"{count:,} {status}" for status, count in report.statuses.items())
        return f"{counts}; no answer has a known truth"
    share = report.scores.share
    low, high = share.interval
    parts = [f"accuracy {share.accuracy:.2%} ({low:.2%} to {high:.2%}) over {share.rows:,} answers"]
    parts += [f"{count:,} {status}" for status, count in report.statuses.items() if status != "ok" and count]
    without = len(report.rows) - report.with_truth
    parts += [f"{without:,} without truth"] if without else []
    parts += [f"{evaluation.merged.share.accuracy:.2%} with look-alikes merged"] if evaluation.merged else []
    if evaluation.against is not None:
        found = evaluation.against.comparison
        parts.append(f"{found.fixed:,} mended and {found.broken:,} broken since")
    return ", ".join(parts)


def _settings(config: Config) -> dict[str, Any]:
    """What decides the report."""
    named = {"predictions": config.predictions, "truth": config.truth, "against": config.against}
    places = {name: None if place is None else Folder.open(place).location for name, place in named.items()}
    return {**places, "merge": config.merge, "fold_case": config.fold_case}


def _read_predictions(folder: Folder, made: dict[str, Any]) -> pa.Table:
    tables = [folder.read_table(file["name"]) for file in made["files"]]
    found = sum(table.num_rows for table in tables)
    expected = sum(file["rows"] for file in made["files"])
    if found != expected:
        raise InputError(f"{folder.name} is damaged: it has {found} rows and its manifest says {expected}; label anew")
    whole = pa.concat_tables([schema.PREDICTIONS.empty_table(), *tables])
    read = pc.not_equal(whole["status"], "unreadable")
    sure = pc.fill_null(whole["confidence"].filter(read), float("nan")).to_numpy()
    if not ((sure >= 0) & (sure <= 1 + 1e-6)).all():
        raise InputError(
            f"{folder.name} has confidences that are no probabilities, as a model gives whose weights are no numbers: "
            "train it anew, and label anew"
        )
    return whole


def _labels(predictions: pa.Table, made: dict[str, Any]) -> list[str]:
    """All characters that occur: the model's, and those of the truth that it does not know."""
    outside = set(predictions["label"].unique().drop_null().to_pylist()) - set(made["alphabet"])
    return [*made["alphabet"], *sorted(outside)]


@dataclass(frozen=True)
class _Earlier:
    """An earlier report: where it lies, its fingerprint and its answers."""

    location: str
    fingerprint: str
    answers: pa.Table


def _read_report(location: str, predictions: pa.Table) -> _Earlier:
    folder = Folder.open(location)
    made = manifest.require(folder, "report")
    answers = folder.read_table(ANSWERS)
    if not {"id", "label", "prediction"} <= {
        each.name for each in answers.schema if each.type in (pa.string(), pa.large_string())
    }:
        raise InputError(f"--against {location}: its {ANSWERS} is not what hwr evaluate writes; make that report anew")
    known = predictions["id"].filter(pc.is_valid(predictions["label"]))
    if not pc.any(pc.is_in(answers["id"], known.combine_chunks())).as_py():
        raise InputError(
            f"--against {location} has none of the {len(known):,} inputs whose truth is known here: compare reports "
            "of the same images"
        )
    return _Earlier(folder.location, made["fingerprint"], answers)


def _facts(folder: Folder, made: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    images = made["images"]
    split = f", split {images['split']}" if images["split"] else ""
    facts = {
        "Predictions": folder.location,
        "Model": made["model"],
        "Images": f"{images['location']}{split}",
        "Truth": settings["truth"] or "rides in the predictions",
        "Alphabet": " ".join(made["alphabet"]),
        "Merged": ", ".join([*([settings["merge"]] if settings["merge"] else []), *["cases"] * settings["fold_case"]]),
        "Held against": settings["against"],
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return {name: value for name, value in facts.items() if value}


def _write(
    out: Folder, evaluation: Evaluation, facts: dict[str, str], listed: pa.Table, made: dict[str, Any]
) -> list[str]:
    """Write everything but the manifest, and say which files that is."""
    report = evaluation.report
    chosen = galleries(evaluation)
    glyphs = read_by_id(made["images"], listed, chosen.ids(), made["size"])
    drawn = illustrations.pictures(evaluation)
    files = {f"{picture.name}.png": picture.light for picture in drawn} | {
        f"{name}.png": data for name, data in illustrations.sheets(chosen, glyphs).items()
    }
    if report.scores is not None:
        files[TABLE] = classification_report(report.scores).encode()
        doubted = evaluation.suspected()
        columns = (doubted[name] for name in ("id", "label", "suggestion", "confidence", "margin"))
        files[SUSPECTS] = to_csv(["file", "label", "suggestion", "confidence", "margin"], zip(*columns, strict=True))
    for name, data in files.items():
        out.write_bytes(name, data)
    out.write_table(ANSWERS, evaluation.answers())
    out.write_json("report.json", {"evaluated": facts, **evaluation.to_json()})
    out.write_bytes("report.html", page.render(evaluation, facts, drawn, chosen, glyphs).encode())
    return ["report.html", "report.json", ANSWERS, *files]


if __name__ == "__main__":
    sys.exit(cli.main(["evaluate", *sys.argv[1:]]))
