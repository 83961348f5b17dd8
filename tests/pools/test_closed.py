"""While the federation commits a transaction nobody else may add to it: it could not come along."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from birdbath import backend
from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.classads import AdMemory
from birdbath.collector import CollectorSettings
from birdbath.errors import BirdbathError, InvalidTransaction, Unavailable
from birdbath.federation import journal
from birdbath.federation.backend import FederationBackend
from birdbath.federation.queue import FederationQueue, NoDirectory
from birdbath.federation.views import Clusters, Views
from birdbath.http.idempotency import Once
from birdbath.notify import Notifier
from birdbath.pool.simulated import ManualClock, SimulatedPool
from birdbath.schedd import ScheddSettings, Transaction
from birdbath.soap import Reply
from birdbath.soap.operations import Operations
from birdbath.store import Writer, open_engine
from birdbath.store.sandbox import Spool
from birdbath.store.trouble import StorageTrouble

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

    meanwhile: Callable[[], Awaitable[None]] = staticmethod(partial(asyncio.sleep, 0.0))
    refusal: Exception | None = None
    """Instead of commits."""

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        if operation == "beginTransaction":
            await self.meanwhile()
        return await super().run(operation, caller, work)

    async def run_once(
        self, operation: str, caller: Caller, work: Callable[[Operations], T], once: backend.Once[T]
    ) -> T:
        if self.refusal is not None:
            raise self.refusal
        return await super().run_once(operation, caller, work, once)


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
        self.clusters = clusters = Clusters(own.write_now(lambda unit: journal.numbered(unit, ["pool"])), {})
        staging = FederationQueue(Spool(folder / "own"), clock.time)
        backend = Backend(own, staging, NoDirectory(), settings, CollectorSettings(), own_notifier)
        views = Views(clusters, AdMemory(1 << 24))
        self.door = FederationBackend(backend, staging, settings, {"pool": self.pool}, clusters, views)

    async def call(self, operation: str, work: Callable[[Operations], T]) -> T:
        return await self.door.run(operation, ANN, work)

    async def commit(self, txn: Transaction) -> Reply:
        """With an Idempotency-Key that is the transaction's."""

        def work(all: Operations) -> Reply:
            all.schedd.commit_transaction(txn)
            return Reply(200, "text/xml", [b"committed"])

        once = Once("ann", str(txn.id), b"")
        return await self.door.run_once("commitTransaction", ANN, work, once)

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

        world.pool.meanwhile = refuse
        with pytest.raises(BirdbathError, match="not today"):
            await world.add("commitTransaction", txn, cluster)
        assert await world.add("newJob", txn, cluster) == 1
        del world.pool.meanwhile
        await world.add("commitTransaction", txn, cluster)
        return await world.jobs()

    assert sorted(asyncio.run(run())) == [0, 1]


def test_a_commit_that_its_pool_is_yet_to_do_is_told_of_when_it_is_known(world: World) -> None:
    """The pool went away when it was decided; nobody tells the client of a success before there is one."""

    async def run() -> tuple[bytes, list[int]]:
        txn, _ = await world.staged()
        world.pool.refusal = Unavailable("away")
        with pytest.raises(Unavailable, match="away"):
            await world.commit(txn)
        for _ in range(2):
            with pytest.raises(Unavailable, match="waits for pool pool"):
                await world.commit(txn)
            await world.door.commits.conclude()
        world.pool.refusal = None
        await world.door.commits.conclude()
        reply = await world.commit(txn)
        return b"".join(reply.chunks), await world.jobs()

    assert asyncio.run(run()) == (b"committed", [0])


def test_a_commit_that_comes_to_nothing_after_all_can_be_asked_for_again(world: World) -> None:
    async def run() -> tuple[bytes, list[int]]:
        txn, _ = await world.staged()
        world.pool.refusal = Unavailable("away")
        with pytest.raises(Unavailable, match="away"):
            await world.commit(txn)
        world.pool.refusal = BirdbathError("not today")
        await world.door.commits.conclude()
        assert await world.jobs() == []
        world.pool.refusal = None
        reply = await world.commit(txn)
        return b"".join(reply.chunks), await world.jobs()

    assert asyncio.run(run()) == (b"committed", [0])


def test_a_disk_that_fails_after_the_decision_refuses_nothing(world: World) -> None:
    """The client must not be told that nothing was done, for it will be."""
    full = OSError(errno.ENOSPC, "full")

    async def run() -> list[int]:
        txn, _ = await world.staged()
        world.pool.refusal = full
        with pytest.raises(Unavailable, match="waits for pool pool: The server's disk is full"):
            await world.commit(txn)
        await world.door.commits.conclude()
        assert await world.jobs() == []
        world.pool.refusal = None
        await world.door.commits.conclude()
        return await world.jobs()

    assert asyncio.run(run()) == [0]


def test_a_disk_that_fails_when_the_pool_has_committed_refuses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    async def run() -> tuple[bytes, list[int]]:
        txn, _ = await world.staged()
        with monkeypatch.context() as patched:
            patched.setattr(journal, "done", fail)
            patched.setattr(journal, "reopen", fail)
            with pytest.raises(Unavailable, match="The server's disk is full"):
                await world.commit(txn)
        await world.door.commits.conclude()
        reply = await world.commit(txn)
        return b"".join(reply.chunks), await world.jobs()

    assert asyncio.run(run()) == (b"committed", [0])


def test_a_pool_whose_disk_fails_is_one_that_refuses(world: World) -> None:
    async def run() -> list[int]:
        txn, _ = await world.staged()

        async def fail() -> None:
            raise OSError(errno.ENOSPC, "full")

        world.pool.meanwhile = fail
        with pytest.raises(StorageTrouble, match="The server's disk is full"):
            await world.commit(txn)
        del world.pool.meanwhile
        await world.commit(txn)
        return await world.jobs()

    assert asyncio.run(run()) == [0]


def test_a_commit_that_a_stop_gives_up_is_the_clients_again(world: World) -> None:
    async def run() -> list[int]:
        txn, _ = await world.staged()
        begun = asyncio.Event()

        async def take_long() -> None:
            begun.set()
            await asyncio.Event().wait()

        world.pool.meanwhile = take_long
        request = asyncio.create_task(world.commit(txn))
        await begun.wait()
        request.cancel()
        await asyncio.wait([request])
        await world.door.stop()
        del world.pool.meanwhile
        await world.door.commits.conclude()
        await world.commit(txn)
        return await world.jobs()

    assert asyncio.run(run()) == [0]


def test_actions_on_jobs_of_pools_that_are_gone_are_passed_over(world: World) -> None:
    async def run() -> bytes:
        txn, cluster = await world.staged()
        await world.commit(txn)
        other = await world.call("beginTransaction", lambda all: all.schedd.begin_transaction(60))
        await world.call(
            "releaseJob", lambda all: all.schedd.release_job(other, cluster, 0, None, False, False)
        )
        world.clusters.remove({cluster: 1})
        reply = await world.commit(other)
        return b"".join(reply.chunks)

    assert asyncio.run(run()) == b"committed"
