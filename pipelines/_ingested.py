"""What an ingest has made: counted from the shards themselves, and shown on a page."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from hwr import duplicates, shards
from hwr.alphabet import Alphabet
from hwr.report import overview
from hwr.schema import SPLITS
from hwr.storage import Folder

LEAKS = "leaks.parquet"
OVERVIEW = "overview.html"


@dataclass(frozen=True, eq=False)
class Ingested:
    """What is in the shards.

    Attributes:
        samples: One row a sample, as `hwr.shards.read_all` has it.
        rejects: As `hwr.schema.REJECTS`.
        counts: The ``counts`` of a samples manifest.
    """

    samples: pd.DataFrame
    rejects: pa.Table
    counts: dict[str, Any]


def look(out: Folder, names: list[str], drop_leaks: bool, changed: pa.ChunkedArray | None) -> Ingested:
    """Count what is there, after samples that leak were dropped where that is wanted.

    Args:
        out: The samples folder.
        names: Its parts.
        drop_leaks: Whether samples that are in a later split too become rejects.
        changed: The ids of inputs whose label was corrected; None where there were no corrections.
    """
    samples = shards.read_all(out, names)
    leaks = _leaks(out, samples)
    if drop_leaks and len(leaks):
        for name, leaking in leaks.groupby("part"):
            shards.drop(out, name, leaking)
        samples = shards.read_all(out, names)
    rejects = pa.concat_tables([shards.read_rejects(out, name) for name in names])
    counts = _counts(samples, rejects, leaks)
    if changed is not None:
        counts["corrected"] = int(samples["id"].isin(set(changed.to_pylist())).sum())
    return Ingested(samples, rejects, counts)


def _leaks(out: Folder, samples: pd.DataFrame) -> pd.DataFrame:
    """Find glyphs that are in two splits, and write them down; what was written before is not looked for again.

    So a job that was killed while it dropped them still knows them all.
    """
    if out.has(LEAKS):
        return out.read_table(LEAKS).to_pandas()
    found = duplicates.leaks(samples)[["id", "split", "part", "twin", "twin_split"]]
    if len(found):
        out.write_table(LEAKS, pa.Table.from_pandas(found, preserve_index=False))
    return found


def _counts(samples: pd.DataFrame, rejects: pa.Table, leaks: pd.DataFrame) -> dict[str, Any]:
    reasons = Counter(rejects["reason"].to_pylist())
    pairs = leaks.groupby(["split", "twin_split"]).size()
    return {
        "inputs": len(samples) + reasons.total(),
        "samples": len(samples),
        "rejects": reasons.total(),
        "splits": {name: int((samples["split"] == name).sum()) for name in SPLITS},
        "labels": {label: int(count) for label, count in samples["label"].value_counts().sort_index().items()},
        "reasons": dict(sorted(reasons.items())),
        "duplicates": {
            "train": duplicates.repeated(samples),
            "leaks": {f"{split}-{twin}": int(count) for (split, twin), count in pairs.items()},
            "dropped": reasons["leak"],
        },
    }


def write_overview(out: Folder, made: Ingested, said: Mapping[str, str]) -> None:
    """Write `OVERVIEW` and its pictures.

    Args:
        out: The samples folder.
        made: What is in it.
        said: What was ingested and how, name to value, in the order to show.
    """
    samples, counts = made.samples, made.counts
    order: list[str | None] = [*Alphabet.of(counts["labels"]).labels] if counts["labels"] else []
    if samples["label"].isna().any():
        order.append(None)
    sizes = samples.groupby([samples["label"].fillna(""), "split"]).size()
    classes = {label: {split: int(sizes.get((label or "", split), 0)) for split in SPLITS} for label in order}
    shown = samples[samples["label"].isin(overview.on_sheet(order))]
    examples: dict[str, list[tuple[str, str | None]]] = {}
    for reject in made.rejects.to_pylist():
        first = examples.setdefault(reject["reason"], [])
        if len(first) < overview.EXAMPLES:
            first.append((reject["key"], reject["detail"]))
    page = overview.Overview(said, counts, classes, examples, shards.draw(out, shown, overview.PER_CLASS))
    drawn = overview.pictures(page)
    for picture in drawn:
        out.write_bytes(f"{picture.name}.png", picture.light)
    out.write_bytes(OVERVIEW, overview.render(page, drawn).encode())
