"""Ingest: raw files to a samples folder of Parquet shards, with splits, rejects, an overview and a manifest."""

import sys
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import pyarrow as pa
import tyro

from hwr import manifest, parts, shards, splits
from hwr.corrections import Corrections, changed_ids
from hwr.errors import HwrError, InputError
from hwr.sources import Format, Raw, Source, fingerprint, open_source
from hwr.splits import SplitConfig
from hwr.storage import Folder
from pipelines import _ingested, cli, console
from pipelines._cluster import cluster
from pipelines._growth import grown
from pipelines._ingested import LEAKS, OVERVIEW
from pipelines._metrics import Parts
from pipelines._parts import run_parts
from pipelines._shared import Shared


@dataclass(frozen=True)
class Config:
    """What to ingest, how to read it, and where to put it."""

    source: cli.Input
    """The raw files: a folder or a file, as a path or a URI such as s3://bucket/scans."""
    format: Format
    """How the source is laid out: folders of images, a CSV of image files, tables of pixels (EMNIST's are transposed),
    MNIST's or EMNIST's files, NumPy arrays, or Parquet."""
    out: cli.Output
    """Folder for the samples; it must be new, or the same command's."""
    images: Annotated[cli.Text, cli.Place.INPUT] = None
    """image-csv: the folder, zip or tar that the paths in the CSV start from, if it is not beside the CSV."""
    alphabet: cli.Text = None
    """Which character each class number means (A-Z: class 0 is A; if it is not given: digits), or which labels to
    take: digits, A-Z, az35 (1-9, A-Z), emnist47, english62 (0-9, A-Z, a-z), or the characters themselves."""
    mapping: Annotated[cli.Text, cli.Place.INPUT] = None
    """A file that maps class numbers to characters: EMNIST's lines of numbers and code points, or JSON. The EMNIST
    formats find one beside the data by themselves."""
    image_column: cli.Text = None
    """image-csv, parquet: the name of the column with the images, if it is an unusual one."""
    label_column: cli.Text = None
    """The tables: the name of the column with the labels, if it is an unusual one."""
    writer_pattern: cli.Text = None
    """Image files: a regular expression whose first group finds the writer in a path, such as -([0-9]+)[.]png$, for
    the samples' writer column and --split-by writer."""
    corrections: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="CSV", help_behavior_hint="(optional, may be repeated)"),
        cli.Place.INPUT,
    ] = ()
    """A CSV with columns file (or id) and label, such as the corrections.csv of a report: the inputs that it names get
    these labels, and every sample keeps its id and split. Leave the other flags as they were, and give a new --out. Of
    several, the last one that names an input counts."""
    size: int = 28
    """Side of the glyphs, in pixels."""
    split: tyro.conf.OmitArgPrefixes[SplitConfig] = field(default_factory=SplitConfig)
    drop_leaks: tyro.conf.FlagCreatePairsOff[bool] = False
    """Leave out training samples that are also in val or test, bit for bit, and validation samples that are in test."""
    max_reject_share: float = 0.05
    """The job fails if a larger share of the inputs than this cannot become samples."""
    workers: cli.Count = None
    """Processes that read in parallel: as many as there are CPUs, if it is not given."""


def run(config: Config) -> None:
    """Ingest one source.

    Raises:
        HwrError: The source, the flags or the output folder are not usable, or too much of the source is not.
    """
    source, out = _open(config)
    corrections = _corrections(config)
    index = _index(config, source, corrections)
    done = out.has(manifest.MANIFEST)
    inputs = _claim(config, out, index, corrections)
    if done:
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(out, 'samples'))}")
        return
    # After the splits, which go by the labels: so every sample keeps the split that it has without corrections.
    split = _with_splits(index, config.split)
    corrected = corrections.apply(split) if corrections else split
    todo = parts.cut(corrected, "part")
    left = parts.missing(todo, out / "samples")
    console.milestone(f"{config.source}: {len(index):,} inputs, {len(left)} of {len(todo)} parts to do")
    if left:
        job = {"source": source, "out": out, "size": config.size}
        read = (Folder.open(place) for place in (config.source, config.images) if place)
        shared = Shared.of(out, read, left[0]["file"].to_pylist())
        there = cluster()
        there = grown(there, min(len(left), there.workers(config.workers)), gpus_each=0, at_least=1)
        workers, meter = there.workers(config.workers), Parts("ingest", out, sum(map(len, left)))
        run_parts(left, shards.MakeShard, job, what="inputs", workers=workers, shared=shared, told=meter.add)
    changed = changed_ids(index, corrected) if corrections else None
    facts = _finish(out, [part["part"][0].as_py() for part in todo], config, inputs, changed)
    _refuse_rejects(facts["counts"], config)
    manifest.complete(out, "samples", facts)
    console.milestone(f"{config.out}: {_sentence(facts)}; see {OVERVIEW}")
    leaks = sum(facts["counts"]["duplicates"]["leaks"].values())
    if leaks and not config.drop_leaks:
        console.milestone(f"{leaks:,} glyphs are in two splits, bit for bit ({LEAKS}): --drop-leaks leaves them out")


def _open(config: Config) -> tuple[Source, Folder]:
    """The source and the output folder, as far as they can be checked before anything is read."""
    if not 8 <= config.size <= 256:
        raise InputError(f"--size must be from 8 to 256 pixels, not {config.size}")
    if not 0 <= config.max_reject_share <= 1:
        raise InputError(f"--max-reject-share must be from 0 to 1, not {config.max_reject_share}")
    source = open_source(config.format, _raw(config))
    above, out = Folder.open(config.source), Folder.open(config.out)
    if out.is_within(above) and config.format in ("image-folder", "parquet"):
        raise InputError(f"--out {config.out} lies inside --source {config.source}: its files would be read as inputs")
    return source, out


