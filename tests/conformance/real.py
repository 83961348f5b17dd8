"""The server's parts in this process, in front of a real pool, whose time passes by itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.collector import CollectorSettings
from birdbath.notify import Notifier
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.journal import gateway
from birdbath.pool.htcondor.pool import HTCondorPool as Pool
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions, renew_all
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool
from tests.conformance import simulated
from tests.htcondor.sweeper import Sweeper
from tests.htcondor.waiting import pause
from tests.htcondor_pool import HTCondorPool

_LONGER_THAN_ANY_LEASE = 1e6


class Gateway:
    """One database and its workers, for all tests of the run: to start them takes longer than most tests."""

    def __init__(self, home: Path, pool: HTCondorPool, sweeper: Sweeper) -> None:
        self._sweeper = sweeper
        home.chmod(0o755)  # the schedd is another account's when root runs the tests
        self._home = home
        self._connection = Connection(str(pool.configuration))
        self.ahead = 0.0
        self.runner = asyncio.Runner()
        self.start()

    def start(self) -> None:
        self._engine = open_engine(f"sqlite:///{self._home}/birdbath.db")
        self.writer = Writer(self._engine, self.time)
        self.writer.write_now(renew_all)
        name = self.writer.write_now(lambda unit: gateway(unit, "htcondor"))
        spool = Spool(self._home / "spool")
        self.pool = Pool("htcondor", self._engine, name, spool, self._connection, "127.0.0.1:8080")
        self.notifier = Notifier(self._engine, self.writer)

    def time(self) -> float:
        """The clock of leases; the pool's own cannot be stepped."""
        return time.time() + self.ahead

    def empty(self) -> None:
        """Leave nothing in the queue that a former test put there."""
        self._sweeper.sweep()
        self.writer.write_now(self._let_all_leave)

    def _let_all_leave(self, unit: UnitOfWork) -> None:
        for cluster in self.pool.journal.clusters():
            self.pool.journal.leave(unit, cluster)

    def stop(self) -> None:
        self.notifier.close()
        self.pool.close()
        self.writer.close()
        self._engine.dispose()

    def close(self) -> None:
        self.stop()
        self.runner.close()


class Real:
    """See `door.Pool`. `settings` are fields of ScheddSettings and CollectorSettings."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, gateway: Gateway, settings: dict[str, object]) -> None:
        self._gateway = gateway
        self._settings = settings
        gateway.empty()
        self._start()
        self._let_pass(_LONGER_THAN_ANY_LEASE)

    def _start(self) -> None:
        self._schedd = simulated.given(ScheddSettings, self._settings)
        self._backend = Backend(
            self._gateway.writer,
            self._gateway.pool.queue,
            self._gateway.pool.directory,
            self._schedd,
            simulated.given(CollectorSettings, self._settings),
            self._gateway.notifier,
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        simulated.switch.to = self._backend
        return self._gateway.runner.run(simulated.post(body))

    def advance(self, seconds: float) -> None:
        self._let_pass(seconds)
        pause()

    def _let_pass(self, seconds: float) -> None:
        self._gateway.ahead += seconds
        self._gateway.writer.write_now(self._expire)

    def _expire(self, unit: UnitOfWork) -> None:
        queue = self._gateway.pool.queue
        expire_transactions(ScheddContext(self._schedd, queue, Caller("local"), unit))

    def time(self) -> float:
        return time.time()

    def restart(self) -> None:
        """What was said to be durable is in the files; nothing is handed over in memory."""
        self._gateway.stop()
        self._gateway.start()
        self._start()

    def close(self) -> None:
        """The gateway goes on."""
