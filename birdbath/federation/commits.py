"""A commit of the federation: the staged jobs go to one pool, exactly once or not at all.

First the transaction is closed: what a call stages from now on could not come along. Then the pool gets
everything in a transaction of its own, and may refuse it: then nothing has happened. Then
the federation writes down that the pool is to commit it, and the pool does, with a mark in the same unit of
work by which it knows it again. Whatever is killed in between, the next start finds what was written down and
has the pool commit it, which it does if it has not, and cannot do twice.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.classads import Ad, Item
from birdbath.errors import BirdbathError, InvalidTransaction, RequestFault, Unavailable
from birdbath.federation import journal
from birdbath.federation.journal import Decided
from birdbath.federation.queue import FederationQueue
from birdbath.federation.views import Clusters
from birdbath.pool.base import JobId
from birdbath.schedd import ScheddContext, ScheddSettings, Transaction, discard, staging, transactions
from birdbath.schedd.actions import CLOSE_SPOOL
from birdbath.schedd.staging import StagedAction, StagedFile
from birdbath.soap.operations import Operations, ScheddOperations
from birdbath.store import UnitOfWork, kept_replies
from birdbath.store.crash_points import crash_point
from birdbath.store.kept_replies import KeptReply
from birdbath.store.trouble import trouble_of

_log = logging.getLogger(__name__)

LEASE: Final = 600
"""Seconds that a pool's transaction lives; it is committed long before, but for a pool that is away."""
MARKS: Final = "\x1ffederation"
"""In place of an account: no caller has one like it."""
MARK_SECONDS: Final = 30 * 86400.0
"""How long a mark is kept, and the reply to a commit as long as it is not known what came of it."""
JOBS_AT_ONCE: Final = 25
CHUNK: Final = 1 << 20

Choose = Callable[[Caller, Sequence[Ad]], Awaitable[Sequence[str]]]
"""Recommends pools for jobs, the best first. Raises BirdbathError."""

_NOT_SENT: Final = frozenset(
    {"clusterid", "procid", "globaljobid", "mytype", "targettype", "user", "poolname", "poolclusterid"}
)


@dataclass(frozen=True)
class Keeping:
    """The Idempotency-Key of a commit, and what keeps the reply that it has when it is done."""

    key: str
    keep: Callable[[UnitOfWork], object]


