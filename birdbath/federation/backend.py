"""Runs calls on the federation: each where it belongs, with the ids and ads of the federation."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from birdbath.access import Caller, check, operation_info
from birdbath.backend import Backend, Once
from birdbath.classads import Ad, AdList, ad_from_items
from birdbath.errors import BirdbathError, NotJobOwner, RequestFault, Unavailable
from birdbath.federation import journal
from birdbath.federation.commits import Commits, Keeping, Staged, undetermined
from birdbath.federation.journal import Place
from birdbath.federation.matching import Machines, recommend
from birdbath.federation.queue import FederationQueue
from birdbath.federation.sorting import Belongs, FederatedOperations, Where, operations, sorter
from birdbath.federation.views import Asked, Clusters, Views, merged
from birdbath.pool.base import JobId
from birdbath.pool.queries import client_constraint
from birdbath.pool.suitability import Recommendation
from birdbath.schedd import ScheddSettings, Transaction
from birdbath.soap.operations import Operations
from birdbath.store import UnitOfWork
from birdbath.store.trouble import StorageTrouble, trouble_of
from birdbath.tables import RoutingRule

T = TypeVar("T")

MACHINES_LIFETIME: Final = 2.0
"""Seconds that a pool's machines are remembered for recommendations."""


@dataclass(frozen=True)
class _Call(Generic[T]):
    """A client's call: what `Backend.run` or, with `once`, `run_once` is given."""

    operation: str
    caller: Caller
    work: Callable[[Operations], T]
    once: Once[T] | None = None

    async def on(self, backend: Backend, work: Callable[[Operations], T] | None = None) -> T:
        """Make it at a backend, with other `work` if there is any."""
        if self.once is None:
            return await backend.run(self.operation, self.caller, work or self.work)
        return await backend.run_once(self.operation, self.caller, work or self.work, self.once)


