"""What the tests of outputs share: predictions made by hand."""

import pyarrow as pa

from hwr import schema
from hwr.storage import Folder

NAMES = [
    "a.png", "deep/b c.png", "=cmd().png", "new\nline.png", 'quote".png', "<script>alert(1)</script>.png",
    "שלום/صورة.png", "漢字.png", "x" * 300 + ".png", "\u202egnp.exe",
]  # fmt: skip
"""Names that people and attackers give to files."""


def ok(key, answer="A", confidence=0.9, truth=None):
    top = [{"label": answer, "score": confidence}, {"label": "Z", "score": 0.0}]
    return {"id": key, "status": "ok", "prediction": answer, "confidence": confidence, "top": top, "label": truth}


def abstained(key, guess="B", confidence=0.4):
    return ok(key, guess, confidence) | {"status": "abstained", "prediction": None}


def unreadable(key, reason="corrupt: the header says 10 bytes"):
    return {"id": key, "status": "unreadable", "reason": reason}


def table(*rows) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema.PREDICTIONS)


def stored(folder: Folder, *tables: pa.Table) -> Folder:
    """Tables as a job leaves them, one file each."""
    for number, rows in enumerate(tables):
        folder.write_table(f"part-{number:05d}.parquet", rows)
    return folder
