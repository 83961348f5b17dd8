"""A job queue in memory that does what it is told at once, and a Schedd on it with a stepped clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from birdbath.access import Caller
from birdbath.classads import Ad, AdList, AdRecord, Constraint, is_true
from birdbath.errors import BirdbathError, UnknownJob, WrongJobStatus
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus, NewJob, Part
from birdbath.schedd import Renewal, Schedd, ScheddContext, ScheddSettings, Transaction
from birdbath.store import UnitOfWork, Writer
from birdbath.store.sandbox import Sandbox, Spool

T = TypeVar("T")


class FakeQueue:
    """`JobQueue` on a dictionary. What happens in it is not undone with the unit of work."""

    def __init__(self, spool: Spool, clock: Callable[[], float]) -> None:
        self.jobs: dict[JobId, Ad] = {}
        self.done: list[tuple[JobAction, JobId, ActionDetails]] = []
        self.rescheduled = 0
        self._spool = spool
        self._clock = clock

    def reserve_cluster(self, unit: UnitOfWork) -> int:
        return unit.advance("cluster")

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        self.jobs.update((job.id, job.ad) for job in jobs)

    def listing(self, constraint: Constraint, now: float) -> AdList:
        return self.query(constraint, now)

    def query(self, constraint: Constraint, now: float, part: Part | None = None) -> AdList:
        evaluate = constraint.evaluator()
        records = [AdRecord.of(ad) for ad in self.jobs.values()]
        chosen = [r for r in records if constraint.selects_all or is_true(evaluate(r.parsed))]
        return AdList(chosen, int(now))

    def job(self, job: JobId) -> AdRecord | None:
        return AdRecord.of(self.jobs[job]) if job in self.jobs else None

    def history(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> AdList:
        return AdList([], int(now))

    def count(self, owner: str | None = None) -> int:
        return sum(owner in (None, ad.string("Owner")) for ad in self.jobs.values())

    def job_ad(self, unit: UnitOfWork, job: JobId) -> Ad | None:
        return self.jobs.get(job)

    def cluster_jobs(self, unit: UnitOfWork, cluster: int) -> list[JobId]:
        return sorted(job for job in self.jobs if job.cluster == cluster)

    def act(self, unit: UnitOfWork, action: JobAction, job: JobId, details: ActionDetails) -> None:
        ad = self.jobs.get(job)
        if ad is None:
            raise UnknownJob("unknown")
        held = ad.integer("JobStatus") == JobStatus.HELD
        if (action is JobAction.HOLD) == held and action is not JobAction.REMOVE:
            raise WrongJobStatus("not now")
        after = {JobAction.HOLD: JobStatus.HELD, JobAction.RELEASE: JobStatus.IDLE}
        ad.set("JobStatus", int(after.get(action, JobStatus.REMOVED)))
        self.done.append((action, job, details))

    def collected(self, unit: UnitOfWork, job: JobId) -> None:
        if job not in self.jobs:
            raise UnknownJob("unknown")
        self.jobs[job].set("FilesRetrieved", True)

    def sandbox(self, job: JobId) -> Sandbox:
        return self._spool.sandbox(job.cluster, job.proc)

    def fetch(self, job: JobId) -> None:
        """Nothing runs here."""

    def software(self) -> tuple[str, str]:
        return "", ""

    def reschedule(self) -> None:
        self.rescheduled += 1

    def time(self) -> float:
        return self._clock()


class House:
    """A Schedd: each call in a unit of work of its own, as the server runs it. Time is what `now` says."""

    def __init__(self, writer: Callable[[Callable[[], float]], Writer], spool: Path) -> None:
        self.now = 1_800_000_000.0
        self.writer = writer(lambda: self.now)
        self.queue = FakeQueue(Spool(spool), lambda: self.now)
        self.settings = ScheddSettings(name="schedd@here", uid_domain="here")

    def configure(self, **changes: object) -> None:
        """Change settings from the next call on."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    def do(self, work: Callable[[Schedd], T], account: str | None = None) -> T:
        """Run one call; an error of the contract is raised, but what was written before it stays."""

        def run(unit: UnitOfWork) -> tuple[T | None, BirdbathError | None]:
            try:
                return work(Schedd(self.context(unit, account))), None
            except BirdbathError as error:
                return None, error

        result, error = self.writer.write_now(run)
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def read(
        self, work: Callable[[Schedd], T], account: str | None = None, renewal: Renewal | None = None
    ) -> T:
        """Run one read, outside of any unit of work."""
        return work(Schedd(self.context(None, account), renewal))

    def context(self, unit: UnitOfWork | None, account: str | None = None) -> ScheddContext:
        return ScheddContext(self.settings, self.queue, Caller("192.0.2.1", account), unit)

    # What most tests begin with

    def begin(self, duration: int = 60, account: str | None = None) -> Transaction:
        return self.do(lambda schedd: schedd.begin_transaction(duration), account)

    def staged_job(self, account: str | None = None) -> tuple[Transaction, int]:
        """A transaction with a job, proc 0 of the returned cluster."""
        txn = self.begin(account=account)
        cluster = self.do(lambda schedd: schedd.new_cluster(txn), account)
        self.do(lambda schedd: schedd.new_job(txn, cluster), account)
        return txn, cluster

    def committed_job(self, *items: tuple[str, str, str], account: str | None = None) -> JobId:
        """A job in the queue, Idle and alice's unless `items` say otherwise."""
        txn, cluster = self.staged_job(account)
        ad = [("Owner", "s", account or "alice"), *items]
        self.do(lambda schedd: schedd.submit(txn, cluster, 0, ad), account)
        self.do(lambda schedd: schedd.commit_transaction(txn), account)
        return JobId(cluster, 0)

    def ad(self, cluster: int, proc: int = 0) -> Ad:
        """The ad of a committed job."""
        return self.queue.jobs[JobId(cluster, proc)]
