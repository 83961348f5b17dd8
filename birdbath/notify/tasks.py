"""Background tasks by name: started, restarted when they fail, stopped cleanly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from birdbath.notify.log import LogClosed
from birdbath.store.trouble import trouble_of

_log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
PATIENCE = 15.0
"""Seconds after which a task that was cancelled and goes on is cancelled again."""


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and return when all of them have ended, in whatever way.

    More than once where needed: libraries that use wait_for of Python 3.11 swallow a cancellation now and
    then, and who cancels once would wait for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE)
    await asyncio.gather(*tasks, return_exceptions=True)  # what they raised is taken note of


class Tasks:
    """Tasks of one event loop. A task that returns is over, and so is one that raises LogClosed; one that
    raises anything else is logged and started again, after a pause that doubles from FIRST_PAUSE to
    LONGEST_PAUSE seconds.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start `run` as the task `name`, unless it runs already."""
        if name not in self._tasks:
            task = self._tasks[name] = asyncio.create_task(self._keep_running(name, run), name=name)
            task.add_done_callback(lambda _: self._over(name))

    def _over(self, name: str) -> None:
        self._tasks.pop(name, None)
        self._troubles.pop(name, None)

    @property
    def names(self) -> frozenset[str]:
        """The tasks that run."""
        return frozenset(self._tasks)

    def troubles(self) -> dict[str, str]:
        """Why tasks failed, by name: from the failure until they have run again for as long as the pause
        after it.
        """
        return dict(self._troubles)

    async def stop(self, *names: str) -> None:
        """Cancel the tasks of these names, all without names, and return when they have ended."""
        await end(*(task for name, task in self._tasks.items() if not names or name in names))

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        loop, pause, well = asyncio.get_running_loop(), FIRST_PAUSE, None
        while True:
            started = loop.time()
            try:
                return await run()
            except LogClosed:
                return  # the server is stopping
            except Exception as error:
                # Whatever it is, it has nobody else to tell, and the other tasks go on.
                if loop.time() - started > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                trouble = trouble_of(error)
                if well is not None:
                    well.cancel()
                self._troubles[name] = str(trouble or type(error).__name__)
                _log.error(
                    "%s failed; starting again in %g seconds: %s",
                    name,
                    pause,
                    trouble or "unexpectedly",
                    exc_info=trouble is None,
                )
            await asyncio.sleep(pause)
            well = loop.call_later(pause, self._troubles.pop, name, None)
            pause = min(2 * pause, LONGEST_PAUSE)
