"""Ingest: raw files to a samples folder of Parquet shards, with splits, rejects and a manifest."""

import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import tyro

from hwr import manifest, parts, schema, splits
from hwr.alphabet import Alphabet, read_mapping
from hwr.errors import InputError
from hwr.schema import SPLITS
from hwr.sources import Idx, ImageFolder, Source, fingerprint, read_glyphs
from hwr.splits import SplitConfig
from hwr.storage import Folder
from pipelines import cli, console
from pipelines._ray import run_parts, session


@dataclass(frozen=True)
class Config:
    """What to ingest, how to read it, and where to put it."""

    source: str
    """Folder of the raw files: a path or a URI such as s3://bucket/scans."""
    format: Literal["image-folder", "idx", "emnist-idx"]
    """How the source is laid out: folders of image files, MNIST's IDX files, or EMNIST's."""
    out: str
    """Folder for the samples; it must be new, or the same command's."""
    alphabet: cli.Text = None
    """Which character each class number means, or which folder names are labels: digits, A-Z, az35, emnist47 or
    english62 (see the README), or the characters themselves."""
    mapping: cli.Text = None
    """EMNIST mapping file of class numbers and code points; emnist-idx finds one beside the images by itself."""
    size: int = 28
    """Side of the glyphs, in pixels."""
    split: tyro.conf.OmitArgPrefixes[SplitConfig] = field(default_factory=SplitConfig)
    workers: cli.Count = None
    """Processes that read in parallel: as many as there are CPUs, if it is not given."""


def run(config: Config) -> None:
    """Ingest one source.

    Raises:
        HwrError: The source, the flags or the output folder are not usable.
    """
    if not 8 <= config.size <= 256:
        raise InputError(f"--size must be from 8 to 256 pixels, not {config.size}")
    source = open_source(config)
    out = Folder.open(config.out)
    index = source.index()
    settings = {**asdict(config), "source": Folder.open(config.source).location}
    for elsewhere in ("out", "workers"):
        del settings[elsewhere]
    inputs = fingerprint(index)
    claim = manifest.claim(out, "samples", settings, {settings["source"]: inputs})
    if claim is manifest.Claim.COMPLETE:
        console.milestone(f"{config.out} is already complete: {_sentence(manifest.require(out, 'samples'))}")
        return
    todo = _parts(index, config.split)
    left = parts.missing(todo, out / "samples")
    console.milestone(f"{config.source}: {len(index):,} inputs, {len(left)} of {len(todo)} parts to do")
    if left:
        with session() as cluster:
            job = {"source": source, "out": out, "size": config.size}
            run_parts(left, IngestPart, job, what="inputs", workers=cluster.workers(config.workers))
    facts = _facts(out, todo, config.size, inputs)
    manifest.complete(out, "samples", facts)
    console.milestone(f"{config.out}: {_sentence(facts)}")


def open_source(config: Config) -> Source:
    """The source that the flags describe.

    Raises:
        InputError: The folder is missing, or nothing says which characters the class numbers mean.
    """
    folder = Folder.open(config.source)
    folder.require()
    if Folder.open(config.out).path.startswith(f"{folder.path}/") and config.format == "image-folder":
        raise InputError(f"--out {config.out} lies inside --source {config.source}: its files would be read as inputs")
    characters = _characters(config, folder)
    if config.format == "image-folder":
        return ImageFolder(
            folder, None if characters is None else _folder_names(characters, config.mapping is not None)
        )
    if characters is None:
        if config.format == "emnist-idx":
            raise InputError(f"{config.source} has no *-mapping.txt: give one with --mapping, or --alphabet emnist47")
        characters = dict(enumerate(Alphabet.parse("digits").labels))
    return Idx(folder, characters, transposed=config.format == "emnist-idx")


def _folder_names(characters: dict[int, str], numbered: bool) -> dict[str, str]:
    """Folder name to label: the character itself, or its class number, zero-padded or not."""
    if not numbered:
        return {character: character for character in characters.values()}
    return {f"{number:0{width}d}": character for number, character in characters.items() for width in (1, 2, 3)}


