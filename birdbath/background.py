"""What a server does by itself: let the pool do what is due, end leases, sweep; and whether it gets on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress

from birdbath.access import Caller
from birdbath.http.tls import ServerTls
from birdbath.pool.htcondor.pool import HTCondorPool
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.pool_events import PoolEvents
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions
from birdbath.schedd.staging import all_jobs
from birdbath.store import UnitOfWork, Writer, kept_replies
from birdbath.store.trouble import trouble_of

_log = logging.getLogger(__name__)

LEASE_CHECK = 1.0
EVENT_CHECK = 0.25
LONGEST_REST = 5.0
SWEEP_INTERVAL = 600.0
CERTIFICATE_CHECK = 2.0
PATIENCE = 60.0
"""Seconds after which a piece of background work that has not ended counts as stuck."""


class Watch:
    """Runs pieces of background work, and knows which of them fail or are stuck at the moment."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failing: dict[str, str] = {}
        self._begun: dict[str, float] = {}

    async def unless_it_fails(
        self, what: str, work: Callable[[], Awaitable[float | None]], instead: float
    ) -> float | None:
        """Do `work`; a failure is logged, and `instead` seconds later 0.0 is returned: it is to be tried
        again.

        The second of the two places that may catch everything: background work has nobody else to tell.
        """
        self._begun[what] = self._now()
        try:
            done = await work()
        except Exception as error:
            trouble = trouble_of(error)
            self._failing[what] = str(trouble or type(error).__name__)
            if trouble is not None:
                _log.error("Failed while %s; trying again: %s", what, trouble)
            else:
                _log.exception("Failed while %s; trying again", what)
        else:
            self._failing.pop(what, None)
            return done
        finally:
            del self._begun[what]
        await asyncio.sleep(instead)
        return 0.0

    def troubles(self) -> Iterator[str]:
        """What fails since its last attempt, and what has taken longer than PATIENCE seconds so far."""
        for what, text in self._failing.items():
            yield f"failed while {what}: {text}"
        for what, begun in self._begun.items():
            if (seconds := self._now() - begun) > PATIENCE:
                yield f"{what} has taken {seconds:.0f} seconds so far"


class Background:
    """The background work of one server: made with it, `start`ed in its event loop, `stop`ped at its end.

    `others` tells what else runs in the background and fails at the moment, by name.
    """

    def __init__(
        self,
        writer: Writer,
        pool: SimulatedPool | HTCondorPool,
        schedd: ScheddSettings,
        abandoned_spool_age: float,
        tls: ServerTls | None,
        others: Callable[[], Mapping[str, str]],
        pool_events: PoolEvents | None,
    ) -> None:
        self._writer = writer
        self._pool = pool
        self._schedd = schedd
        self._abandoned_spool_age = abandoned_spool_age
        self._tls = tls
        self._others = others
        self._pool_events = pool_events
        self._watch = Watch()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, as tasks of the running event loop."""
        pool = self._pool
        drive = self._tend(pool) if isinstance(pool, HTCondorPool) else self._drive(pool)
        loops = [drive, self._expire(), self._sweep()]
        if self._pool_events is not None:
            loops.append(self._take_over(self._pool_events))
        if self._tls is not None:
            loops.append(self._follow_certificate(self._tls))
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Cancel all of it, and return when it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def check(self) -> str | None:
        """What is wrong, for /health/ready."""
        found = [*self._watch.troubles(), *(f"{name}: {text}" for name, text in self._others().items())]
        if any(task.done() for task in self._tasks):
            found.append("a loop has ended")
        return "; ".join(found) or None

    async def _tend(self, pool: HTCondorPool) -> None:
        """Conclude what calls to a real pool left undone."""
        while True:
            await self._watch.unless_it_fails(
                "tending the pool", lambda: pool.tend(self._writer.write), LEASE_CHECK
            )
            await asyncio.sleep(LEASE_CHECK)

    async def _take_over(self, events: PoolEvents) -> None:
        """Take over the events of a real pool, as they come."""

        async def take_over() -> float:
            place = await self._writer.write(events.place)
            found, after = await asyncio.to_thread(events.read, place)
            if after != place:
                await self._writer.write(lambda unit: events.keep(unit, found, after))
            return EVENT_CHECK

        while True:
            rest = await self._watch.unless_it_fails("taking over events", take_over, LEASE_CHECK)
            await asyncio.sleep(rest or 0.0)

    async def _drive(self, pool: SimulatedPool) -> None:
        """Let the simulated pool do what is due, whenever something is."""
        kicked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def kick() -> None:
            loop.call_soon_threadsafe(kicked.set)

        pool.on_change(kick)
        while True:
            kicked.clear()
            due = await self._watch.unless_it_fails(
                "advancing the pool", lambda: self._writer.write(pool.advance), LEASE_CHECK
            )
            # Not for ever: another server on the same database may have been killed in the middle of a run.
            wait = min(LONGEST_REST, LONGEST_REST if due is None else pool.clock.delay(due))
            if wait == 0.0:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await kicked.wait()

    async def _expire(self) -> None:
        """Abort transactions whose lease has run out."""

        def expire(unit: UnitOfWork) -> float:
            context = ScheddContext(self._schedd, self._pool.queue, Caller("local"), unit)
            ended = expire_transactions(context)
            if ended:
                _log.info("Transactions expired: %d", ended)
            return LEASE_CHECK

        while True:
            await asyncio.sleep(LEASE_CHECK)
            await self._watch.unless_it_fails(
                "expiring transactions", lambda: self._writer.write(expire), LEASE_CHECK
            )

    async def _sweep(self) -> None:
        """Delete spool directories that belong to no job and no transaction."""

        pool, age = self._pool, self._abandoned_spool_age

        def sweep(unit: UnitOfWork) -> float:
            kept_replies.sweep(unit)
            if isinstance(pool, SimulatedPool):
                _say_swept(pool.sweep(unit, age, all_jobs(unit)))
            return SWEEP_INTERVAL

        async def sweep_all() -> float:
            rest = await self._writer.write_alone(sweep)
            if isinstance(pool, SimulatedPool):
                while await self._writer.write(pool.prune_history):
                    pass
            if isinstance(pool, HTCondorPool):
                staged = await self._writer.write(all_jobs)
                _say_swept(await pool.sweep(self._writer.write, age, time.time(), staged))
            return rest

        while True:
            rest = await self._watch.unless_it_fails("sweeping the spool", sweep_all, LONGEST_REST)
            await asyncio.sleep(rest or 0.0)

    async def _follow_certificate(self, tls: ServerTls) -> None:
        """Use a renewed certificate without a restart."""
        while True:
            await asyncio.sleep(CERTIFICATE_CHECK)
            await asyncio.to_thread(tls.look)


def _say_swept(swept: int) -> None:
    if swept:
        _log.info("Abandoned spool directories deleted: %d", swept)
