"""The federation of two simulated pools in this process, with a clock that the tests step."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.classads import AdMemory
from birdbath.collector import CollectorSettings
from birdbath.federation import journal
from birdbath.federation.backend import FederationBackend
from birdbath.federation.queue import FederationQueue, NoDirectory
from birdbath.federation.views import Clusters, Views
from birdbath.notify import Notifier
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions, renew_all
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool
from tests.conformance import simulated
from tests.conformance.simulated import Simulated


class Federated:
    """See `door.Pool`: two `Simulated` pools, `one` and `two`, asked through the federation."""

    capabilities = Simulated.capabilities

    def __init__(self, folder: Path, empty_database: Path, settings: dict[str, object]) -> None:
        folder.mkdir()
        self._folder = folder
        self._settings = settings
        self._pools = {name: Simulated(folder / name, empty_database, settings) for name in ("one", "two")}
        shutil.copy(empty_database, folder / "birdbath.db")
        self._runner = asyncio.Runner()
        self._start()

    def _start(self) -> None:
        self._engine = open_engine(f"sqlite:///{self._folder / 'birdbath.db'}")
        self._writer = Writer(self._engine, self.time)
        self._writer.write_now(renew_all)
        numbers = self._writer.write_now(lambda unit: journal.numbered(unit, self._pools))
        clusters = Clusters(numbers, self._writer.write_now(journal.clusters))
        self._queue = FederationQueue(Spool(self._folder / "spool"), self.time)
        self._schedd = simulated.given(ScheddSettings, self._settings)
        collector = simulated.given(CollectorSettings, self._settings)
        self._notifier = Notifier(self._engine, self._writer)
        own = Backend(self._writer, self._queue, NoDirectory(), self._schedd, collector, self._notifier)
        self._backend = FederationBackend(
            own,
            self._queue,
            self._schedd,
            {name: pool.backend for name, pool in self._pools.items()},
            clusters,
            Views(clusters, AdMemory(1 << 24)),
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        simulated.switch.to = self._backend
        return self._runner.run(simulated.post(body))

    def advance(self, seconds: float) -> None:
        for pool in self._pools.values():
            pool.advance(seconds)
        self._writer.write_now(self._expire)

    def _expire(self, unit: UnitOfWork) -> None:
        expire_transactions(ScheddContext(self._schedd, self._queue, Caller("local"), unit))

    def time(self) -> float:
        return self._pools["one"].time()

    def restart(self) -> None:
        """What was said to be durable is in the files; nothing is handed over in memory."""
        self._stop()
        for pool in self._pools.values():
            pool.restart()
        self._start()

    def _stop(self) -> None:
        self._notifier.close()
        self._writer.close()
        self._engine.dispose()

    def close(self) -> None:
        self._stop()
        for pool in self._pools.values():
            pool.close()
        self._runner.close()
