"""Following a job's log from afar, also over a connection that drops."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

import aiohttp
from ray.dashboard.modules.job.pydantic_models import JobDetails

from pipelines import console
from pipelines._jobs_api import Jobs, Patience, UnreachableError

# A cluster that has not answered for so long is given up.
RETRY_S = 30.0

# How long the log may be silent before the job's state is looked at.
_SILENT_S = 1.0


class Follower:
    """One job's log: each line once, however often the connection or the reader stops in between."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        self.jobs, self.name = jobs, name
        self.patience = Patience()
        self.taken = 0  # characters of the log
        self.line = ""  # the last one, as far as it has come
        self.show: Callable[[str], None] = console.milestone

    def follow(self, show: Callable[[str], None]) -> JobDetails:
        """Show the log's lines until the job has ended.

        Args:
            show: Takes one line.

        Returns:
            What is known of the job in the end.

        Raises:
            UnreachableError: The cluster has not answered for `RETRY_S` seconds.
        """
        self.show = show
        before = signal.getsignal(signal.SIGTERM)
        try:
            return asyncio.run(self._follow())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            signal.signal(signal.SIGTERM, before)

    async def _follow(self) -> JobDetails:
        # As asyncio does with Ctrl-C: raised in the middle of its own work, an exception would leave that undone.
        this = cast("asyncio.Task[JobDetails]", asyncio.current_task())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
        lost: float | None = None
        while True:
            try:
                await self._tail()
                info = self.jobs.get_job_info(self.name)
                if info.status.is_terminal():
                    self._rest()
                    return info
                self._more()  # a proxy may let no WebSocket through, and its log would only come at the end
                lost = None
            except UnreachableError as error:
                if lost is None:
                    lost = time.monotonic()
                    console.milestone(f"{error}; trying again for {RETRY_S:.0f} s")
                if time.monotonic() - lost > RETRY_S:
                    raise UnreachableError(
                        f"{error}; {self.name} may go on, or be lost with its cluster: once that answers, "
                        f"{come_back(self.jobs, 'logs', self.name)} tells"
                    ) from error
            await asyncio.sleep(1)

    async def _tail(self) -> None:
        """Take what comes, until the log ends or the connection does.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        skip = self.taken  # the log comes from its beginning
        async with aclosing(cast("AsyncGenerator[str, None]", self.jobs.tail_job_logs(self.name))) as pieces:
            coming: asyncio.Task[str | None] | None = None
            try:
                while True:
                    coming = coming or asyncio.ensure_future(_next(pieces))
                    if not (await asyncio.wait({coming}, timeout=_SILENT_S))[0]:
                        info = self.jobs.get_job_info(self.name)
                        self.patience.say(info)
                        if info.status.is_terminal():
                            return  # the connection would say so some seconds later, or never if its machine is gone
                        continue
                    piece, coming = coming.result(), None
                    if piece is None:
                        return
                    self._take(piece[skip:])
                    skip = max(0, skip - len(piece))
            except (aiohttp.ClientError, OSError, RuntimeError):
                return  # whether the job has ended, or the cluster, shows when it is asked
            finally:
                if coming:
                    coming.cancel()
                    await asyncio.wait({coming})

    def _take(self, text: str) -> None:
        self.taken += len(text)
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            self.show(line.expandtabs())

    def _more(self) -> None:
        """What the connection did not bring."""
        self._take(self.jobs.get_job_logs(self.name)[self.taken :])

    def _rest(self) -> None:
        """The same in the end, and a last line without an end."""
        try:
            self._more()
        except UnreachableError as error:
            console.milestone(f"the end of the log is not to be had: {error}")
        if self.line:
            self.show(self.line.expandtabs())
            self.line = ""


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    return await anext(pieces, None)


def come_back(jobs: Jobs, what: str, name: str) -> str:
    """The command that asks for a job again."""
    return f"hwr submit --address {jobs.get_address()} --{what} {name}"