def _characters(config: Config, folder: Folder) -> dict[int, str] | None:
    if config.alphabet is not None and config.mapping is not None:
        raise InputError("--alphabet and --mapping both say what the class numbers mean: give one of them")
    if config.alphabet is not None:
        return dict(enumerate(Alphabet.parse(config.alphabet).labels))
    if config.mapping is not None:
        where, _, name = Folder.open(config.mapping).location.rpartition("/")
        return _read_mapping(Folder.open(where), name)
    if config.format == "emnist-idx":
        found = [name for name in folder.names() if name.endswith("-mapping.txt")]
        if len(found) > 1:
            raise InputError(f"{config.source} has {len(found)} mapping files: say which with --mapping")
        return _read_mapping(folder, found[0]) if found else None
    return None


def _read_mapping(folder: Folder, name: str) -> dict[int, str]:
    if not folder.has(name):
        raise InputError(f"there is no mapping file {folder.path}/{name}")
    try:
        return read_mapping(folder.read_bytes(name).decode(), name)
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a text file") from None


class IngestPart:
    """Reads the inputs of one part and writes its shard; runs on a worker."""

    def __init__(self, source: Source, out: Folder, size: int) -> None:
        self.source, self.out, self.size = source, out, size

    def __call__(self, part: pa.Table) -> pa.Table:
        """Write ``samples/PART.parquet``, after ``rejects/PART.parquet`` if there are any: the shard means done."""
        name = part["part"][0].as_py()
        glyphs, rejects = read_glyphs(self.source, part, self.size)
        good = pa.array([reject is None for reject in rejects], pa.bool_())
        kept = part.filter(good)
        samples = {
            "id": kept["key"], "image": schema.images_to_arrow(glyphs[good.to_numpy(zero_copy_only=False)]),
            "label": kept["label"], "split": kept["split"],
            "source": pa.array([self.source.name] * len(kept), pa.string()), "writer": kept["writer"],
        }  # fmt: skip
        if len(kept) < len(part):
            self.out.write_table(f"rejects/{name}.parquet", self._rejects(part, rejects))
        self.out.write_table(f"samples/{name}.parquet", pa.table(samples, schema=schema.samples(self.size)))
        return pa.table({"rows": [len(part)]})

    def _rejects(self, part: pa.Table, rejects: list[Any]) -> pa.Table:
        rows = [
            {"source": self.source.name, "key": key, "reason": reject.reason, "detail": reject.detail or None}
            for key, reject in zip(part["key"].to_pylist(), rejects, strict=True)
            if reject is not None
        ]
        return pa.Table.from_pylist(rows, schema=schema.REJECTS)


def _parts(index: pa.Table, config: SplitConfig) -> list[pa.Table]:
    """The index with every row's split, cut so that each part, and so each shard, holds one split."""
    names = splits.assign(index["key"].to_pylist(), index["label"].to_pylist(), index["split"].to_pylist(), config)
    split = pa.array(names, pa.string())
    index = index.set_column(index.schema.get_field_index("split"), "split", split)
    return [part for name in SPLITS for part in parts.cut(index.filter(pc.equal(split, name)), name)]


def _facts(out: Folder, todo: list[pa.Table], size: int, inputs: str) -> dict[str, Any]:
    """What the folder holds, counted from the shards themselves."""
    whole, files = parts.collect(todo, out, "samples", ["label", "split"])
    split, label = Counter(whole["split"].to_pylist()), Counter(whole["label"].to_pylist())
    del label[None]
    rejects = [f"rejects/{name}" for name in (out / "rejects").names()]
    reasons = Counter(reason for name in rejects for reason in out.read_table(name, ["reason"])["reason"].to_pylist())
    return {
        "fingerprint": manifest.fingerprint(inputs.encode(), str(files).encode()),
        "size": size,
        "files": files,
        "rejects": rejects,
        "counts": {
            "inputs": sum(len(part) for part in todo),
            "samples": split.total(),
            "rejects": reasons.total(),
            "splits": {name: split[name] for name in SPLITS},
            "labels": dict(sorted(label.items())),
            "reasons": dict(sorted(reasons.items())),
        },
    }


def _sentence(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    by_split = ", ".join(f"{name} {count:,}" for name, count in counts["splits"].items())
    rejects = "".join(f", {count:,} {reason}" for reason, count in counts["reasons"].items())
    return (
        f"{counts['samples']:,} samples of {len(counts['labels'])} characters ({by_split}), "
        f"{counts['rejects']:,} rejects{rejects}"
    )


if __name__ == "__main__":
    sys.exit(cli.main(["ingest", *sys.argv[1:]]))
