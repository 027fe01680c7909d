"""A training as a run of MLflow, for those who keep their runs there; the package is an extra."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwr import manifest
from hwr.errors import HwrError, InputError, one_line
from hwr.storage import Folder
from pipelines import console

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "hwr"
HISTORY = "history.jsonl"
FILES = ("config.json", HISTORY, "labels.json", "curves.png")
NOTE = "mlflow.json"  # says beside the checkpoints which run of MLflow this one is: a removed folder begins a new one
PATIENCE = 5  # seconds that a server has for its first answer
LONGEST = 500  # characters of a parameter: what every store takes

# MLflow's own defaults retry for minutes, print addresses and report its use to its makers. Who sets these is left
# their choice.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class Tracker:
    """What hears of a training; this one does nothing with it."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Take note of an epoch, a line of ``history.jsonl``; one that is known already changes nothing."""

    def finish(self, folder: Folder) -> None:
        """Take note of all epochs and keep the files of a finished run."""


@contextmanager
def tracking(uri: str | None, out: Folder, settings: Mapping[str, Any]) -> Iterator[Tracker]:
    """Track a training with MLflow, or not at all where there is no ``uri``.

    The same training goes on with the same MLflow run. Once tracking has begun its failures cost one line, never the
    training; what it missed is made up for at the end, or by the command that resumes.

    Args:
        uri: ``http://…`` or ``https://…``, a tracking server, or ``sqlite:///…``, a file. With a file, MLflow
            keeps what it is given to keep in ``mlruns/`` of the working folder.
        out: The folder of the training, claimed.
        settings: What the training was told, nested; it becomes the run's parameters.

    Raises:
        HwrError: MLflow is not installed, or what the URI names does not answer or cannot be used.
    """
    if uri is None:
        yield Tracker()
        return
    tracker = _begin(uri, out, settings)
    status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except Exception:
        raise
    except BaseException:  # a person or the system stops the training
        status = "KILLED"
        raise
    finally:
        tracker.end(status)


class _Run(Tracker):
    """One run of MLflow."""

    def __init__(self, uri: str, client: "MlflowClient", number: str) -> None:
        self._uri = uri
        self._client = client
        self._number = number
        self._known: set[int] = set()
        self._lost = False

    def epoch(self, record: Mapping[str, Any]) -> None:
        if not self._lost:
            self._attempt(lambda: self._log(record))

    def finish(self, folder: Folder) -> None:
        self._lost = False  # it may be there again
        self._attempt(lambda: self._keep(folder))

    def end(self, status: str) -> None:
        """Say how it ended: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if not self._lost:
            self._attempt(lambda: self._client.set_terminated(self._number, status))

    def ask(self) -> None:
        """Ask MLflow which epochs it knows."""
        self._known = {point.step for point in self._client.get_metric_history(self._number, "val_loss")}

    def _log(self, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415 - an extra

        step = record["epoch"]
        if step in self._known:
            return
        now = int(1000 * time.time())
        figures = {name: value for name, value in record.items() if name not in {"epoch", "best"}}
        self._client.log_batch(self._number, [Metric(name, value, now, step) for name, value in figures.items()])
        self._known.add(step)

    def _keep(self, folder: Folder) -> None:
        self.ask()
        for line in folder.read_bytes(HISTORY).splitlines():
            self._log(json.loads(line))
        model = folder / "model"
        with tempfile.TemporaryDirectory() as place:  # MLflow takes files of this machine only
            Path(place, "model").mkdir()
            for name in filter(folder.has, FILES):
                Path(place, name).write_bytes(folder.read_bytes(name))
            for name in model.names():
                Path(place, "model", name).write_bytes(model.read_bytes(name))
            self._client.log_artifacts(self._number, place)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever a tracking server does, the training goes on
            self._lost = True
            console.milestone(f"MLflow at {self._uri} fails, and this run does without it: {one_line(error)}")


def _begin(uri: str, out: Folder, settings: Mapping[str, Any]) -> _Run:
    """Find the MLflow run of a training, or begin one."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise HwrError("--mlflow needs the MLflow extra: pip install 'hwr[mlflow]'") from error
    _check(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        run = _Run(uri, client, _resumed(uri, client, out) or _new(uri, client, out, settings))
        run.ask()
    except Exception as error:
        raise HwrError(f"--mlflow {uri} cannot be used: {one_line(error)}") from error
    return run


def _check(uri: str) -> None:
    """Find in seconds what MLflow would find in minutes."""
    import requests  # noqa: PLC0415 - comes with MLflow

    scheme, _, rest = uri.partition("://")
    if "@" in rest.partition("/")[0]:  # the address is printed, and written beside the model
        raise InputError("--mlflow is no place for a password: set MLFLOW_TRACKING_USERNAME and _PASSWORD instead")
    if scheme in {"http", "https"}:
        try:
            requests.get(uri, timeout=PATIENCE)
        except requests.RequestException as error:
            raise HwrError(f"--mlflow {uri} does not answer: {one_line(error)}") from error
    elif scheme == "sqlite":
        above = Path(rest.removeprefix("/")).absolute().parent
        if not above.is_dir():
            raise InputError(f"--mlflow {uri} names a file in {above}, which is no folder")
    else:
        raise InputError(f"--mlflow must begin with http://, https:// or sqlite:///, not {uri}")


def _resumed(uri: str, client: "MlflowClient", out: Folder) -> str | None:
    """The run that an earlier command began at this place, running again; None if there is none."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - an extra

    note = out.read_json(NOTE) if out.has(NOTE) else {}
    if note.get("uri") != uri:
        return None
    number = str(note.get("run"))
    try:
        if client.get_run(number).info.lifecycle_stage != "active":
            return None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    client.update_run(number, status="RUNNING")
    return number


def _new(uri: str, client: "MlflowClient", out: Folder, settings: Mapping[str, Any]) -> str:
    from mlflow.entities import Param  # noqa: PLC0415 - an extra

    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    number: str = client.create_run(experiment, run_name=out.base, tags={"hwr.run": out.location}).info.run_id
    flat = manifest.flat(settings).items()
    client.log_batch(number, params=[Param(name, _text(value)[:LONGEST]) for name, value in flat])
    out.write_json(NOTE, {"uri": uri, "run": number})
    return number


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
