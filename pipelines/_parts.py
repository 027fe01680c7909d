"""Hands the parts of a job to workers."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from hwr.errors import HwrError
from pipelines import console
from pipelines._cluster import heard
from pipelines._ray import cause
from pipelines._shared import Shared

# A worker has its next part at hand when it is done with one. More would wait for a slow one while others have none.
_AT_HAND = 2


# Takes a part, and returns one row with ``rows`` and ``rejects``, as `run_parts` says.
_Work = Callable[[pa.Table], pa.Table]


class _Worker:
    """Does one part after the other, once it has seen that it can.

    It looks at its first part: Ray Data would put up with workers that fail to start, as long as others do.
    """

    def __init__(self, work: Callable[..., _Work], settings: dict[str, Any], shared: Shared) -> None:
        self.make, self.settings, self.shared = work, settings, shared
        self.work: _Work | None = None

    def __call__(self, part: pa.Table) -> pa.Table:
        if self.work is None:
            self.shared.require()
            self.work = self.make(**self.settings)
        return self.work(part)


def run_parts(
    parts: Sequence[pa.Table],
    work: Callable[..., _Work],
    settings: dict[str, Any],
    *,
    what: str,
    workers: int,
    shared: Shared,
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
        shared: What every worker must see.
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
        _Worker,
        fn_constructor_kwargs={"work": work, "settings": settings, "shared": shared},
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
