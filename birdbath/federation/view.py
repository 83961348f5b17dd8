"""The federation of one server: its own database and spool, its backend, its work in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import URL, Engine

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.background import LEASE_CHECK, SWEEP_INTERVAL, Watch
from birdbath.classads import AdMemory
from birdbath.collector import CollectorSettings
from birdbath.federation import journal
from birdbath.federation.backend import FederationBackend
from birdbath.federation.queue import FederationQueue, NoDirectory
from birdbath.federation.views import Clusters, Views
from birdbath.notify import Notifier
from birdbath.pool.base import JobId
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions, renew_all
from birdbath.schedd.staging import all_jobs
from birdbath.settings import Settings
from birdbath.store import UnitOfWork, Writer, kept_replies, open_engine
from birdbath.store.files import make_directory
from birdbath.store.sandbox import Spool

MEMORY: Final = 64 << 20
"""Bytes for the forms of ads that are being answered."""


@dataclass
class Federation:
    """What the federation consists of."""

    settings: Settings
    engine: Engine
    writer: Writer
    spool: Spool
    queue: FederationQueue
    schedd: ScheddSettings
    backend: FederationBackend
    notifier: Notifier

    def __post_init__(self) -> None:
        self._watch = Watch()
        self._concluded = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def close(self) -> None:
        """Give back the database."""
        self.notifier.close()
        self.writer.close()
        self.engine.dispose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Commits are concluded, leases end, and what is left over is swept away in the block. It begins when
        every commit that was left was tried, unless a pool takes longer than `federation_timeout`.
        """
        loops = (self._conclude(), self._expire(), self._sweep())
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._concluded.wait(), self.settings.federation_timeout)
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.backend.stop()

    async def check(self) -> str | None:
        """What is wrong with the background work, for /health/ready."""
        found = list(self._watch.troubles())
        if any(task.done() for task in self._tasks):
            found.append("a loop has ended")
        return "; ".join(found) or None

    async def check_pools(self) -> str | None:
        """Which pools do not answer: something is wrong when none does."""
        troubles = await self.backend.troubles()
        if len(troubles) < len(self.backend.pools):
            return None
        return "; ".join(f"{pool}: {text}" for pool, text in troubles.items())

    async def _conclude(self) -> None:
        async def conclude() -> None:
            await self.backend.commits.conclude()
            await self.backend.commits.tidy()

        while True:
            await self._watch.unless_it_fails("concluding commits", conclude, 0.0)
            self._concluded.set()
            await asyncio.sleep(LEASE_CHECK)

    async def _expire(self) -> None:
        def expire(unit: UnitOfWork) -> float:
            return float(expire_transactions(ScheddContext(self.schedd, self.queue, Caller("local"), unit)))

        while True:
            await self._watch.unless_it_fails("ending leases", lambda: self.writer.write(expire), LEASE_CHECK)
            await asyncio.sleep(LEASE_CHECK)

    async def _sweep(self) -> None:
        """Delete sandboxes that belong to no transaction."""

        def sweep(unit: UnitOfWork) -> float:
            kept_replies.sweep(unit)
            kept = all_jobs(unit)
            for cluster, proc in self.spool.jobs():
                if JobId(cluster, proc) in kept:
                    continue
                sandbox = self.spool.sandbox(cluster, proc)
                with suppress(OSError):
                    age = time.time() - sandbox.path.stat().st_mtime
                    if age > self.settings.abandoned_spool_age:
                        sandbox.remove()
            return SWEEP_INTERVAL

        while True:
            rest = await self._watch.unless_it_fails(
                "sweeping the spool", lambda: self.writer.write_alone(sweep), LEASE_CHECK
            )
            await asyncio.sleep(rest or 0.0)


def build_federation(
    settings: Settings, schedd: ScheddSettings, collector: CollectorSettings, pools: Mapping[str, Backend]
) -> Federation:
    """The federation of `pools`, on a database of its own in `pools/federation` of the home folder; `schedd`
    and `collector` are the settings of the server's own pool.
    """
    folder = settings.folder / "pools" / "federation"
    make_directory(folder)
    spool = Spool(folder / "spool")
    engine = open_engine(URL.create("sqlite", database=str(folder / "birdbath.db")).render_as_string())
    writer = Writer(engine)

    def resume(unit: UnitOfWork) -> Clusters:
        renew_all(unit)
        journal.reopen(unit, ())
        return Clusters(journal.numbered(unit, pools), journal.clusters(unit))

    clusters = writer.write_now(resume)
    queue = FederationQueue(spool)
    mine = replace(schedd, name=f"federation@{settings.schedd_name.rpartition('@')[2]}")
    notifier = Notifier(engine, writer)
    own = Backend(writer, queue, NoDirectory(), mine, collector, notifier)
    backend = FederationBackend(
        own,
        queue,
        mine,
        pools,
        clusters,
        Views(clusters, AdMemory(MEMORY)),
        settings.federation_rules,
        settings.federation_timeout,
    )
    return Federation(settings, engine, writer, spool, queue, mine, backend, notifier)
