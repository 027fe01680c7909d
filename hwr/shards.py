"""What one part of an ingest leaves behind: a shard of samples and, where there are any, its rejects."""

import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hwr import duplicates, schema
from hwr.schema import REJECTS, SPLITS, images_from_arrow, images_to_arrow
from hwr.sources import Source, read_glyphs
from hwr.storage import Folder

# A shard's footer carries a content hash of each glyph: to find copies, nobody has to read all images again.
_DIGESTS = b"hwr.digests"


class MakeShard:
    """Reads the inputs of one part and writes its shard; runs on a worker."""

    def __init__(self, source: Source, out: Folder, size: int) -> None:
        """Keep what all parts have in common.

        Args:
            source: What the parts are part of.
            out: The samples folder.
            size: Side of the glyphs, in pixels.
        """
        self.source, self.out, self.size = source, out, size

    def __call__(self, part: pa.Table) -> pa.Table:
        """Write ``samples/PART.parquet`` and, before it, ``rejects/PART.parquet`` if there are any.

        Args:
            part: Rows of the source's index, with their ``split`` and, in column ``part``, the name of the part.

        Returns:
            One row with ``rows``, how many inputs are done, and ``rejects``, how many of these are no samples.
        """
        glyphs, rejects = read_glyphs(self.source, part, self.size)
        good = pa.array([reject is None for reject in rejects], pa.bool_())
        kept, left = part.filter(good), part.filter(pc.invert(good))
        found = [reject for reject in rejects if reject is not None]
        samples = {
            "id": kept["key"], "image": images_to_arrow(glyphs[good.to_numpy(zero_copy_only=False)]),
            "label": kept["label"], "split": kept["split"], "source": pa.repeat(self.source.name, len(kept)),
            "writer": kept["writer"],
        }  # fmt: skip
        rejected = {
            "source": pa.repeat(self.source.name, len(left)), "key": left["key"],
            "reason": pa.array([reject.reason for reject in found], pa.string()),
            "detail": pa.array([reject.detail or None for reject in found], pa.string()),
        }  # fmt: skip
        made = pa.table(samples, schema=schema.samples(self.size)), pa.table(rejected, schema=REJECTS)
        write(self.out, part["part"][0].as_py(), *made)
        return pa.table({"rows": [len(part)], "rejects": [len(left)]})


def write(out: Folder, part: str, samples: pa.Table, rejects: pa.Table) -> None:
    """Write ``rejects/PART.parquet``, if there are any, and then ``samples/PART.parquet``, which means done.

    A shard has one row group for each split, so that a reader of one split skips the others.

    Args:
        out: The samples folder.
        part: The part's name.
        samples: Its samples, as `hwr.schema.samples`.
        rejects: Its rejects, as `hwr.schema.REJECTS`.
    """
    if len(rejects):
        out.write_table(f"rejects/{part}.parquet", rejects)
    groups = [samples.filter(pc.equal(samples["split"], split)) for split in SPLITS]
    groups = [group for group in groups if len(group)] or [samples]
    marks = b"".join(duplicates.digests(images_from_arrow(group["image"])).tobytes() for group in groups)
    noted = {**samples.schema.metadata, _DIGESTS: base64.b64encode(marks)}
    out.write_table(f"samples/{part}.parquet", *(group.replace_schema_metadata(noted) for group in groups))


def read_all(out: Folder, parts: list[str]) -> pd.DataFrame:
    """What the samples of all shards are, without their images.

    Returns:
        One row a sample, with ``id``, ``label``, ``split``, ``digest``, ``part`` and ``row``, its place in the shard.
    """
    with ThreadPoolExecutor() as pool:
        return pd.concat(pool.map(lambda part: read(out, part), parts), ignore_index=True)


def read(out: Folder, part: str) -> pd.DataFrame:
    """The same of one shard."""
    table = out.read_table(f"samples/{part}.parquet", ["id", "label", "split"])
    digests = np.frombuffer(base64.b64decode(table.schema.metadata[_DIGESTS]), "<u8")
    return table.to_pandas().assign(digest=digests, part=part, row=np.arange(len(table)))


def read_rejects(out: Folder, part: str) -> pa.Table:
    """A part's rejects, as `hwr.schema.REJECTS`."""
    name = f"{part}.parquet"
    return (out / "rejects").read_table(name) if (out / "rejects").has(name) else REJECTS.empty_table()


def draw(out: Folder, samples: pd.DataFrame, per_class: int) -> dict[str | None, npt.NDArray[np.uint8]]:
    """Random glyphs of each class, from as few shards as have enough of them; the same ones every time.

    Args:
        out: The samples folder.
        samples: What `read` says of all its shards, or of the classes that matter.
        per_class: How many glyphs of a class, at most.

    Returns:
        Label to glyphs (n, S, S) uint8; None for those without a label.
    """
    random = np.random.default_rng(0)
    rank = {part: place for place, part in enumerate(random.permutation(sorted(samples["part"].unique())))}
    drawn = samples.assign(rank=samples["part"].map(rank), chance=random.random(len(samples)))
    drawn = drawn.sort_values(["rank", "chance"]).groupby("label", dropna=False).head(per_class)
    found: dict[str | None, list[npt.NDArray[np.uint8]]] = {}
    for part, rows in drawn.groupby("part"):
        images = images_from_arrow(out.read_table(f"samples/{part}.parquet", ["image"])["image"])
        for label, row in zip(rows["label"], rows["row"], strict=True):
            found.setdefault(label if isinstance(label, str) else None, []).append(images[row])
    return {label: np.stack(images) for label, images in found.items()}


def drop(out: Folder, part: str, leaks: pd.DataFrame) -> None:
    """Turn samples of a shard into rejects. To do it again changes nothing.

    Args:
        out: The samples folder.
        part: The part's name.
        leaks: Rows of `hwr.duplicates.leaks` whose ids may be in the shard.
    """
    samples = out.read_table(f"samples/{part}.parquet")
    leaks = leaks[leaks["id"].isin(samples["id"].to_pylist())]
    if leaks.empty:
        return
    leaking = pc.is_in(samples["id"], pa.array(leaks["id"]))
    details = "also in " + leaks["twin_split"] + ": " + leaks["twin"]
    rows = {"source": samples["source"][0].as_py(), "key": leaks["id"], "reason": "leak", "detail": details}
    found = pa.Table.from_pandas(pd.DataFrame(rows), schema=REJECTS, preserve_index=False)
    before = read_rejects(out, part)
    # Killed between the two files, these rejects are there and their samples as well: they are not told twice.
    told = pc.and_(pc.equal(before["reason"], "leak"), pc.is_in(before["key"], pa.array(leaks["id"])))
    before = before.filter(pc.invert(told))
    write(out, part, samples.filter(pc.invert(leaking)), pa.concat_tables([before, found]))
