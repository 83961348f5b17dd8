"""Calls that have to be run again elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.collector import CollectorSettings
from birdbath.notify import Notifier
from birdbath.pool.base import JobId
from birdbath.pool.simulated.clock import ManualClock
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions
from birdbath.schedd.ending import SMALL_COMMIT
from birdbath.soap.operations import Operations
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool

T = TypeVar("T")
ANN = Caller("127.0.0.1", "ann")


def test_a_large_commit_that_came_in_time_may_wait_longer_than_its_lease(tmp_path: Path) -> None:
    """It is looked at, and waits for its turn once more; no expiry comes between."""
    engine, clock = open_engine(f"sqlite:///{tmp_path / 'birdbath.db'}"), ManualClock()
    writer, settings = Writer(engine, clock.time), ScheddSettings()
    pool, notifier = SimulatedPool(engine, Spool(tmp_path / "spool"), clock=clock), Notifier(engine, writer)
    backend = Backend(writer, pool.queue, pool.directory, settings, CollectorSettings(), notifier)

    def expire(unit: UnitOfWork) -> int:
        return expire_transactions(ScheddContext(settings, pool.queue, Caller("local"), unit))

    async def late() -> JobId:
        def run(operation: str, work: Callable[[Operations], T]) -> asyncio.Task[T]:
            return asyncio.create_task(backend.run(operation, ANN, work))

        transaction = await run("beginTransaction", lambda all: all.schedd.begin_transaction(10))
        cluster = await run("newCluster", lambda all: all.schedd.new_cluster(transaction))
        for _ in range(SMALL_COMMIT + 1):
            await run("newJob", lambda all: all.schedd.new_job(transaction, cluster))
        go_on = threading.Event()
        before = asyncio.create_task(writer.write_alone(lambda _: go_on.wait(60)))
        await asyncio.sleep(0)
        clock.step(9)
        commit = run("commitTransaction", lambda all: all.schedd.commit_transaction(transaction))
        await asyncio.sleep(0)
        clock.step(60)
        expiry = asyncio.create_task(writer.write(expire))
        await asyncio.sleep(0)
        go_on.set()
        await commit
        assert await before
        assert await expiry == 0
        return JobId(cluster, SMALL_COMMIT)

    try:
        assert pool.queue.job(asyncio.run(late())) is not None
    finally:
        notifier.close()
        pool.close()
        writer.close()
        engine.dispose()