class FederationBackend:
    """The backend of all pools together; see `Backend`.

    `own` stages submissions; `pools` are the backends of the pools by name. A pool that does not answer
    within `timeout` seconds is left out of listings, which say so, and of recommendations.
    """

    def __init__(
        self,
        own: Backend,
        queue: FederationQueue,
        settings: ScheddSettings,
        pools: Mapping[str, Backend],
        clusters: Clusters,
        views: Views,
        rules: Sequence[RoutingRule] = (),
        timeout: float = 5.0,
    ) -> None:
        self._own = own
        self._queue = queue
        self._settings = settings
        self._pools = pools
        self._clusters = clusters
        self._views = views
        self._rules = rules
        self._timeout = timeout
        self._machines: dict[str, tuple[float, Machines]] = {}
        self._committing: set[asyncio.Task[Any]] = set()
        self.commits = Commits(own, queue, settings, pools, clusters, self._choose)

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        """Run `work` where it belongs. See `Backend.run`."""
        return await self._run(_Call(operation, caller, work))

    async def run_once(
        self, operation: str, caller: Caller, work: Callable[[Operations], T], once: Once[T]
    ) -> T:
        """See `Backend.run_once`; the reply is kept where the call was done."""
        return await self._run(_Call(operation, caller, work, once))

    async def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of the federation's own database, durable when this returns."""
        return await self._own.write(work)

    async def stop(self) -> None:
        """Give up the commits that nobody waits for any more; the next start goes on with the decided."""
        for task in self._committing:
            task.cancel()
        await asyncio.gather(*self._committing, return_exceptions=True)

    @property
    def pools(self) -> Mapping[str, Backend]:
        """The backends of the pools."""
        return self._pools

    async def troubles(self) -> dict[str, str]:
        """Which pools do not answer, and why."""

        def question(pool: str) -> Callable[[Operations], AdList]:
            return lambda theirs: theirs.collector.find_ads("schedd", "")

        found = await self._ask_all("queryScheddAds", Caller("local"), question)
        return {pool: answer for pool, answer in found.items() if isinstance(answer, str)}

    async def _run(self, call: _Call[T]) -> T:
        check(operation_info(call.operation), call.caller)
        try:
            return call.work(sorter(self._clusters))
        except Belongs as found:
            belongs = found
        if belongs.where is Where.COMMIT:
            task = asyncio.create_task(self._commit(call, belongs))
            self._committing.add(task)
            task.add_done_callback(self._committing.discard)
            return await asyncio.shield(task)  # a client that leaves does not leave half of a commit
        if belongs.where is Where.OWN:
            return await call.on(self._own)
        if belongs.where is Where.STAGED:
            return await self._stage(call, belongs)
        if belongs.where is Where.POOL:
            return await self._in_pool(call, belongs)
        answered = await self._answered(call.operation, call.caller, belongs)
        return await asyncio.to_thread(call.work, answered)

    # One pool

    async def _in_pool(self, call: _Call[T], belongs: Belongs) -> T:
        place = belongs.place
        assert place is not None
        transaction = belongs.transaction
        if transaction is not None and (refused := await self._renewal(call.caller, transaction)):
            return call.work(_raising(refused))
        there = self._translated(place)
        return await call.on(self._pools[place.pool], lambda theirs: call.work(there(theirs)))

    async def _renewal(self, caller: Caller, txn: Transaction) -> BirdbathError | None:
        def renew(own: Operations) -> BirdbathError | None:
            try:
                own.schedd.extend_transaction(txn, txn.duration)
            except BirdbathError as error:
                return error
            return None

        return await self._own.run("extendTransaction", caller, renew)

    def _translated(self, place: Place) -> Callable[[Operations], FederatedOperations]:
        """Operations that do at the pool what is asked of the federation's cluster."""

        def on(theirs: Operations) -> FederatedOperations:
            def call(name: str, arguments: tuple[Any, ...]) -> Any:
                _, cluster, *rest = arguments
                try:
                    answer = getattr(theirs.schedd, name)(None, place.cluster, *rest)
                except BirdbathError as error:
                    if name != "remove_cluster":
                        told = JobId(place.cluster, rest[0]), JobId(cluster, rest[0])
                        error.args = (_renamed(str(error), *told),)
                    raise
                if isinstance(answer, AdList):
                    return AdList(self._views.jobs(place.pool, answer.records), answer.server_time)
                return answer

            return operations(call)

        return on

    async def _stage(self, call: _Call[T], belongs: Belongs) -> T:
        """Stage an action on committed jobs of a pool."""
        place = belongs.place
        assert place is not None

        def look(theirs: Operations) -> AdList:
            if belongs.name == "remove_cluster":
                return theirs.schedd.find_job_ads(f"ClusterId == {place.cluster}")
            return theirs.schedd.get_job_ad(None, place.cluster, belongs.job.proc)

        reading = "getJobAds" if belongs.name == "remove_cluster" else "getJobAd"
        try:
            found = await self._pools[place.pool].run(reading, call.caller, look)
        except RequestFault:
            raise
        except NotJobOwner as error:
            assert belongs.transaction is not None
            return call.work(_raising(await self._renewal(call.caller, belongs.transaction) or error))
        except BirdbathError:  # the own queue says what is to be said of an unknown job
            found = AdList([], 0)
        records = self._views.jobs(place.pool, found.records)

        def staged(own: Operations) -> T:
            with self._queue.showing(records):
                return call.work(own)

        return await call.on(self._own, staged)

    # All pools

    async def _answered(self, operation: str, caller: Caller, belongs: Belongs) -> FederatedOperations:
        """Operations that answer what all pools have answered."""
        try:
            if belongs.where is Where.RECOMMEND:
                answer: object = await self._recommendation(caller, belongs.arguments[0])
            elif belongs.where is Where.RESCHEDULE:
                answer = None
                await self._reschedule(caller)
            else:
                answer = await self._listing(operation, caller, belongs)
        except BirdbathError as error:
            return _raising(error)
        return operations(lambda name, arguments: answer)

    async def _listing(self, operation: str, caller: Caller, belongs: Belongs) -> AdList:
        of_jobs = belongs.name in ("get_job_ads", "find_job_ads")
        if of_jobs and belongs.transaction is not None:
            refused = await self._renewal(caller, belongs.transaction)
            if refused is not None:
                raise refused
        settings = self._settings
        text = belongs.arguments[0 if belongs.name == "find_job_ads" else 1]
        constraint = client_constraint(text, settings.strict, settings.max_query_seconds)
        if constraint is None:
            return AdList([], int(self._queue.time()))
        asked = Asked(constraint, self._clusters)

        def question(pool: str) -> Callable[[Operations], AdList] | None:
            wanted = asked.of(pool)
            if wanted is None:
                return None

            def ask(theirs: Operations) -> AdList:
                if of_jobs:
                    found = theirs.schedd.find_job_ads(wanted)
                    shown = self._views.jobs(pool, found.records)
                else:
                    found = theirs.collector.find_ads(belongs.arguments[0], wanted)
                    shown = self._views.machines(pool, found.records)
                selected = asked.selected(shown, found.server_time)
                return AdList(selected, found.server_time, found.most_bytes)

            return ask

        found = await self._ask_all(operation, caller, question)
        missing = tuple(f"{pool}: {answer}" for pool, answer in found.items() if isinstance(answer, str))
        listings = [answer for answer in found.values() if not isinstance(answer, str)]
        if missing and not listings:
            told = "; ".join(missing)
            raise BirdbathError(f"No pool answers: {told}") if of_jobs else Unavailable(told)
        return merged(listings, missing, self._queue.time())

    async def _reschedule(self, caller: Caller) -> None:

        def question(pool: str) -> Callable[[Operations], None]:
            def ask(theirs: Operations) -> None:
                theirs.schedd.request_reschedule()

            return ask

        found = await self._ask_all("requestReschedule", caller, question)
        missing = [f"{pool}: {answer}" for pool, answer in found.items() if isinstance(answer, str)]
        if len(missing) == len(self._pools):
            raise BirdbathError(f"No pool answers: {'; '.join(missing)}")

    async def _ask_all(
        self,
        operation: str,
        caller: Caller,
        question: Callable[[str], Callable[[Operations], T] | None],
    ) -> dict[str, T | str]:
        """What each pool answers that is asked something, or why it does not. Raises RequestFault when it is
        the question that is wrong.
        """

        async def ask(backend: Backend, work: Callable[[Operations], T]) -> T | str:
            try:
                async with asyncio.timeout(self._timeout):
                    return await backend.run(operation, caller, work)
            except TimeoutError:
                return f"no answer within {self._timeout:g} seconds"
            except RequestFault as error:
                if isinstance(error, Unavailable):
                    return str(error)
                raise
            except BirdbathError as error:
                return str(error)
            except Exception as error:
                if (trouble := trouble_of(error)) is None:
                    raise
                return str(trouble)

        asked = {pool: work for pool in self._pools if (work := question(pool)) is not None}
        answers = await asyncio.gather(*(ask(self._pools[pool], work) for pool, work in asked.items()))
        return dict(zip(asked, answers, strict=True))

    # Submission

    async def _commit(self, call: _Call[T], belongs: Belongs) -> T:
        if (found := await self._kept(call)) is not None:
            return found
        try:
            async with self.commits.closed(call.caller, belongs.transaction) as staged:
                return await self._commit_closed(call, staged)
        except (RequestFault, StorageTrouble):
            raise
        except BirdbathError as error:
            refused = _raising(error)
            return await call.on(self._own, lambda own: call.work(refused))

    async def _kept(self, call: _Call[T]) -> T | None:
        """The reply that is kept of a commit. Raises Unavailable while it is not known what comes of it."""
        once = call.once
        if once is None:
            return None

        def find(unit: UnitOfWork) -> T | None:
            if (pool := journal.pool_to_do(unit, call.caller.account, once.key)) is not None:
                raise Unavailable(f"The commit with this Idempotency-Key waits for pool {pool}; ask again")
            return once.find(unit)

        return await self._own.write(find)

    async def _commit_closed(self, call: _Call[T], staged: Staged) -> T:
        done, once = operations(lambda name, arguments: None), call.once

        def answer(unit: UnitOfWork) -> T:
            reply = call.work(done)
            if once is not None:
                once.keep(unit, reply)
            return reply

        keeping = None if once is None else Keeping(once.key, answer)
        decided = await self.commits.commit(call.caller, staged, keeping)

        def finish(unit: UnitOfWork) -> T:
            self.commits.finish(unit, staged.transaction, decided)
            return answer(unit)

        if decided is None:
            return await self._own.write(finish)
        with undetermined(decided.pool):
            return await self._own.write(finish)

    async def _recommendation(self, caller: Caller, items: Any) -> Recommendation:
        ad = ad_from_items(items or (), "undefined")
        if "Requirements" not in ad:  # as the template has it
            ad.set("Requirements", True)
        return await self._recommended(caller, [ad])

    async def _choose(self, caller: Caller, jobs: Sequence[Ad]) -> Sequence[str]:
        return (await self._recommended(caller, jobs)).order

    async def _recommended(self, caller: Caller, jobs: Sequence[Ad]) -> Recommendation:
        machines = await self._all_machines(caller)
        return await asyncio.to_thread(recommend, jobs, machines, self._rules, self._queue.time())

    async def _all_machines(self, caller: Caller) -> dict[str, Machines]:
        now = time.monotonic()

        def question(pool: str) -> Callable[[Operations], AdList] | None:
            asked_at, known = self._machines.get(pool, (0.0, ""))
            if not isinstance(known, str) and now - asked_at < MACHINES_LIFETIME:
                return None
            return lambda theirs: theirs.collector.find_ads("startd", "")

        found: Mapping[str, AdList | str] = await self._ask_all("queryStartdAds", caller, question)
        for pool, answer in found.items():
            self._machines[pool] = now, answer if isinstance(answer, str) else answer.records
        return {pool: self._machines[pool][1] for pool in self._pools}


def _renamed(text: str, theirs: JobId, ours: JobId) -> str:
    """What a pool says of a job, with the id that the client knows."""
    return re.sub(rf"(?<![\w.]){theirs.cluster}\.{theirs.proc}(?![\w.])", str(ours), text)


def _raising(error: BirdbathError) -> FederatedOperations:
    def call(name: str, arguments: tuple[Any, ...]) -> Any:
        raise error

    return operations(call)
