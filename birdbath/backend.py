"""Where the operations of a call run: which unit of work, which thread, and durable before it is answered."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from birdbath.access import EVENT_OPERATIONS, Caller, Unit, check, operation_info
from birdbath.classads import Item
from birdbath.collector import Collector, CollectorSettings
from birdbath.errors import BirdbathError
from birdbath.notify import Notifier
from birdbath.notify.calls import EventCalls, Suspended
from birdbath.pool.asking import Answers, Waiting, answering, await_steps, current
from birdbath.pool.base import AdDirectory, JobQueue
from birdbath.pool.suitability import Recommendation
from birdbath.schedd import Elsewhere, Renewal, Schedd, ScheddContext, ScheddSettings, Transaction
from birdbath.soap.operations import Operations
from birdbath.store import UnitOfWork, Writer

_log = logging.getLogger(__name__)

T = TypeVar("T")

CONCLUDED_WITHIN = 5.0
"""Seconds that a call waits for what follows its commit in the pool."""

STAGING = frozenset(
    {"beginTransaction", "extendTransaction", "newCluster", "newJob", "declareFile", "sendFile", "submit"}
)
"""Writes that are nothing to anybody until the transaction is committed."""

LISTINGS = frozenset(
    {
        "getJobAds",
        "queryJobs",
        "queryHistory",
        "queryAds",
        *(
            f"query{kind}Ads"
            for kind in ("Startd", "Schedd", "Master", "Submittor", "License", "Storage", "Any")
        ),
    }
)
"""Reads whose work grows with the pool: never on the event loop."""


class Once(Protocol[T]):
    """A call that is done once: what came of it is kept under a key."""

    @property
    def key(self) -> str:
        """The key."""

    def find(self, unit: UnitOfWork) -> T | None:
        """What is kept."""

    def keep(self, unit: UnitOfWork, outcome: T) -> None:
        """Keep what came of it."""


class OnePool:
    """There is nothing to recommend where there is one pool."""

    def recommend(self, ad: list[Item] | None) -> Recommendation:
        raise BirdbathError("This is one pool; several are recommended at /pools/federation, where there are")


_ONE_POOL = OnePool()


@dataclass(frozen=True)
class CallOperations:
    """All services for one call."""

    schedd: Schedd
    collector: Collector
    events: EventCalls
    federation: OnePool = _ONE_POOL


E = TypeVar("E", bound=Exception)


def _detached(error: E) -> E:
    """The error without the frames that it came through. One of them keeps it, so that together they would
    stay, with all that the call has sent and got, until the collector comes.
    """
    return error.with_traceback(None)


class Backend:
    """Runs calls on an embedded or real pool, for one event loop.

    What a call wrote is durable when `run` returns. An unexpected exception undoes the call alone and
    propagates.
    """

    def __init__(
        self,
        writer: Writer,
        queue: JobQueue,
        directory: AdDirectory,
        schedd: ScheddSettings,
        collector: CollectorSettings,
        notifier: Notifier,
        deferring: bool = False,
    ) -> None:
        """With `deferring` what a transaction stages is on disk when it is committed; the process may be
        killed before, but a loss of power ends the transaction (see `schedd.resuming`).
        """
        self._notifier = notifier
        self._writer = writer
        self._queue = queue
        self._directory = directory
        self._schedd = schedd
        self._collector = collector
        # One long listing at a time: two would only take the interpreter from each other, and twice the
        # memory.
        self._listing = threading.Lock()
        self._deferring = deferring
        self._concluding: set[asyncio.Task[None]] = set()

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        """Run `work` where `operation` belongs, and again elsewhere if it says so (see `Elsewhere`).

        Raises PermissionDenied, or Forbidden, when the caller lacks the operation's level; then nothing of it
        was done, not even a lease renewed.
        """
        check(operation_info(operation), caller)
        if operation in EVENT_OPERATIONS:
            return await self._run_events(caller, work)

        async def run() -> T:
            try:
                return await self._run(operation, caller, work)
            except Elsewhere as first:
                elsewhere = _detached(first)
            try:
                return await self._run_elsewhere(operation, caller, work, elsewhere)
            except Elsewhere as second:
                elsewhere = _detached(second)
            return await self._run_elsewhere(operation, caller, work, elsewhere)

        return await self._answering(run)

    async def run_once(
        self, operation: str, caller: Caller, work: Callable[[Operations], T], once: Once[T]
    ) -> T:
        """`run` for an operation that writes, unless it was done before: then what was kept. What comes of it
        is kept in the same unit.
        """
        check(operation_info(operation), caller)

        def done(unit: UnitOfWork, patient: bool) -> T:
            outcome = once.find(unit)
            if outcome is None:
                outcome = work(self._operations(caller, unit, patient))
                once.keep(unit, outcome)
            return outcome

        async def run() -> T:
            try:
                return await self._write(lambda unit: done(unit, False))
            except Elsewhere:
                return await self._writer.write_alone(lambda unit: done(unit, True))

        return await self._answering(run)

    async def _answering(self, run: Callable[[], Awaitable[T]]) -> T:
        """`run`, again and again while it waits for the pool, and then what the pool needs to be told."""
        answers = Answers()
        try:
            while True:
                try:
                    with answering(answers):
                        return await run()
                except Waiting as waiting:
                    asked = _detached(waiting)
                await self._settle(answers, asked)
        finally:
            for steps in answers.concluded_by:
                task = asyncio.create_task(self._conclude(steps()))
                self._concluding.add(task)
                task.add_done_callback(self._concluding.discard)
                # The call does not depend on it: what takes longer goes on, and is tried again later.
                await asyncio.wait([task], timeout=CONCLUDED_WITHIN)

    async def _settle(self, answers: Answers, waiting: Waiting) -> None:
        try:
            answers.keep(waiting.key, await await_steps(waiting.steps(), self._writer.write))
        except BirdbathError as error:
            answers.keep(waiting.key, None, error)

    async def _conclude(self, steps: Any) -> None:
        try:
            await await_steps(steps, self._writer.write)
        except BirdbathError as error:
            _log.warning("A commit could not be concluded yet: %s", error)
        except Exception:  # nobody else would be told; the background work tries again
            _log.exception("A commit could not be concluded yet")

    async def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work of its own, durable when this returns."""
        return await self._writer.write(work)

    async def _run_events(self, caller: Caller, work: Callable[[Operations], T]) -> T:
        operations = self._operations(caller, None)
        try:
            return work(operations)
        except Suspended as suspended:
            settled = await EventCalls.settle(self._notifier, caller, suspended)
        return work(replace(operations, events=settled))

    async def _run_elsewhere(
        self, operation: str, caller: Caller, work: Callable[[Operations], T], elsewhere: Elsewhere
    ) -> T:
        if elsewhere.in_unit:
            return await self._write_alone(caller, work)
        renewal = None
        if elsewhere.transaction is not None:
            renewal = await self._renew(caller, elsewhere.transaction)
        return await self._run_patiently(operation, caller, work, renewal)

    async def _write_alone(self, caller: Caller, work: Callable[[Operations], T]) -> T:
        return await self._writer.write_alone(lambda unit: work(self._operations(caller, unit, patient=True)))

    async def _run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        unit = operation_info(operation).unit
        if unit is Unit.WRITE:
            if self._deferring:
                relaxed = operation in STAGING
            else:
                # A chunk is on disk with the file; only strict checks ask the database which have come.
                relaxed = operation == "sendFile" and not self._schedd.strict
            return await self._write(lambda unit: work(self._operations(caller, unit)), relaxed)
        if operation in LISTINGS:
            return await self._run_patiently(operation, caller, work, None)
        return work(self._operations(caller, None))

    async def _write(self, work: Callable[[UnitOfWork], T], relaxed: bool = False) -> T:
        """Run `work` in a unit of work on the event loop. Raises Elsewhere when that is durable: a lease that
        it has renewed in time may not run out before its next turn comes.
        """

        def attempt(unit: UnitOfWork) -> T | Elsewhere:
            try:
                return work(unit)
            except Elsewhere as elsewhere:
                return _detached(elsewhere)

        done = await self._writer.write(attempt, relaxed)
        if isinstance(done, Elsewhere):
            raise done
        return done

    async def _run_patiently(
        self, operation: str, caller: Caller, work: Callable[[Operations], T], renewal: Renewal | None
    ) -> T:
        if operation_info(operation).unit is Unit.WRITE:
            return await self._write_alone(caller, work)

        def read() -> T:
            with self._listing if operation in LISTINGS else nullcontext():
                return work(self._operations(caller, None, patient=True, renewal=renewal))

        return await asyncio.to_thread(read)

    async def _renew(self, caller: Caller, transaction: Transaction) -> Renewal:
        return await self._writer.write(
            lambda unit: self._operations(caller, unit).schedd.renew_lease(transaction)
        )

    def _operations(
        self,
        caller: Caller,
        unit: UnitOfWork | None,
        patient: bool = False,
        renewal: Renewal | None = None,
    ) -> CallOperations:
        answers = current()
        marker = None if answers is None else answers.marker
        context = ScheddContext(self._schedd, self._queue, caller, unit, patient, marker, self._deferring)
        collector = Collector(self._collector, self._directory, unit, self._queue.time())
        return CallOperations(Schedd(context, renewal), collector, EventCalls(self._notifier, caller))
