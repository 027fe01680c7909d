"""What the tests of the report page share: rows of predictions, the report of them, and glyphs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from hwr import schema
from hwr.report import page
from hwr.report.evaluation import Evaluation
from hwr.report.galleries import galleries
from hwr.report.origin import Origin
from hwr.report.pictures import drawing
from hwr.report.recognition import Report
from hwr.report.templates import Picture

EVIL = "<script>alert(1)</script>"
FACTS = {"Predictions": "/data/labels", "Model": EVIL, "Date": "2030-01-02 03:04 UTC"}


def row(name: str, prediction: str | None, label: str | None, status: str = "ok", *, sure: float = 0.9, reason=None):
    top = None if prediction is None else [{"label": prediction, "score": sure}, {"label": "?", "score": 1 - sure}]
    return {"id": name, "status": status, "prediction": prediction, "confidence": None if prediction is None else sure,
            "top": top, "label": label, "reason": reason}  # fmt: skip


def report(rows: list[dict], labels: Sequence[str] = "ABC") -> Evaluation:
    """The report of rows of which nothing else is known."""
    made = Report.of(pa.Table.from_pylist(rows, schema=schema.PREDICTIONS), labels)
    return Evaluation.of(made, Origin(None, [], {}, frozenset(), is_plain=True), None, None)


def glyphs(ids: list[str]) -> dict[str, np.ndarray]:
    return {name: np.full((28, 28), 200, np.uint8) for name in ids}


def render(made: Evaluation, glyphs=glyphs, **other) -> str:
    """The page with pictures of one pixel: drawing takes most of the time and few tests look at them."""
    dot = drawing.glyph(np.zeros((1, 1), np.uint8))
    names = ["confidence", "predicted"]
    names += ["confusion", "f1"] if made.report.scores else []
    names += ["reliability", "coverage"] if made.report.trust else []
    chosen = replace(galleries(made), **other)
    return page.render(made, FACTS, [Picture(name, name, dot, dot) for name in names], chosen, glyphs(chosen.ids()))