class _Refused(Exception):
    """A pool does not take the submission; nothing of it is there, and the transaction goes on."""

    def __init__(self, error: BirdbathError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class _Mark:
    """What a pool keeps of a commit that it has done; see `backend.Once`."""

    key: str

    def find(self, unit: UnitOfWork) -> bool | None:
        return None if kept_replies.find(unit, MARKS, self.key) is None else True

    def keep(self, unit: UnitOfWork, outcome: bool) -> None:
        kept_replies.keep(unit, MARKS, self.key, KeptReply("", 200, "", ""), MARK_SECONDS)


@dataclass(frozen=True)
class _StagedJob:
    id: JobId
    ad: Ad
    files: list[StagedFile]


@dataclass(frozen=True)
class Staged:
    """What a transaction holds that is closed for the commit with this mark."""

    transaction: int
    mark: str
    jobs: list[_StagedJob]
    actions: list[StagedAction]


@contextmanager
def undetermined(pool: str) -> Iterator[None]:
    """What comes of a decided commit when the disk or a database fails in the block shows later: its client
    must not be told that nothing was done. Raises Unavailable then.
    """
    try:
        yield
    except Exception as error:
        if (trouble := trouble_of(error)) is None:
            raise
        raise Unavailable(f"The commit is decided, and waits for pool {pool}: {trouble}") from None


@contextmanager
def _if_possible() -> Iterator[None]:
    """The block may as well not be done when the disk or a database fails."""
    try:
        yield
    except Exception as error:
        if trouble_of(error) is None:
            raise


class Commits:
    """Commits transactions of the federation, and concludes those that a crash has left."""

    def __init__(
        self,
        own: Backend,
        queue: FederationQueue,
        settings: ScheddSettings,
        pools: Mapping[str, Backend],
        clusters: Clusters,
        choose: Choose,
    ) -> None:
        self._own = own
        self._queue = queue
        self._settings = settings
        self._pools = pools
        self._clusters = clusters
        self._choose = choose
        self._running: set[str] = set()
        self._closed: set[str] = set()
        self._spent: dict[str, list[str]] = {name: [] for name in pools}

    @asynccontextmanager
    async def closed(self, caller: Caller, txn: Transaction | None) -> AsyncIterator[Staged]:
        """What the transaction holds. In the block it takes no calls; it goes on when the block raises,
        unless its commit is decided by then.
        """
        mark = secrets.token_hex(16)
        self._closed.add(mark)
        try:
            yield await self._own.write(lambda unit: self._staged(unit, caller, txn, mark))
        except Exception:
            self._closed.discard(mark)
            with _if_possible():  # or when the commits are concluded
                await self._own.write(lambda unit: journal.reopen(unit, self._closed))
            raise
        finally:
            self._closed.discard(mark)

    async def commit(self, caller: Caller, staged: Staged, keeping: Keeping | None) -> Decided | None:
        """Have a pool commit what a closed transaction holds; None when it holds nothing. It is to be
        `finish`ed in the unit of the answer, whose reply is kept with the decision.

        Raises BirdbathError when nothing was done.
        """
        if not (staged.jobs or staged.actions):
            return None
        first: BirdbathError | None = None
        for pool in await self._pools_for(caller, staged):
            try:
                return await self._committed(pool, caller, staged, keeping)
            except _Refused as refused:
                _log.info("Pool %s does not take a submission: %s", pool, refused.error)
                first = first or refused.error
        assert first is not None  # there is a pool to ask
        raise first

    async def _committed(self, pool: str, caller: Caller, staged: Staged, keeping: Keeping | None) -> Decided:
        try:
            theirs, placed = await self._prepared(pool, caller, staged)
        except Exception as error:
            refusal = error if isinstance(error, BirdbathError) else trouble_of(error)
            goes_on = isinstance(refusal, Unavailable) or not isinstance(refusal, RequestFault)
            if refusal is None or not goes_on:  # no pool would take it
                raise
            raise _Refused(refusal) from None
        crash_point("federation:prepared")
        key = None if keeping is None else keeping.key
        decided = Decided(staged.transaction, pool, theirs.id, caller.account, staged.mark, key)
        self._running.add(decided.mark)
        try:
            await self._decide(caller, decided, placed, keeping)
            crash_point("federation:decided")
            self._clusters.add(pool, placed)
            try:
                await self._do(decided, placed)
            except Unavailable:  # it may have done it
                raise
            except BirdbathError as error:
                raise _Refused(error) from None
            crash_point("federation:committed")
        finally:
            self._running.discard(decided.mark)
        return decided

    def finish(self, unit: UnitOfWork, transaction: int, decided: Decided | None) -> None:
        """End the transaction, and cross its commit out if it held something."""
        discard(self._context(unit), transaction)
        if decided is not None:
            journal.done(unit, decided)
            unit.after_commit(lambda: self._spent[decided.pool].append(decided.mark))

    async def conclude(self) -> None:
        """Conclude the commits that were decided but of which it is not known what came of them, and let the
        transactions of those go on that were not.
        """

        def left(unit: UnitOfWork) -> list[Decided]:
            journal.reopen(unit, self._closed)
            return journal.commits(unit)

        by_pool: dict[str, list[Decided]] = {}
        for decided in await self._own.write(left):
            if decided.mark not in self._running and decided.pool in self._pools:
                by_pool.setdefault(decided.pool, []).append(decided)
        await asyncio.gather(*(self._conclude_all(commits) for commits in by_pool.values()))

    async def _conclude_all(self, commits: Sequence[Decided]) -> None:
        """Those of a pool, as long as it does them."""
        for decided in commits:
            if not await self._conclude(decided):
                return

    async def _conclude(self, decided: Decided) -> bool:
        """Whether it is known now what came of the commit."""
        placed = await self._own.write(lambda unit: journal.clusters_of(unit, decided.mark))
        self._running.add(decided.mark)
        try:
            await self._do(decided, placed)
        except Unavailable as error:
            _log.warning("A commit at pool %s could not be concluded yet: %s", decided.pool, error)
            return False
        except BirdbathError as error:
            _log.warning("A commit at pool %s has come to nothing: %s", decided.pool, error)
            await self._own.write(lambda unit: journal.reopen(unit, self._closed))
        else:
            await self._own.write(lambda unit: self.finish(unit, decided.transaction, decided))
        finally:
            self._running.discard(decided.mark)
        return True

    async def tidy(self) -> None:
        """Let the pools forget the marks that are of no use any more."""
        for pool, marks in self._spent.items():
            if marks:
                self._spent[pool] = []
                await self._pools[pool].write(functools.partial(_forget, marks=marks))

    # Parts

    def _context(self, unit: UnitOfWork) -> ScheddContext:
        return ScheddContext(self._settings, self._queue, Caller("local"), unit)

    def _staged(self, unit: UnitOfWork, caller: Caller, txn: Transaction | None, mark: str) -> Staged:
        lease = transactions.renew(unit, txn, caller.account, self._settings.max_transaction_duration)
        journal.close(unit, lease.id, mark)
        jobs = [_StagedJob(job, ad, staging.files(unit, job)) for job, ad in staging.jobs(unit, lease.id)]
        return Staged(lease.id, mark, jobs, staging.actions(unit, lease.id))

    async def _pools_for(self, caller: Caller, staged: Staged) -> Sequence[str]:
        """The pool of the committed jobs that are acted on, else those that suit the new jobs, best first."""
        new = {job.id.cluster for job in staged.jobs}
        places = {
            action.job.cluster: self._clusters.place(action.job.cluster)
            for action in staged.actions
            if action.job.cluster not in new
        }
        pools = {place.pool for place in places.values() if place is not None}
        if len(pools) > 1:
            names = ", ".join(sorted(pools))
            raise BirdbathError(f"A transaction goes to one pool; this one acts on jobs of {names}")
        if pools and not staged.jobs:
            return list(pools)
        suitable = await self._choose(caller, [job.ad for job in staged.jobs])
        if pools and pools.isdisjoint(suitable):
            told = f"this one acts on jobs of {', '.join(pools)}, where its new jobs cannot go"
            raise BirdbathError(f"A transaction goes to one pool; {told}")
        return list(pools) or suitable

    async def _prepared(
        self, pool: str, caller: Caller, staged: Staged
    ) -> tuple[Transaction, dict[int, int]]:
        """A transaction of the pool that holds everything, and what each cluster is called there."""
        there = _There(self._pools[pool], caller, self._queue)
        theirs = await there.call("beginTransaction", lambda schedd: schedd.begin_transaction(LEASE))
        placed: dict[int, int] = {}
        try:
            for cluster, jobs in itertools.groupby(staged.jobs, lambda job: job.id.cluster):
                placed[cluster] = await there.call("newCluster", lambda schedd: schedd.new_cluster(theirs))
                for batch in _batches(list(jobs)):
                    await there.stage(theirs, placed[cluster], batch)
            for action in staged.actions:
                place = self._clusters.place(action.job.cluster)
                cluster = placed.get(action.job.cluster) or (0 if place is None else place.cluster)
                try:
                    await there.act(theirs, cluster, action)
                except RequestFault:
                    raise
                except BirdbathError:  # as a commit passes over jobs that have left or changed meanwhile
                    if action.job.cluster in placed:
                        raise
        except BaseException:
            await self._abort(pool, caller, theirs)
            raise
        return theirs, placed

    async def _abort(self, pool: str, caller: Caller, theirs: Transaction) -> None:
        """Its lease would end it all the same."""
        with suppress(BirdbathError), _if_possible():
            await _There(self._pools[pool], caller, self._queue).call(
                "abortTransaction", lambda schedd: schedd.abort_transaction(theirs)
            )

    async def _decide(
        self, caller: Caller, decided: Decided, placed: Mapping[int, int], keeping: Keeping | None
    ) -> None:
        def decide(unit: UnitOfWork) -> None:
            journal.decide(unit, decided, placed)
            if keeping is not None:
                keeping.keep(unit)
                kept_replies.prolong(unit, decided.account or "", keeping.key, MARK_SECONDS)

        try:
            await self._own.write(decide)
        except BirdbathError:
            theirs = Transaction(decided.pool_transaction, LEASE)
            await self._abort(decided.pool, caller, theirs)
            raise

    async def _do(self, decided: Decided, placed: Mapping[int, int]) -> None:
        """Have the pool commit, unless it has; undo the decision when it refuses."""
        theirs = Transaction(decided.pool_transaction, LEASE)

        def commit(operations: Operations) -> bool:
            operations.schedd.commit_transaction(theirs)
            return True

        pool, caller = self._pools[decided.pool], Caller("local", decided.account)
        with undetermined(decided.pool):
            try:
                await pool.run_once("commitTransaction", caller, commit, _Mark(decided.mark))
            except BirdbathError as error:
                if not isinstance(error, Unavailable):
                    await self._own.write(lambda unit: journal.undone(unit, decided))
                    self._clusters.remove(placed)
                if isinstance(error, InvalidTransaction):
                    told = f"Pool {decided.pool} has lost the submission; commit it again"
                    raise BirdbathError(told) from None
                raise


class _There:
    """Calls to a pool on behalf of a caller."""

    def __init__(self, backend: Backend, caller: Caller, queue: FederationQueue) -> None:
        self._backend = backend
        self._caller = caller
        self._queue = queue

    async def call(self, operation: str, work: Callable[[ScheddOperations], Any]) -> Any:
        def run(operations: Operations) -> Any:
            return work(operations.schedd)

        return await self._backend.run(operation, self._caller, run)

    async def stage(self, txn: Transaction, cluster: int, jobs: Sequence[_StagedJob]) -> None:
        """Jobs of one cluster. Their files come after their ads, which name them: what a strict schedd has
        to say of files was said when the client submitted the ad.
        """

        def create(schedd: ScheddOperations) -> None:
            for job in jobs:
                if schedd.new_job(txn, cluster) != job.id.proc:
                    raise BirdbathError("The pool counts the jobs of a cluster in another way")
                schedd.submit(txn, cluster, job.id.proc, self._items(job))

        def declare(schedd: ScheddOperations) -> None:
            for job in jobs:
                for file in job.files:
                    schedd.declare_file(
                        txn, cluster, job.id.proc, file.name, file.size, file.hash_type, file.hash
                    )

        await self.call("submit", create)
        if any(job.files for job in jobs):
            await self.call("declareFile", declare)
        for job in jobs:
            for file in job.files:
                for offset, data in self._chunks(job.id, file.name):
                    send = _sender(txn, JobId(cluster, job.id.proc), file.name, offset, data)
                    await self.call("sendFile", send)

    def _chunks(self, job: JobId, name: str) -> Iterator[tuple[int, bytes]]:
        sandbox = self._queue.sandbox(job)
        for offset in range(0, sandbox.size(name), CHUNK):
            yield offset, sandbox.read(name, offset, CHUNK)

    def _items(self, job: _StagedJob) -> list[Item]:
        """The ad as the client gave it: without what the pool's schedd says itself."""
        iwd = str(self._queue.sandbox(job.id).path)
        return [
            (name, kind, text)
            for name, kind, text in job.ad
            if name.lower() not in _NOT_SENT and (name.lower(), text) != ("iwd", iwd)
        ]

    async def act(self, txn: Transaction, cluster: int, staged: StagedAction) -> None:
        """Stage an action, as it was staged in the federation."""
        job, details = staged.job, staged.arguments

        def act(schedd: ScheddOperations) -> None:
            reason = details.get("reason")
            flags = bool(details.get("email_user")), bool(details.get("email_admin"))
            if staged.action == CLOSE_SPOOL:
                schedd.close_spool(txn, cluster, job.proc)
            elif staged.action == "hold":
                system = bool(details.get("system_hold"))
                schedd.hold_job(txn, cluster, job.proc, reason, *flags, system)
            elif staged.action == "release":
                schedd.release_job(txn, cluster, job.proc, reason, *flags)
            else:
                schedd.remove_job(txn, cluster, job.proc, reason, bool(details.get("force")))

        await self.call("removeJob", act)


def _sender(
    txn: Transaction, job: JobId, name: str, offset: int, data: bytes
) -> Callable[[ScheddOperations], None]:
    return lambda schedd: schedd.send_file(txn, job.cluster, job.proc, name, offset, data)


def _batches(jobs: list[_StagedJob]) -> Iterator[list[_StagedJob]]:
    for start in range(0, len(jobs), JOBS_AT_ONCE):
        yield jobs[start : start + JOBS_AT_ONCE]


def _forget(unit: UnitOfWork, marks: Sequence[str]) -> None:
    for mark in marks:
        kept_replies.forget(unit, MARKS, mark)
