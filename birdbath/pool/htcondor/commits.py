"""Commits to a real pool: two phases, decided in the gateway's database (docs/htcondor.md).

First every cluster is queued in the schedd with its files, guarded so that no job can match and no client
sees one. The database decides, in the unit of work that ends the client's transaction. Then the guard is
taken off. Whatever is killed meanwhile, the journal and the marker in the jobs' ads tell what has to be done.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from functools import partial
from itertools import count, groupby
from typing import Any

from birdbath.errors import BirdbathError, UnknownJob, WrongJobStatus
from birdbath.pool import asking
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus, NewJob, incomplete
from birdbath.pool.htcondor import journal as journals
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.connection import PoolRefused, PoolUnreachable, RefusedTogether
from birdbath.pool.htcondor.decisions import Decisions
from birdbath.pool.htcondor.jobs import SLOWEST, Jobs
from birdbath.pool.htcondor.journal import Deferred, Journal, Queued
from birdbath.pool.htcondor.requests import Submission
from birdbath.pool.htcondor.sharing import Sharing, may_share
from birdbath.pool.htcondor.submission import (
    CannotSubmit,
    StagedFiles,
    is_held,
    is_unmatched,
    named_in_vain,
    submission,
    text_of,
)
from birdbath.pool.htcondor.workers import Call
from birdbath.store.crash_points import crash_point
from birdbath.store.sandbox import Sandbox
from birdbath.store.unit_of_work import UnitOfWork

_log = logging.getLogger(__name__)

COLLECT, EDIT, EXPLAIN = "collect", "edit", "explain"
FEW = 100
"""Jobs of a commit that are named one by one, rather than looked for in the schedd's whole queue."""


