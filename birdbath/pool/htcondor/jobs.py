"""Jobs in the schedd, by the ids that clients know: looked up, acted on, fetched, step by step."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any

from birdbath.classads import Ad, AdMemory, AdRecord
from birdbath.errors import PermissionDenied, UnknownJob, WrongJobStatus
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus, Part
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.journal import Journal
from birdbath.pool.htcondor.listing import FIRST, Portions, by_ids
from birdbath.pool.htcondor.names import FIRST_CLUSTER, View, kept_name
from birdbath.pool.htcondor.workers import Call, Workers

_log = logging.getLogger(__name__)

ACTIONS = {
    JobAction.HOLD: "Hold",
    JobAction.RELEASE: "Release",
    JobAction.REMOVE: "Remove",
    JobAction.SUSPEND: "Suspend",
    JobAction.CONTINUE: "Continue",
    JobAction.VACATE: "Vacate",
}
"""What the schedd calls the actions."""
_DEFAULT_REASON = "via SOAP"
_WRITING = frozenset({JobStatus.RUNNING, JobStatus.TRANSFERRING_OUTPUT, JobStatus.SUSPENDED})
_AT_REST = frozenset({JobStatus.COMPLETED, JobStatus.REMOVED})
_KNOWN_IDS = 100_000
SLOWEST = 256 << 10
"""Bytes a second that a transfer of files is given time for."""


class Jobs:
    """The jobs of one schedd. Methods that need the schedd are generators of steps (see `pool.asking`).

    `seconds` is what a call may take; `transfers` are the workers for calls that carry files; `tells_mail` is
    whether somebody sends the mail that an action asks for.
    """

    def __init__(
        self,
        journal: Journal,
        view: View,
        schedd: Workers,
        transfers: Workers,
        seconds: float,
        tells_mail: bool,
    ) -> None:
        self.journal = journal
        self.view = view
        self.transfers = transfers
        self.seconds = seconds
        self._tells_mail = tells_mail
        self._schedd = schedd
        self._portions = Portions(journal.own_job)
        self._lock = threading.Lock()
        self._ids: dict[int, JobId] = {}
        self._fetched: dict[JobId, tuple[int, int, int]] = {}
        self._fetching: dict[JobId, Future[Any]] = {}

    def ask(self, name: str, *arguments: Any) -> Future[Any]:
        """Begin a call of the schedd."""
        return self._schedd.ask(Call(name, arguments, self.seconds))

    def schedd_id(self, job: JobId) -> str | None:
        """The job's id in the schedd; None when a client cannot mean one."""
        if job.cluster < 1 or job.proc < 0:
            return None
        first = self._place(job.cluster)
        return None if first is None else str(JobId(first.cluster, first.proc + job.proc))

    def _place(self, cluster: int) -> JobId | None:
        """What the schedd calls proc 0 of a cluster."""
        if cluster < FIRST_CLUSTER:
            return None if self.journal.has_own(cluster) else JobId(cluster, 0)
        found = self._ids.get(cluster) or self.journal.place(cluster)
        if found is not None:
            with self._lock:
                if len(self._ids) >= _KNOWN_IDS:
                    self._ids.clear()
                self._ids[cluster] = found
        return found

    def look_up(self, job: JobId, memory: AdMemory) -> Any:
        """The record of a visible job, or None."""
        first = self._place(job.cluster)
        if first is None:
            return None
        wanted = self.view.one(first.cluster, first.proc + job.proc)
        found = yield self.ask("query_jobs", wanted, [], 1)
        return AdRecord(self.with_own_dag(found[0][2]), memory, job) if found else None

    def listing(self, wanted: str, now: int) -> Any:
        """The jobs that the schedd's own constraint selects, `Written`; `now` is their ServerTime."""

        def ask(constraint: str) -> Future[Any]:
            return self.ask("list_jobs", constraint, -1, now)

        found = yield self.ask("list_jobs", wanted, FIRST, now)
        if found[0] < FIRST:
            return self._portions.whole(found)
        ids = yield self.ask("job_ids", wanted)
        parts = [f"{ids_of_them} && ({wanted})" for ids_of_them in by_ids([id for id, _ in ids])]
        return (yield from self._portions.in_parts(ask, parts or [wanted], len(ids)))

    def part(self, wanted: str, part: Part) -> Any:
        """Cluster and proc, as clients know them, and the ads as JSON, of the jobs in a part of those that
        the schedd's own constraint selects, and of the one after it.
        """
        ids = yield self.ask("job_ids", wanted)
        after = sorted((JobId(*own), id) for id, own in ids if own > part.after)
        chosen = dict(islice(after, part.most + 1))
        projection = [*names.OF_ALL, *part.names, *map(kept_name, part.names)] if part.names else []
        found = []
        for few in by_ids(list(chosen.values())):
            listed = yield self.ask("query_jobs", f"{few} && ({wanted})", projection, -1)
            found += [(cluster, proc, text) for cluster, proc, text in listed if (cluster, proc) in chosen]
        return found

    def with_own_dag(self, text: str) -> str:
        """The ad, as JSON, of a job; one that DAGMan submitted names DAGMan's by the client's id."""
        return _with_dag(text, self.journal.own_job)

    def with_former_dag(self, text: str) -> str:
        """The same of a job in the history."""
        return _with_dag(text, self.journal.former_job)

    def procs(self, cluster: int) -> Any:
        """The procs of a cluster that are visible, in order."""
        first = self._place(cluster)
        if first is None:
            return []
        found = yield self.ask("query_jobs", self.view.cluster(first.cluster, cluster), names.IDS, -1)
        return sorted(proc for _, proc, _ in found)

    def act(self, action: JobAction, job: JobId, details: ActionDetails) -> Any:
        """Do something to a job. Raises UnknownJob, WrongJobStatus, PermissionDenied."""
        name = self._known(job)
        reason = details.reason or _DEFAULT_REASON
        if action is JobAction.REMOVE and details.force:
            done = yield self.ask("force_removal", name, reason)
        else:
            email = details.email_user, details.email_admin
            if any(email) and not self._tells_mail:
                _log.warning("Job %s: no mail is sent without smtp_server and htcondor_event_log", job)
            counts = "NumSystemHolds" if action is JobAction.HOLD and details.system_hold else ""
            done = yield self.ask("act", ACTIONS[action], name, reason, email, counts)
        if not done.found:
            raise UnknownJob(f"Job {job} is not in the queue")
        if not done.permitted:
            raise PermissionDenied("The pool does not permit that")
        if not done.done:
            raise WrongJobStatus(f"Job {job} is in a state that does not allow this")

    def edit(self, job: JobId, values: dict[str, str], in_place: bool = False) -> Any:
        """Set attributes of a job to values in the job queue's syntax, if wanted once its files are in place.
        Raises UnknownJob.
        """
        if not (yield self.ask("edit", self._known(job), values, in_place)):
            raise UnknownJob(f"Job {job} is not in the queue")

    def collect(self, job: JobId, at_commit: bool = False) -> Any:
        """The client has all it wants of the job's files; whether the job leaves the queue by that."""
        name = self._known(job)
        if not at_commit and (yield from self.look_up(job, AdMemory(0))) is None:
            # It was collected before, and is in the schedd's queue for a moment yet.
            raise UnknownJob(f"Job {job} is not in the queue")
        found, left = yield self.ask("collect", name)
        if not found:
            raise UnknownJob(f"Job {job} is not in the queue")
        return left

    def fetch(self, job: JobId, folder: str) -> Any:
        """Bring what the job has written into `folder`, unless that was done since it last changed state."""
        name = self.schedd_id(job) if job.cluster >= FIRST_CLUSTER else None
        if name is None or self._fetched.get(job, (0, 0, 0))[0] in _AT_REST:
            return
        state = yield self.ask("state", name)
        if state is None or (state == self._fetched.get(job) and state[0] not in _WRITING):
            return
        call = Call("fetch", (name, folder), self.seconds, transfer=state[2] / SLOWEST)
        with self._lock:
            fetching = self._fetching.get(job)
            if fetching is None:
                fetching = self._fetching[job] = self.transfers.ask(call)
        try:
            yield fetching
        finally:
            with self._lock:
                self._fetching.pop(job, None)
        with self._lock:
            if len(self._fetched) >= _KNOWN_IDS:
                self._fetched.clear()
            self._fetched[job] = state

    def forget(self, jobs: Sequence[JobId]) -> None:
        """These jobs have left the queue."""
        with self._lock:
            for job in jobs:
                self._fetched.pop(job, None)

    def _known(self, job: JobId) -> str:
        name = self.schedd_id(job)
        if name is None:
            raise UnknownJob(f"Job {job} is not in the queue")
        return name


def _with_dag(text: str, own_job: Callable[[JobId], JobId | None]) -> str:
    if '"DAGManJobId"' not in text:
        return text
    ad = Ad.from_json(text)
    own = own_job(JobId(ad.integer("DAGManJobId"), 0))
    if own is None:
        return text
    ad.set("DAGManJobId", own.cluster)
    return ad.to_json()
