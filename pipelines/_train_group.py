"""The group of training workers: how many and how large, followed while they train, started anew when some are lost."""

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace

import ray.train
import torch
from ray.train.torch import TorchTrainer

from hwr.augment import Where
from hwr.calibration import Calibration
from hwr.errors import HwrError, InputError
from hwr.storage import Folder
from hwr.training import checkpoints
from pipelines import console
from pipelines._board import Board
from pipelines._cluster import Cluster, Room, cluster, heard
from pipelines._growth import gpus_each, grown
from pipelines._mlflow import Tracker
from pipelines._ray import cause
from pipelines._records import Records
from pipelines._shared import Shared
from pipelines._train_worker import Job, train_worker

# A worker or machine may be lost this often with no epoch in between before the run gives up; each time it goes on
# from its last checkpoint.
MAX_FAILURES = 3

# Where Ray Train keeps notes of its own while a run goes on.
RAY = "ray"

# How samples come to the workers, as it was decided when the run began.
PLACEMENT = "placement.json"

# Machines that come back are waited for so long: to take them in is to begin the epoch anew.
_RESIZE_S = 600.0

# How often it is asked what the workers have told, which takes processor time that they lack.
_LOOK_S = 0.5

# How long a stop may take, from the question to the last worker's end.
STOP_S = 60.0


@dataclass(frozen=True)
class Wanted:
    """What the user says of the workers; None where nothing is said.

    Attributes:
        workers: How many.
        min_workers: With how few to go on.
        memory: Memory that each may take for samples, in GB.
    """

    workers: int | None
    min_workers: int | None
    memory: float | None


def train_group(job: Job, folders: tuple[Folder, ...], wanted: Wanted, tracker: Tracker) -> Calibration:
    """See to machines, and train on them, until all is done.

    Args:
        job: What to train.
        folders: The samples.
        wanted: The workers.
        tracker: Hears of each epoch.

    Returns:
        How sure the best epoch's weights may be.

    Raises:
        HwrError: There is no room for the workers, or they failed.
    """
    there = cluster()
    gpus = gpus_each(there)
    usual = (there.gpus if gpus else len(there.machines)) or 1
    workers = there.workers(usual if wanted.workers is None else wanted.workers, gpus)
    if wanted.min_workers is not None and not 1 <= wanted.min_workers <= workers:
        raise InputError(f"--min-workers must be from 1 to the number of workers, {workers}, not {wanted.min_workers}")
    least = wanted.min_workers or (workers if there.has(workers, gpus) and len(there.machines) == 1 else 1)
    there = grown(there, workers, gpus, least)
    scaling, job = _scaling(wanted, job, there, workers, least)
    shared = Shared.of(job.out, folders)
    while True:
        _, damaged = checkpoints.latest(job.checkpoints, torch.device("cpu"))
        for name in damaged:
            console.milestone(f"checkpoint {name} is damaged: going on from the one before it")
        done = checkpoints.names(job.checkpoints)
        try:
            return _train(job, shared, scaling, tracker)
        except _LostError as lost:
            if checkpoints.names(job.checkpoints) == done:
                raise
            console.milestone(f"{lost}: trying again, since an epoch was finished between the losses")


def _scaling(wanted: Wanted, job: Job, there: Cluster, workers: int, least: int) -> tuple[ray.train.ScalingConfig, Job]:
    """How many workers of which size, and how samples come to them; said in two lines."""
    now = min(workers, there.gpus or there.cpus)
    # However much memory is free today: within a stream, order depends on it.
    begun = job.out.read_json(PLACEMENT) if wanted.memory is None and job.out.has(PLACEMENT) else None
    where: Where = begun["where"] if begun else job.augment.where
    room = there.room(now, min(1, there.gpus), kept=1 if where == "data" else 0)
    job = _with(job, **begun) if begun else _placed(wanted, job, there, now, room)
    console.milestone(
        f"training {job.architecture} on {len(job.alphabet)} characters, {int(job.counts.sum()):,} samples, for up to "
        f"{job.recipe.epochs} epochs: {workers} worker(s) with {'a GPU' if there.gpus else f'{room.cpus} CPUs'} each, "
        f"global batch {job.recipe.batch_size}"
    )
    return ray.train.ScalingConfig(
        num_workers=workers if least == workers else (least, workers),  # type: ignore[arg-type] # V2 takes a range
        use_gpu=there.gpus > 0,
        resources_per_worker={"CPU": room.cpus, "GPU": 1 if there.gpus else 0},
        # GPUs of one machine are closer to each other than to those of another; processors are better not shared.
        placement_strategy="PACK" if there.gpus else "SPREAD",
        elastic_resize_monitor_interval_s=_RESIZE_S,  # type: ignore[call-arg] # V2 takes it
    ), job