def _raw(config: Config) -> Raw:
    return Raw(**{name: getattr(config, name) for name in Raw.__dataclass_fields__})


def _corrections(config: Config) -> Corrections | None:
    if not config.corrections:
        return None
    characters = _raw(config).characters()
    alphabet = None if characters is None else set(characters.values())
    flag = f"--mapping {config.mapping}" if config.alphabet is None else f"--alphabet {config.alphabet}"
    found = Corrections.open(config.corrections, alphabet, flag)
    if Folder.open(config.source).location in found.files:
        raise InputError(f"--corrections {config.source} is the --source itself: leave it out")
    return found


def _index(config: Config, source: Source, corrections: Corrections | None) -> pa.Table:
    index = source.index()
    if not len(index):
        raise InputError(f"{config.source} holds no images")
    if config.split.split_by == "writer" and index["writer"].null_count == len(index):
        if config.writer_pattern is not None:
            raise InputError(
                f"--writer-pattern {config.writer_pattern} finds no writer in {index['file'][0]}, nor elsewhere"
            )
        raise InputError("--split-by writer needs inputs with writers: give --writer-pattern, or a writer column")
    if corrections:
        corrections.require(index["key"], config.source)
    return index


def _claim(config: Config, out: Folder, index: pa.Table, corrections: Corrections | None) -> list[str]:
    """Take the output folder, and return the fingerprints of what goes into it."""
    settings = _settings(config)
    inputs = {settings["source"]: fingerprint(index)}
    if corrections:
        settings["corrections"] = list(corrections.files)
        inputs |= corrections.files
    manifest.claim(out, "samples", settings, inputs)
    return [*inputs.values()]


def _settings(config: Config) -> dict[str, Any]:
    """What decides the result; what only decides where it is computed, or whether it is accepted, stays out."""
    settings = {**asdict(config), "source": Folder.open(config.source).location, "corrections": None}
    for elsewhere in ("out", "workers", "max_reject_share"):
        del settings[elsewhere]
    return settings


def _with_splits(index: pa.Table, config: SplitConfig) -> pa.Table:
    keys, labels, official, writers = (index[name].to_pylist() for name in ("key", "label", "split", "writer"))
    split = pa.array(splits.assign(keys, labels, official, writers, config), pa.string())
    return index.set_column(index.schema.get_field_index("split"), "split", split)


def _finish(
    out: Folder, names: list[str], config: Config, inputs: list[str], changed: pa.ChunkedArray | None
) -> dict[str, Any]:
    """What the folder holds, counted from the shards themselves, and its overview."""
    made = _ingested.look(out, names, config.drop_leaks, changed)
    _ingested.write_overview(out, made, _said(config, made.counts))
    files = [
        {"name": f"samples/{name}.parquet", "rows": int(rows), "bytes": out.bytes(f"samples/{name}.parquet")}
        for name, rows in made.samples["part"].value_counts().reindex(names, fill_value=0).items()
    ]
    return {
        "fingerprint": manifest.fingerprint(*(one.encode() for one in inputs), str(files).encode()),
        "size": config.size,
        "files": files,
        "rejects": [f"rejects/{name}" for name in (out / "rejects").names()],
        "counts": made.counts,
    }


def _said(config: Config, counts: dict[str, Any]) -> dict[str, str]:
    """What the overview says of what was asked for."""
    said = {
        "Source": Folder.open(config.source).location,
        "Format": config.format,
        "Glyphs": f"{config.size} x {config.size} pixels",
        "Alphabet": config.alphabet,
        "Mapping": config.mapping,
        "Writers": config.writer_pattern,
        "Corrections": ", ".join(config.corrections) + f": {_corrected(counts)}" if config.corrections else None,
        "Held out by": config.split.split_by,
    }
    return {name: value for name, value in said.items() if value is not None}


def _refuse_rejects(counts: dict[str, Any], config: Config) -> None:
    lost = counts["rejects"] - counts["duplicates"]["dropped"]
    if lost > config.max_reject_share * counts["inputs"]:
        reasons = ", ".join(f"{count:,} {name}" for name, count in counts["reasons"].items() if name != "leak")
        raise HwrError(
            f"{lost:,} of {counts['inputs']:,} inputs were rejected ({reasons}), more than --max-reject-share "
            f"{config.max_reject_share:g}: {_advice(config, counts)} (see {config.out}/{OVERVIEW})"
        )


def _advice(config: Config, counts: dict[str, Any]) -> str:
    reasons = counts["reasons"]
    most = max(reasons, key=lambda reason: reasons[reason])
    if most == "unknown-label" and config.alphabet is None and config.mapping is None:
        return "without --alphabet or --mapping class numbers are digits, so give one, such as --alphabet A-Z"
    if most == "unknown-label":
        return "the alphabet or mapping does not have these labels, so give another"
    if 2 * reasons.get("not-an-image", 0) > counts["inputs"]:
        return f"most files are no images, so {config.source} may want another --format"
    return "mend the source, or allow a larger share"


def _sentence(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    by_split = ", ".join(f"{name} {count:,}" for name, count in counts["splits"].items())
    corrected = f", {_corrected(counts)}" if "corrected" in counts else ""
    rejects = "".join(f", {count:,} {reason}" for reason, count in counts["reasons"].items())
    return (
        f"{counts['samples']:,} samples of {len(counts['labels'])} characters ({by_split}){corrected}, "
        f"{counts['rejects']:,} rejects{rejects}"
    )


def _corrected(counts: dict[str, Any]) -> str:
    return f"{counts['corrected']:,} {'label' if counts['corrected'] == 1 else 'labels'} corrected"


if __name__ == "__main__":
    sys.exit(cli.main(["ingest", *sys.argv[1:]]))
