"""Hands the parts of a job to workers."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from hwr.errors import HwrError
from pipelines import console
from pipelines._cluster import heard
from pipelines._ray import cause

# A worker has its next part at hand when it is done with one. More would wait for a slow one while others have none.
_AT_HAND = 2


def run_parts(
    parts: Sequence[pa.Table],
    work: type[Callable[[pa.Table], pa.Table]],
    settings: dict[str, Any],
    *,
    what: str,
    workers: int,
    gpus: float = 0,
    told: Callable[[dict[str, Any]], object] = lambda _: None,
) -> None:
    """Hand each part to one of a pool of workers, spread over all machines, and wait until all are done.

    Args:
        parts: What to do (`hwr.parts.cut`); a part becomes one block of a Ray data set and is never split or merged.
        work: A class of callables that take one part, write its file, and return one row with ``rows``, the number of
            inputs done.
        settings: Arguments of ``work``.
        what: What one row is, in the plural, for the progress bar.
        workers: Size of the pool. They take all CPUs there are: nothing else of a pool needs one.
        gpus: Share of a GPU that each worker takes.
        told: Is given the row of each part that is done.

    Raises:
        HwrError: A worker raised an error that no other try would mend, such as a full disk.
    """
    import ray.data  # noqa: PLC0415 - a second's work, done while Ray starts

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False
    # Not from_arrow, which starts a round of tasks to look at what is already known here.
    done = ray.data.from_blocks(list(parts)).map_batches(
        work,
        fn_constructor_kwargs=settings,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(parts)), max_tasks_in_flight_per_actor=_AT_HAND),
        num_cpus=1,
        num_gpus=gpus,
    )
    try:
        with console.progress(what, sum(len(part) for part in parts)) as advance, heard() as hear:
            for row in done.iter_rows():
                hear(row["rows"])
                advance(row["rows"], "")
                told(row)
    except (ray.exceptions.RayError, SystemError) as error:
        raise HwrError(f"a worker failed: {cause(error)}; the same command goes on from what is done") from error