def _train(job: Job, shared: Shared, scaling: ray.train.ScalingConfig, tracker: Tracker) -> Calibration:
    """Run the workers, and keep the records while they tell of their epochs; what they say in the end is returned."""
    board = Board()
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"job": job, "board": board, "shared": shared},
        scaling_config=scaling,
        run_config=ray.train.RunConfig(
            name=RAY,
            storage_path=job.out.path,
            storage_filesystem=job.out.fs,
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),  # type: ignore[call-arg] # V2 takes it
        ),
    )
    return _follow(trainer, job, board, tracker)


class _LostError(HwrError):
    """Workers or machines were lost more often than a run takes."""


def _placed(wanted: Wanted, job: Job, cluster: Cluster, workers: int, room: Room) -> Job:
    """Decide whether samples are streamed and where they are varied, and say why."""
    memory = int(wanted.memory * 1e9) if wanted.memory is not None else room.memory // 2
    rows = sum(piece.rows for found in job.pieces.values() for piece in found)
    need = rows * (job.size * job.size + 8)
    fits = need <= memory
    where = job.augment.where
    if where == "auto":
        idle = cluster.cpus - workers * room.cpus
        where = "data" if not fits and not cluster.gpus and idle >= workers else "device"
    is_streamed = not fits or where == "data"
    size = f"{need / 1e6:,.0f} MB of samples"
    why = f"{size} {'fit' if fits else 'do not fit'} in the {memory / 1e6:,.0f} MB that a worker may take for them"
    console.milestone(
        f"{why}: they are {'streamed' if is_streamed else 'loaded once'} and varied "
        f"{'in Ray Data tasks' if where == 'data' else 'on the training device'}"
    )
    job.out.write_json(PLACEMENT, {"is_streamed": is_streamed, "where": where, "memory": memory})
    return _with(job, is_streamed, where, memory)


def _with(job: Job, is_streamed: bool, where: Where, memory: int) -> Job:
    return replace(job, is_streamed=is_streamed, memory=memory, augment=replace(job.augment, where=where))


def _follow(trainer: TorchTrainer, job: Job, board: Board, tracker: Tracker) -> Calibration:
    """Run the trainer beside this thread, which shows progress, keeps the records and hears Ctrl-C.

    In the main thread Ray Train would take Ctrl-C for itself and end the process without a word.
    """
    outcome: Future[ray.train.Result] = Future()

    def work() -> None:
        try:
            outcome.set_result(trainer.fit())
        except BaseException as error:  # noqa: BLE001 - raised again where the outcome is asked for
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    with console.progress("steps", job.steps * job.recipe.epochs) as show, heard() as hear:
        records = Records(job, tracker, show)
        try:
            while not wait([outcome], timeout=_LOOK_S).done:
                hear(records.add(board.take()))
        except HwrError:
            board.stop()
            wait([outcome], timeout=STOP_S)
            raise
        except KeyboardInterrupt:
            if records.is_running:
                console.milestone("stopping: the workers save a checkpoint first (Ctrl-C again ends them at once)")
                board.stop()
                if not wait([outcome], timeout=STOP_S).done:
                    console.milestone(
                        f"they did not within {STOP_S:.0f} s: what came after the last checkpoint is lost"
                    )
                records.add(board.take())
            raise
        records.add(board.take())
    try:
        outcome.result()
    except ray.train.TrainingFailedError as error:
        raise _LostError(f"training stopped: {cause(error)}; the same command goes on from the last epoch") from error
    if records.calibration is None:
        raise HwrError("training ended before the model was calibrated; the same command goes on from the last epoch")
    return records.calibration
