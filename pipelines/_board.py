"""Where training workers and the command that started them tell each other things."""

import pickle
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hwr.errors import HwrError
from pipelines._ray import cause


class _Notes:
    """Lives in a process of its own, so that neither side waits for the other.

    What is told stays pickled here: to open it would take PyTorch, and its start is on the way of the first epoch.
    """

    def __init__(self) -> None:
        self.news: list[bytes] = []
        self.is_stopping = False

    def tell(self, item: bytes) -> None:
        self.news.append(item)

    def take(self) -> list[bytes]:
        news, self.news = self.news, []
        return news

    def stop(self) -> None:
        self.is_stopping = True

    def stopping(self) -> bool:
        return self.is_stopping


class Board:
    """Made by the command, handed to the workers; pickles."""

    def __init__(self) -> None:
        # On the machine of the command: another may be lost, and the training goes on.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._notes: Any = ray.remote(num_cpus=0)(_Notes).options(scheduling_strategy=here).remote()
        self._asked: Any = None

    def tell(self, item: Any) -> None:
        """A worker says something; it does not wait until that is read."""
        self._notes.tell.remote(pickle.dumps(item))

    def leave(self, item: Any) -> None:
        """A worker says its last word; it waits until that is noted, since it ends afterwards."""
        ray.get(self._notes.tell.remote(pickle.dumps(item)))

    def give_up(self, reason: Any) -> None:
        """A worker ends for a reason that no other try would mend, and the others are asked to stop."""
        self.leave(reason)
        self.stop()

    def take(self) -> list[Any]:
        """What has been told since the last call, in its order."""
        try:
            news: list[bytes] = ray.get(self._notes.take.remote())
        except ray.exceptions.RayError as error:
            raise HwrError(f"lost touch with the workers: {cause(error)}; the same command goes on") from error
        return [pickle.loads(item) for item in news]  # noqa: S301 - from our own workers

    def stop(self) -> None:
        """Ask the workers to stop."""
        ray.get(self._notes.stop.remote())

    def was_stopped(self) -> bool:
        """Whether they have been asked; waits for the answer."""
        return bool(ray.get(self._notes.stopping.remote()))

    def is_stopping(self) -> bool:
        """Whether they have been asked; as of the call before this one, so that no step waits for an answer."""
        if self._asked is None:
            self._asked = self._notes.stopping.remote()
            return False
        if not ray.wait([self._asked], timeout=0)[0]:
            return False
        try:
            return bool(ray.get(self._asked))
        except ray.exceptions.RayError:
            return True  # the command is gone, and with it all that the workers would do next
        finally:
            self._asked = None
