"""The event log as the followers of one process read it: the newest entries in memory, the rest from the
database.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from sqlalchemy import Engine

from birdbath.classads import Ad
from birdbath.errors import BirdbathError
from birdbath.notify.entries import Entry
from birdbath.notify.metrics import EventMetrics
from birdbath.store import Writer, event_log
from birdbath.store.reader import Reader

TAIL = 1000
"""Entries kept in memory, so that all who follow closely share one read and one rendering."""

READ_AT_ONCE = 500
OTHERS_INTERVAL = 1.0
"""Seconds after which events are noticed that another process wrote to the same database."""


class LogClosed(BirdbathError):
    """The server is stopping: no more events are handed out."""

    def __init__(self) -> None:
        super().__init__("The server is stopping")


class EventLog:
    """Reads committed events in order; for one event loop.

    Whoever waits is woken by the commit itself; nothing is polled but what another server on the same
    database may have written, once in OTHERS_INTERVAL.
    """

    def __init__(self, engine: Engine, writer: Writer, metrics: EventMetrics | None = None) -> None:
        self.metrics = metrics or EventMetrics()
        self._reader = Reader(engine)
        self._jobs = Reader(engine)
        self._lock = threading.Lock()
        self._jobs_lock = threading.Lock()
        found = event_log.bounds(self._reader)
        self._oldest, self._newest = found.oldest, found.newest
        self._tail: deque[Entry] = deque(maxlen=TAIL)
        self._news = asyncio.Event()
        self._stale = asyncio.Event()
        self._fresh = asyncio.Event()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.metrics.written = self._newest
        writer.watch_events(self._committed)

    @property
    def newest(self) -> int:
        """The newest sequence number that is known to be committed."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The oldest sequence number that is kept; `newest` + 1 when there is none."""
        return self._oldest

    async def run(self) -> None:
        """Take notice of commits until cancelled; followers are served only while this runs."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._stale.clear()
            found = await asyncio.to_thread(self._read, self._newest, READ_AT_ONCE)
            if found:
                self._append(found)
            if len(found) < READ_AT_ONCE:
                if not self._stale.is_set():
                    self._fresh.set()
                with suppress(TimeoutError):
                    # Not wait_for: on Python 3.11 it can swallow the cancellation that ends this task.
                    async with asyncio.timeout(OTHERS_INTERVAL):
                        await self._stale.wait()

    def _append(self, found: Sequence[Entry]) -> None:
        if found[0].event.sequence > self._newest + 1:  # others have deleted what was never seen here
            self._tail.clear()
            self.pruned(found[0].event.sequence)
        self._tail.extend(found)
        self._newest = found[-1].event.sequence
        self.metrics.written = self._newest
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def entries(self, after: int, most: int = READ_AT_ONCE) -> Sequence[Entry]:
        """At most `most` committed entries above `after` that are kept, in order; none when there are none
        yet.

        They follow `after` without a gap, unless `after` + 1 is older than `oldest`.
        """
        if after >= self._newest:
            return ()
        tail = self._tail
        if tail and after >= tail[0].event.sequence - 1:
            start = after + 1 - tail[0].event.sequence
            return [tail[index] for index in range(start, min(start + most, len(tail)))]
        written = self._newest
        found = await asyncio.to_thread(self._read, after, most)
        oldest = found[0].event.sequence if found else written + 1
        if oldest > after + 1:  # another server on the database deletes, too
            self.pruned(oldest)
        return found

    async def has(self, sequence: int) -> bool:
        """Whether event number `sequence` is known to be committed, looked up where it is not: another
        server on the database may have written it, and told a client.
        """
        if sequence > self._newest and not self._closed:
            self._expect()
            await self.caught_up()
        return sequence <= self._newest

    async def newer(self, after: int) -> None:
        """Return when there is a committed event above `after`. Raises LogClosed."""
        while self._newest <= after:
            if self._closed:
                raise LogClosed
            await self._news.wait()

    def end(self) -> None:
        """Let everybody who waits for events, now or later, have LogClosed: the server is stopping."""
        self._closed = True
        self._news.set()
        self._fresh.set()

    async def caught_up(self) -> None:
        """Return when every commit of this process that was answered before is known."""
        await self._fresh.wait()

    def pruned(self, oldest: int) -> None:
        """Retention deleted what is older than `oldest`."""
        self._oldest = max(self._oldest, oldest)

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            self._reader.close()
        with self._jobs_lock:
            self._jobs.close()

    def _committed(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._expect)

    def _expect(self) -> None:
        if not self._closed:  # then nobody is to wait any more
            self._fresh.clear()
        self._stale.set()

    def _read(self, after: int, most: int) -> list[Entry]:
        with self._lock:
            found = event_log.read(self._reader, after, most)
        return [Entry(event, partial(self._job, event.cluster, event.proc)) for event in found]

    def _job(self, cluster: int, proc: int) -> Ad | None:
        with self._jobs_lock:
            return event_log.job_ad(self._jobs, cluster, proc)