class Commits:
    """The commits of one pool; `as_owners` is whether jobs are submitted as their owners."""

    def __init__(
        self,
        journal: Journal,
        jobs: Jobs,
        sandbox: Callable[[JobId], Sandbox],
        dagman_configuration: str | None = None,
        as_owners: bool = False,
    ) -> None:
        self._as_owners = as_owners
        self._dagman_configuration = dagman_configuration
        self._journal = journal
        self._jobs = jobs
        self._sandbox = sandbox
        self._decisions = Decisions(partial(jobs.ask, "decide"))
        self._sharing = Sharing(self._ask_to_prepare)
        self._run = secrets.token_hex(8)
        self._numbers = count(1)
        self._concluding: set[str] = set()
        self._waiting: set[str] = set()
        self._unreached: set[str] = set()
        """Commits that failed because the pool could not be reached; it was not asked again since."""
        self._queued: dict[str, list[str]] = {}
        """The ids in the schedd of the jobs of commits that were prepared just now."""

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        """See `JobQueue.accept`. In the middle of it the call waits for the schedd."""
        answers = asking.current()
        if answers is None:
            raise AssertionError("jobs are accepted in a call that can wait")
        answers.defers = True
        if not jobs:
            return
        # Only when the transaction takes no more calls are these the jobs that are queued.
        marker = answers.get("begin", lambda: self._begin(answers, jobs[0].id.cluster))
        clusters = answers.get("prepare", lambda: self._prepare(marker, jobs))
        self._journal.decide(unit, marker, clusters)
        for new in jobs:
            self._keep_inputs(unit, marker, new)
            self._keep_status(unit, marker, new)
        crash_point("htcondor:decided")

    def _keep_inputs(self, unit: UnitOfWork, marker: str, new: NewJob) -> None:
        if values := named_in_vain(new.ad, self._staged(new)):
            self._journal.defer(unit, marker, EDIT, new.id, values)

    def _keep_status(self, unit: UnitOfWork, marker: str, new: NewJob) -> None:
        """Let a job that is committed as Held or Removed be that before it is let run, and one whose ad is
        incomplete be held: the schedd would run it with what it takes for the missing.
        """
        status = new.ad.integer("JobStatus", JobStatus.IDLE)
        if status == JobStatus.REMOVED:
            self._journal.defer(unit, marker, JobAction.REMOVE.value, new.id, asdict(ActionDetails()))
        elif is_held(new.ad):
            held = status == JobStatus.HELD
            why = new.ad.string("HoldReason") if held else incomplete(new.ad)
            if is_unmatched(new.ad):
                reason = text_of(("HoldReason", "s", why or "via SOAP"))
                explained = {"HoldReason": reason, "HoldReasonCode": "1"}
                self._journal.defer(unit, marker, EXPLAIN, new.id, explained)
            else:
                details = ActionDetails(why or None, system_hold=not held)
                self._journal.defer(unit, marker, JobAction.HOLD.value, new.id, asdict(details))

    def defer(
        self, unit: UnitOfWork, answers: asking.Answers, action: str, job: JobId, arguments: dict[str, Any]
    ) -> None:
        """Have something done to a job when the commit in which `answers` stands is decided."""
        if answers.marker is None:
            answers.marker = self._marker(answers)
            self._journal.decide_actions(unit, answers.marker)
        self._journal.defer(unit, answers.marker, action, job, arguments)

    def _marker(self, answers: asking.Answers) -> str:
        marker = f"{self._run}-{next(self._numbers)}"
        answers.concluded_by.append(lambda: self.conclude(marker))
        return marker

    # Steps

    def _begin(self, answers: asking.Answers, cluster: int) -> Any:
        """Have the transaction that made `cluster` for this commit alone; returns the marker."""
        marker = self._marker(answers)
        # Without power it may be lost: then the jobs are strays, which the next run takes back.
        yield asking.Relaxed(partial(self._journal.begin, marker=marker, cluster=cluster))
        answers.marker = marker
        crash_point("htcondor:journaled")
        return marker

    def _prepare(self, marker: str, jobs: Sequence[NewJob]) -> Any:
        """Queue the jobs in the schedd, guarded; returns the clusters."""
        submissions = self._submissions(jobs, marker)
        if any(is_unmatched(new.ad) for new in jobs):
            self._waiting.add(marker)
        try:
            prepared = yield from self._queue(jobs, submissions, marker)
        except PoolUnreachable:
            self._unreached.add(marker)
            raise
        crash_point("htcondor:prepared")
        if len(jobs) <= FEW:
            self._queued[marker] = [job for queued in prepared for job in queued.jobs()]
        return prepared

    def _queue(self, jobs: Sequence[NewJob], submissions: Sequence[Submission], marker: str) -> Any:
        size = sum(file.size for new in jobs for file in self._sandbox(new.id).entries())
        seconds = self._jobs.seconds + 0.02 * len(jobs)
        call = Call("prepare", (submissions,), seconds, transfer=size / SLOWEST)
        if len(submissions) == 1 and may_share(submissions[0], size):
            return [(yield from self._with_others(submissions[0], marker, call))]
        return (yield from self._alone(submissions, call))

    def _with_others(self, submission: Submission, marker: str, call: Call) -> Any:
        try:
            shared = self._sharing.submit(submission, call.seconds, call.transfer)
            return (yield from self._believed(shared, submission.owner))
        except RefusedTogether:
            yield self._jobs.ask("undo", self._jobs.view.of_commit(marker))
        crash_point("htcondor:parted")
        return (yield from self._alone([submission], call))[0]

    def _alone(self, submissions: Sequence[Submission], call: Call) -> Any:
        prepared = []
        for owner, their in groupby(sorted(submissions, key=lambda one: one.owner), lambda one: one.owner):
            theirs = list(their)
            own_call = replace(call, arguments=(theirs,))
            found = yield from self._believed(self._ask_to_prepare(own_call, owner), owner)
            prepared += [
                Queued(one.cluster, one.procs, owner, schedd_cluster)
                for one, schedd_cluster in zip(theirs, found, strict=True)
            ]
        return prepared

    def _ask_to_prepare(self, call: Call, owner: str) -> Future[Any]:
        return self._jobs.transfers.ask(replace(call, account=owner) if self._as_owners else call)

    def _believed(self, call: Future[Any], owner: str) -> Any:
        try:
            return (yield call)
        except PoolUnreachable as error:
            if not self._as_owners:
                raise
            yield self._jobs.ask("ping")  # fails as well where it is not the token
            raise PoolRefused(f"The pool does not believe the token of {owner}: {error}") from None

    def _submissions(self, jobs: Sequence[NewJob], marker: str) -> list[Submission]:
        found = []
        for _, cluster in groupby(sorted(jobs, key=lambda new: new.id), key=lambda new: new.id.cluster):
            procs = list(cluster)
            if [new.id.proc for new in procs] != list(range(len(procs))):
                raise CannotSubmit("The procs of a cluster are not numbered from 0 without gaps")
            staged = {new.id: self._staged(new) for new in procs}
            gateway, configuration = self._jobs.view.gateway, self._dagman_configuration
            found.append(submission(procs, staged, gateway, marker, configuration, self._as_owners))
        return found

    def _staged(self, new: NewJob) -> StagedFiles:
        sandbox = self._sandbox(new.id)
        sandbox.create()  # the bindings enter it
        files = frozenset(file.name for file in sandbox.entries())
        if (command := new.ad.string("Cmd")) in files:
            sandbox.make_executable(command)
        return StagedFiles(str(sandbox.path), files)

    def conclude(self, marker: str) -> Any:
        """Steps that bring a commit to its end, as it was decided or not. They may be run again and again."""
        if marker in self._concluding:
            return
        self._concluding.add(marker)
        try:
            state = self._journal.state(marker)
            if state == journals.DECIDED:
                yield from self._finish(marker)
            elif state is not None:
                yield from self._take_back(marker)
        finally:
            self._concluding.discard(marker)

    def _finish(self, marker: str) -> Any:
        for deferred in self._journal.deferred(marker):
            yield from self._do(deferred)
            yield partial(self._journal.done, marker=marker, position=deferred.position)
        jobs = self._queued.pop(marker, [])  # the next time the schedd may be another one
        yield self._decisions.take_off(self._jobs.view.of_commit(marker), jobs)
        if marker in self._waiting or not marker.startswith(f"{self._run}-"):
            yield self._jobs.ask("release_waiting", self._jobs.view.waiting(marker))
            self._waiting.discard(marker)
        crash_point("htcondor:released")
        yield asking.Relaxed(partial(self._journal.end, marker=marker))  # lost, it is done once more

    def _do(self, deferred: Deferred) -> Any:
        try:
            if deferred.action == COLLECT:
                yield from self._jobs.collect(deferred.job, at_commit=True)
            elif deferred.action in (EDIT, EXPLAIN):
                yield from self._jobs.edit(deferred.job, deferred.arguments, deferred.action == EXPLAIN)
            else:
                details = ActionDetails(**deferred.arguments)
                yield from self._jobs.act(JobAction(deferred.action), deferred.job, details)
        except (UnknownJob, WrongJobStatus):
            return
        except PoolUnreachable:
            raise
        except BirdbathError as error:
            _log.warning("Job %s: %s was not done at commit: %s", deferred.job, deferred.action, error)

    def _take_back(self, marker: str) -> Any:
        self._queued.pop(marker, None)
        yield partial(self._journal.give_up, marker=marker)
        crash_point("htcondor:given-up")
        if marker in self._unreached:  # its client need not wait once more: later
            self._unreached.remove(marker)
            return
        yield self._jobs.ask("undo", self._jobs.view.of_commit(marker))
        self._waiting.discard(marker)
        yield partial(self._journal.end, marker=marker)

    # After a restart

    def left_over(self) -> list[str]:
        """Commits to be concluded by nobody else: decided or given up."""
        return [marker for marker, state in self._journal.commits().items() if state != journals.PREPARING]

    def take_back_strays(self) -> Any:
        """Steps that take guarded jobs out of the queue which no journal knows: a submission of a former run
        came to its end only after that had been killed.
        """
        of_this_run = f'!regexp("^{self._run}-", {names.COMMIT})'
        yield self._jobs.ask("undo", f"{self._jobs.view.undecided(self._journal.commits())} && {of_this_run}")
