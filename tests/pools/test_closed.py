"""While the federation commits a transaction nobody else may add to it: it could not come along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.classads import AdMemory
from birdbath.collector import CollectorSettings
from birdbath.errors import BirdbathError, InvalidTransaction
from birdbath.federation import journal
from birdbath.federation.backend import FederationBackend
from birdbath.federation.queue import FederationQueue, NoDirectory
from birdbath.federation.views import Clusters, Views
from birdbath.notify import Notifier
from birdbath.pool.simulated import ManualClock, SimulatedPool
from birdbath.schedd import ScheddSettings, Transaction
from birdbath.soap.operations import Operations
from birdbath.store import Writer, open_engine
from birdbath.store.sandbox import Spool

T = TypeVar("T")
ANN = Caller("127.0.0.1", "ann")
ADDITIONS: dict[str, Callable[[Operations, Transaction, int], object]] = {
    "submit": lambda all, txn, cluster: all.schedd.submit(txn, cluster, 0, [("Mark", "n", "1")]),
    "declareFile": lambda all, txn, cluster: all.schedd.declare_file(txn, cluster, 0, "g", 0, 0, None),
    "sendFile": lambda all, txn, cluster: all.schedd.send_file(txn, cluster, 0, "f", 0, b"other"),
    "newJob": lambda all, txn, cluster: all.schedd.new_job(txn, cluster),
    "holdJob": lambda all, txn, cluster: all.schedd.hold_job(txn, cluster, 0, None, False, False, False),
    "commitTransaction": lambda all, txn, cluster: all.schedd.commit_transaction(txn),
    "abortTransaction": lambda all, txn, cluster: all.schedd.abort_transaction(txn),
}


class Interrupted(Backend):
    """A pool that lets something happen before it takes a submission."""

    meanwhile: Callable[[], Awaitable[None]]

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        if operation == "beginTransaction":
            await self.meanwhile()
        return await super().run(operation, caller, work)


class World:
    """A federation of one simulated pool."""

    def __init__(self, folder: Path) -> None:
        clock, settings = ManualClock(), ScheddSettings()
        self._engines = [open_engine(f"sqlite:///{folder / name}.db") for name in ("own", "pool")]
        self._writers = [Writer(engine, clock.time) for engine in self._engines]
        self._notifiers = [Notifier(*both) for both in zip(self._engines, self._writers, strict=True)]
        (own, their), (own_notifier, their_notifier) = self._writers, self._notifiers
        self._simulated = SimulatedPool(self._engines[1], Spool(folder / "pool"), clock=clock)
        queue, directory = self._simulated.queue, self._simulated.directory
        self.pool = Interrupted(their, queue, directory, settings, CollectorSettings(), their_notifier)
        clusters = Clusters(own.write_now(lambda unit: journal.numbered(unit, ["pool"])), {})
        staging = FederationQueue(Spool(folder / "own"), clock.time)
        backend = Backend(own, staging, NoDirectory(), settings, CollectorSettings(), own_notifier)
        views = Views(clusters, AdMemory(1 << 24))
        self._door = FederationBackend(backend, staging, settings, {"pool": self.pool}, clusters, views)

    async def call(self, operation: str, work: Callable[[Operations], T]) -> T:
        return await self._door.run(operation, ANN, work)

    async def add(self, operation: str, txn: Transaction, cluster: int) -> object:
        return await self.call(operation, lambda all: ADDITIONS[operation](all, txn, cluster))

    async def staged(self) -> tuple[Transaction, int]:
        txn = await self.call("beginTransaction", lambda all: all.schedd.begin_transaction(60))
        cluster = await self.call("newCluster", lambda all: all.schedd.new_cluster(txn))
        await self.add("newJob", txn, cluster)
        await self.call("declareFile", lambda all: all.schedd.declare_file(txn, cluster, 0, "f", 5, 0, None))
        await self.call("sendFile", lambda all: all.schedd.send_file(txn, cluster, 0, "f", 0, b"first"))
        return txn, cluster

    async def jobs(self) -> list[int]:
        found = await self.call("getJobAds", lambda all: all.schedd.get_job_ads(None, None))
        return [record.key[1] for record in found.records]

    def close(self) -> None:
        for notifier in self._notifiers:
            notifier.close()
        self._simulated.close()
        for writer in self._writers:
            writer.close()
        for engine in self._engines:
            engine.dispose()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("addition", ADDITIONS)
def test_what_comes_while_a_commit_is_on_its_way_is_refused(world: World, addition: str) -> None:
    """3.1 rule 2: not acknowledged and then lost."""

    async def run() -> list[int]:
        txn, cluster = await world.staged()

        async def meanwhile() -> None:
            with pytest.raises(InvalidTransaction):
                await world.add(addition, txn, cluster)

        world.pool.meanwhile = meanwhile
        await world.add("commitTransaction", txn, cluster)
        return await world.jobs()

    assert asyncio.run(run()) == [0]


def test_a_transaction_that_its_pool_refuses_goes_on(world: World) -> None:
    async def run() -> list[int]:
        txn, cluster = await world.staged()

        async def refuse() -> None:
            raise BirdbathError("not today")

        async def agree() -> None:
            pass

        world.pool.meanwhile = refuse
        with pytest.raises(BirdbathError, match="not today"):
            await world.add("commitTransaction", txn, cluster)
        assert await world.add("newJob", txn, cluster) == 1
        world.pool.meanwhile = agree
        await world.add("commitTransaction", txn, cluster)
        return await world.jobs()

    assert sorted(asyncio.run(run())) == [0, 1]
