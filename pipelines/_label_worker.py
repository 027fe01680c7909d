"""What each labelling worker does: read the images of a part, score them, and write their predictions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hwr import bundle, schema
from hwr.errors import Reject
from hwr.predictor import Predictor
from hwr.sources import Source, read_glyphs
from hwr.storage import Folder

# Images that are read while those before them are scored.
_AHEAD = 1024


@dataclass(frozen=True)
class Answers:
    """How answers are found.

    Attributes:
        models: Models as `hwr.bundle.find` finds them; several vote.
        only: Characters to choose from; all of the models', if not given.
        top_k: How many of the likeliest characters to name.
        least: An answer below this probability is no answer: it is abstained from.
        tta: Whether to look at every image in several ways.
    """

    models: tuple[str, ...]
    only: str | None
    top_k: int
    least: float
    tta: bool


class LabelPart:
    """Labels the images of one part and writes its predictions; runs on a worker and keeps the models loaded."""

    def __init__(self, source: Source, answers: Answers, out: Folder) -> None:
        self.source, self.answers, self.out = source, answers, out
        self.predictor = Predictor([bundle.find(model) for model in answers.models], answers.only, tta=answers.tta)

    def __call__(self, part: pa.Table) -> pa.Table:
        """Write ``predictions/PART.parquet``.

        Args:
            part: Rows of the source's index, and in column ``part`` the name of the part.

        Returns:
            One row with ``rows``, how many images are done, and ``rejects``, how many of these are unreadable.
        """
        tables = [
            to_predictions(some, self._scores(glyphs, rejects), rejects, self.predictor.alphabet, self.answers)
            for some, glyphs, rejects in self._read(part)
        ]
        predictions = pa.concat_tables(tables).combine_chunks()
        self.out.write_table(f"predictions/{part['part'][0].as_py()}.parquet", predictions)
        unreadable = pc.sum(pc.equal(predictions["status"], "unreadable")).as_py()
        return pa.table({"rows": [len(part)], "rejects": [unreadable]})

    def _scores(self, glyphs: npt.NDArray[np.uint8], rejects: list[Reject | None]) -> npt.NDArray[np.float32]:
        readable = np.array([reject is None for reject in rejects])
        scores = np.zeros((len(glyphs), len(self.predictor.alphabet)), np.float32)
        scores[readable] = self.predictor(glyphs[readable])
        return scores

    def _read(self, part: pa.Table) -> Iterator[tuple[pa.Table, npt.NDArray[np.uint8], list[Reject | None]]]:
        """Some rows after the other with their glyphs; the next ones are read while these are scored."""
        chunks = [part.slice(start, _AHEAD) for start in range(0, len(part), _AHEAD)]
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(read_glyphs, self.source, chunk, self.predictor.size) for chunk in chunks[:1]]
            for chunk, following in zip(chunks, [*chunks[1:], None], strict=True):
                glyphs, rejects = waiting.pop().result()
                if following is not None:
                    waiting.append(reader.submit(read_glyphs, self.source, following, self.predictor.size))
                yield chunk, glyphs, rejects


def to_predictions(
    inputs: pa.Table, scores: npt.NDArray[np.float32], rejects: list[Reject | None], alphabet: list[str],
    answers: Answers,
) -> pa.Table:  # fmt: skip
    """Scores as rows of the predictions contract.

    Args:
        inputs: N rows of an index.
        scores: Probabilities (N, labels) float32; rows of rejects are not looked at.
        rejects: For each input, why it could not be read, or None.
        alphabet: Labels in the order of the scores.
        answers: How many labels to name, and when to abstain.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, : answers.top_k]
    ranked = np.take_along_axis(scores, order, axis=1)
    unreadable = np.array([reject is not None for reject in rejects])
    abstained = ~unreadable & (ranked[:, 0] < answers.least)
    labels = pa.array(alphabet, pa.string()).take(pa.array(order.ravel()))
    entries = pa.StructArray.from_arrays([labels, pa.array(ranked.ravel())], ["label", "score"])
    ends = pa.array(np.arange(len(inputs) + 1, dtype=np.int32) * order.shape[1])
    reasons = [
        reject and (f"{reject.reason}: {reject.detail}" if reject.detail else reject.reason) for reject in rejects
    ]
    columns = {
        "id": inputs["key"],
        "status": pa.array(np.where(unreadable, "unreadable", np.where(abstained, "abstained", "ok"))),
        "prediction": pa.array(np.array(alphabet, object)[order[:, 0]], pa.string(), mask=unreadable | abstained),
        "confidence": pa.array(ranked[:, 0], mask=unreadable),
        "top": pa.ListArray.from_arrays(ends, entries, mask=pa.array(unreadable)),
        "label": inputs["label"],
        "reason": pa.array(reasons, pa.string()),
    }
    return pa.table(columns).cast(schema.PREDICTIONS)
