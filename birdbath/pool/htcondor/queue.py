"""The queue of a real schedd: the Pool contract's JobQueue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from birdbath.classads import Ad, AdList, AdMemory, AdRecord, Constraint
from birdbath.errors import BirdbathError, UnknownJob
from birdbath.pool import asking
from birdbath.pool.asking import answer
from birdbath.pool.base import ActionDetails, JobAction, JobId, NewJob, Part
from birdbath.pool.htcondor.commits import COLLECT, Commits
from birdbath.pool.htcondor.jobs import Jobs
from birdbath.pool.htcondor.names import FIRST_CLUSTER
from birdbath.store.sandbox import Sandbox, Spool
from birdbath.store.unit_of_work import UnitOfWork


class HTCondorQueue:
    """See `pool.base.JobQueue`.

    Where `asking.answering` is in force a method that needs the schedd raises `asking.Waiting`; elsewhere it
    waits. PoolUnreachable means that the schedd did not answer in its time, PoolRefused that it would not.
    """

    def __init__(self, jobs: Jobs, commits: Commits, spool: Spool, memory: AdMemory) -> None:
        self._jobs = jobs
        self._commits = commits
        self._spool = spool
        self._memory = memory

    def reserve_cluster(self, unit: UnitOfWork) -> int:
        return FIRST_CLUSTER + unit.advance("cluster")

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        self._commits.accept(unit, jobs)

    def query(self, constraint: Constraint, now: float, part: Part | None = None) -> AdList:
        wanted = self._jobs.view.constraint(constraint, now)

        def steps() -> Any:
            if part is None:
                found = yield self._jobs.ask("query_jobs", wanted, [], -1)
            else:
                found = yield from self._jobs.part(wanted, part)
            own = self._jobs.with_own_dag
            return [AdRecord(own(text), self._memory, (cluster, proc)) for cluster, proc, text in found]

        return AdList(answer(("query", constraint.text), steps), int(now))

    def history(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> AdList:
        wanted = self._jobs.view.history(constraint, now, before)

        def steps() -> Any:
            found = yield self._jobs.ask("query_history", wanted, before, most)
            if found is None:
                raise UnknownJob(f"Job {before} is not in the history")
            own = self._jobs.with_former_dag
            return [AdRecord(own(text), self._memory, JobId(cluster, proc)) for cluster, proc, text in found]

        return AdList(answer(("history", constraint.text, before, most), steps), int(now))

    def listing(self, constraint: Constraint, now: float) -> AdList:
        wanted = self._jobs.view.constraint(constraint, now)
        steps = partial(self._jobs.listing, wanted, int(now))
        return AdList([], int(now), written=answer(("listing", constraint.text), steps))

    def job(self, job: JobId) -> AdRecord | None:
        record: AdRecord | None = answer(("job", job), lambda: self._jobs.look_up(job, self._memory))
        return record

    def count(self, owner: str | None = None) -> int:
        return self._jobs.journal.count(owner)

    def job_ad(self, unit: UnitOfWork, job: JobId) -> Ad | None:
        record = self.job(job)
        return None if record is None else record.ad()

    def cluster_jobs(self, unit: UnitOfWork, cluster: int) -> list[JobId]:
        procs = answer(("cluster", cluster), lambda: self._jobs.procs(cluster))
        return [JobId(cluster, proc) for proc in procs]

    def act(self, unit: UnitOfWork, action: JobAction, job: JobId, details: ActionDetails) -> None:
        answers = asking.current()
        if answers is not None and answers.defers:
            self._commits.defer(unit, answers, str(action), job, asdict(details))
            return
        answer(("act", action, job, details), lambda: self._jobs.act(action, job, details))

    def collected(self, unit: UnitOfWork, job: JobId) -> None:
        answers = asking.current()
        if answers is not None and answers.defers:
            self._commits.defer(unit, answers, COLLECT, job, {})
            return
        if answer(("collected", job), lambda: self._jobs.collect(job)):
            unit.after_commit(self.sandbox(job).remove)

    def sandbox(self, job: JobId) -> Sandbox:
        return self._spool.sandbox(job.cluster, job.proc)

    def fetch(self, job: JobId) -> None:
        answer(("fetch", job), lambda: self._jobs.fetch(job, str(self.sandbox(job).path)))

    def reschedule(self) -> None:
        answer("reschedule", self._reschedule)

    def _reschedule(self) -> Any:
        yield self._jobs.ask("reschedule")

    def software(self) -> tuple[str, str]:
        with suppress(BirdbathError):
            found: tuple[str, str] = answer("software", self._software)
            return found
        return "", ""

    def _software(self) -> Any:
        return (yield self._jobs.ask("software"))

    def time(self) -> float:
        return time.time()
