"""Pushing events to whoever does not ask for them: what waits holds up its own job, and no other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from birdbath.notify.entries import Entry
from birdbath.notify.followers import Batch
from birdbath.notify.subscriptions import SubscribedFollower

BATCH: Final = 500
"""Events that are read at a time, and that may wait for their receiver."""
IDLE: Final = 60.0


class Pushing:
    """The events of one subscription on their way: those of a job one after the other, those of other jobs
    beside them, however long one takes. `push` returns when an event is dealt with.

    The cursor is before the oldest that is not; while there are BATCH of these nothing more is read.
    """

    def __init__(
        self,
        follower: SubscribedFollower,
        push: Callable[[Entry], Awaitable[None]],
        read: Callable[[Batch], None],
    ) -> None:
        self._follower = follower
        self._push = push
        self._read = read
        self._waiting: dict[int, None] = {}  # in the order of the log
        self._jobs: dict[tuple[int, int], deque[Entry]] = {}
        self._through: int | None = None
        self._acknowledged: int | None = None
        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Push until cancelled; then, or when it is broken off, acknowledge what was taken."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._acknowledge_on())
                while True:
                    while len(self._waiting) >= BATCH:
                        await self._progress.wait()
                        await asyncio.sleep(0)  # who acknowledges is woken, too
                    self._take(await self._follower.next(BATCH, IDLE), group)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._acknowledge()

    def _take(self, batch: Batch, group: asyncio.TaskGroup) -> None:
        self._read(batch)
        for entry in batch.entries:
            self._waiting[entry.event.sequence] = None
            job = entry.event.cluster, entry.event.proc
            if job in self._jobs:
                self._jobs[job].append(entry)
            else:
                self._jobs[job] = deque([entry])
                group.create_task(self._push_job(job))
        self._through = batch.through
        self._progress.set()

    async def _push_job(self, job: tuple[int, int]) -> None:
        entries = self._jobs[job]
        while entries:
            await self._push(entries[0])
            del self._waiting[entries.popleft().event.sequence]
            self._progress.set()
        del self._jobs[job]

    async def _acknowledge_on(self) -> None:
        while True:
            await self._progress.wait()
            self._progress.clear()
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        done = next(iter(self._waiting)) - 1 if self._waiting else self._through
        if done is not None and done != self._acknowledged:
            await self._follower.acknowledge(done)
            self._acknowledged = done
