"""The rows of the simulated pool's jobs: read, changed and written together with the events of the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, NamedTuple, Protocol

from sqlalchemy import and_, bindparam, delete, insert, null, select, update

from birdbath.classads import Ad
from birdbath.events import JobEvent
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated.materialization import is_late
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.pool.simulated.shares import limits_text
from birdbath.store.event_log import append_all
from birdbath.store.statements import Row
from birdbath.store.tables import jobs, simulated_jobs, simulated_notices
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c
_ROW = (
    select(
        jobs.c.cluster_id,
        jobs.c.proc_id,
        jobs.c.owner,
        jobs.c.ad,
        _s.slot,
        _s.phase,
        _s.due_at,
        _s.ends_at,
        _s.progress,
    )
    .add_columns(_s.next_policy_at, _s.submitter, _s.cpus, _s.memory, _s.disk, _s.gpus)
    .add_columns(_s.claimed_at, _s.claim_rank)
    .join_from(jobs, simulated_jobs, and_(jobs.c.cluster_id == _s.cluster_id, jobs.c.proc_id == _s.proc_id))
)
_ONE = _ROW.where(_s.cluster_id == bindparam("cluster"), _s.proc_id == bindparam("proc"))
_DUE = (
    select(_s.due_at, _s.cluster_id, _s.proc_id)
    .where(_s.due_at <= bindparam("now"))
    .order_by(_s.due_at, _s.cluster_id, _s.proc_id)
    .limit(bindparam("most"))
)
_POLICY = _ROW.where(_s.next_policy_at <= bindparam("now")).order_by(
    _s.next_policy_at, _s.cluster_id, _s.proc_id
)
_POLICY = _POLICY.limit(bindparam("most"))
_NEXT_DUE = select(_s.due_at).where(_s.due_at > 0).order_by(_s.due_at).limit(1)
_NEXT_POLICY = select(_s.next_policy_at).where(_s.next_policy_at > 0).order_by(_s.next_policy_at).limit(1)

_ADD_JOB = insert(jobs)
_ADD_SIMULATED = insert(simulated_jobs)
_ADD_NOTICE = insert(simulated_notices)
_SAVE_JOB = (
    update(jobs)
    .where(jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc"))
    .values({name: bindparam(f"new_{name}") for name in ("version", "in_queue", "status", "ad")})
)
_RUN = ("slot", "phase", "due_at", "ends_at", "progress")
_CLAIM = ("submitter", "cpus", "memory", "disk", "gpus", "claimed_at", "claim_rank", "limits")
_STATE = ("signature", "precedence", *_RUN, "next_policy_at", *_CLAIM)
_SAVE_SIMULATED = (
    update(simulated_jobs)
    .where(_s.cluster_id == bindparam("cluster"), _s.proc_id == bindparam("proc"))
    .values({name: bindparam(f"new_{name}") for name in _STATE})
)
_FREE_SLOT = (
    update(simulated_jobs)
    .where(_s.cluster_id == bindparam("cluster"), _s.proc_id == bindparam("proc"))
    .values(slot=null())
)
_DROP_SIMULATED = delete(simulated_jobs).where(
    _s.cluster_id == bindparam("cluster"), _s.proc_id == bindparam("proc")
)

_IDLE = select(_s.cluster_id, _s.proc_id, jobs.c.ad).join_from(
    simulated_jobs, jobs, and_(jobs.c.cluster_id == _s.cluster_id, jobs.c.proc_id == _s.proc_id)
)
_IDLE = _IDLE.where(_s.signature > "")
_SET_LANE = (
    update(simulated_jobs)
    .where(_s.cluster_id == bindparam("cluster"), _s.proc_id == bindparam("proc"))
    .values(signature=bindparam("new"))
)

_MAX_PRIORITY = 2**31


class Charge(NamedTuple):
    """From `time` on the submitter uses slots of so much more weight."""

    time: float
    submitter: str
    weight: int


class Claims(Protocol):
    """Whoever keeps account of what is claimed."""

    def submitter(self, ad: Ad) -> str:
        """Who is charged for a job."""

    def change(self, unit: UnitOfWork, moved: Sequence[QueuedJob], charges: Sequence[Charge]) -> None:
        """Jobs got or gave back slots, as is being written; `charges` are in the order of their time."""


class JobTable:
    """The jobs one unit of work touches. Nothing is written before `flush`, which gives versions and event
    numbers.

    `scheduled` are jobs that may be due at another time now; `idled` says that a job became idle (or a new
    one came) since the last flush; `late` are clusters with jobs that are materialized late of which some
    changed, `thinned` those of which some left; `removing` says that a job ended because of which others
    may have to be removed.
    """

    def __init__(self, unit: UnitOfWork, signature: Callable[[Ad], str], claims: Claims, now: float) -> None:
        self._unit = unit
        self._signature = signature
        self._claims = claims
        self._charges: list[Charge] = []
        self.now = now
        self._loaded: dict[JobId, QueuedJob] = {}
        self._added: dict[JobId, QueuedJob] = {}
        self._changed: dict[JobId, QueuedJob] = {}
        self._touched: dict[JobId, QueuedJob] = {}
        self._left: dict[JobId, QueuedJob] = {}
        self._events: list[JobEvent] = []
        self._notices: list[tuple[int, int]] = []
        self.idled = False
        self.late: set[int] = set()
        self.thinned: set[int] = set()
        self.removing = False
        self.scheduled: list[QueuedJob] = []

    def load(self, job: JobId) -> QueuedJob | None:
        """The job, or None when it is not in the queue."""
        if job in self._left:
            return None
        loaded = self._loaded.get(job)
        if loaded is None:
            row = self._unit.first(_ONE, {"cluster": job.cluster, "proc": job.proc})
            loaded = None if row is None else self._keep(row)
        return loaded

    def due(self, now: float, most: int) -> list[tuple[float, JobId]]:
        """Which jobs have a phase that is over by `now`, and when, the earliest first, as written so far."""
        rows = self._unit.execute(_DUE, {"now": now, "most": most})
        return [(row[0], JobId(row[1], row[2])) for row in rows]

    def policies_due(self, now: float, most: int) -> list[QueuedJob]:
        """Jobs whose periodic expressions are to be looked at by `now`, the earliest first."""
        return self._rows(_POLICY, now, most)

    def next_due(self) -> tuple[float, float]:
        """When the next phase is over and when the next policy is due, as written so far; infinity for
        never.
        """
        phase, policy = self._unit.first(_NEXT_DUE), self._unit.first(_NEXT_POLICY)
        return (inf if phase is None else phase[0]), (inf if policy is None else policy[0])

    def add(self, job: QueuedJob) -> None:
        """Put a new job into the queue, which it may leave again at once."""
        job.submitter = self._claims.submitter(job.ad)
        self.idled = True
        self.scheduled.append(job)
        self._loaded[job.id] = self._added[job.id] = job

    def save(self, job: QueuedJob, events: Iterable[JobEvent] = ()) -> None:
        """Write the job's new version at the next flush."""
        if job.id not in self._added:
            self._changed[job.id] = job
        if job.weight != job.charged:
            self._charges.append(Charge(self.now, job.submitter, job.weight - job.charged))
            job.charged = job.weight
        self.idled = self.idled or job.status is JobStatus.IDLE
        self._note_late(job)
        self.scheduled.append(job)
        parent = job.parent
        for event in events:
            if parent is not None:
                self._notify(parent, event.time)
            self._events.append(event)

    def _note_late(self, job: QueuedJob) -> None:
        if is_late(job.ad):
            self.late.add(job.id.cluster)

    def _notify(self, parent: JobId, now: float) -> None:
        """Let the program of `parent`, if it is one that runs, be told of the event that comes next."""
        program = self.load(parent)
        if program is not None and program.listens:
            self._notices.append((len(self._events), parent.cluster))
            program.due_at = now if program.due_at is None else min(program.due_at, now)
            self.touch(program)

    def report(self, event: JobEvent) -> None:
        """Write an event that is no single job's at the next flush."""
        self._events.append(event)

    def touch(self, job: QueuedJob) -> None:
        """Write only what the pool keeps besides the ad, at the next flush: nobody else can see that it
        changed.
        """
        self.scheduled.append(job)
        self._touched[job.id] = job

    def forget_loaded(self, kept: QueuedJob) -> None:
        """Forget all jobs but `kept`: other tables of the same unit have changed them since the last
        flush.
        """
        self._loaded = {kept.id: kept}

    def leave(self, job: QueuedJob) -> None:
        """Take the job out of the queue: its row stays as the history record."""
        self._changed.pop(job.id, None)
        self._touched.pop(job.id, None)
        self._loaded.pop(job.id, None)
        self._left[job.id] = job
        self._note_late(job)
        if is_late(job.ad):
            self.thinned.add(job.id.cluster)

    def flush(self) -> int:
        """Write all that changed, in bulk; returns how many jobs."""
        count = len(self._added) + len(self._changed) + len(self._left_before())
        if count:
            version = self._unit.advance("version", count) - count
            version = self._write_added(version)
            self._write_changed(version)
        moved = [job for job in (self._changed | self._left).values() if job.slot != job.kept_slot]
        self._write_states()
        if moved or self._charges:
            self._claims.change(self._unit, moved, self._charges)
        last = append_all(self._unit, self._events)
        first = last - len(self._events) + 1
        rows = [{"sequence": first + index, "cluster_id": cluster} for index, cluster in self._notices]
        self._unit.execute_many(_ADD_NOTICE, rows)
        self._added, self._changed, self._touched, self._left, self._events = {}, {}, {}, {}, []
        self._notices, self._charges, self.idled = [], [], False
        for job in moved:
            job.kept_slot = job.slot
        return count

    def _write_added(self, version: int) -> int:
        rows, states = [], []
        for number, job in enumerate(self._added.values(), version + 1):
            id_columns = {"cluster_id": job.id.cluster, "proc_id": job.id.proc}
            left = job.id in self._left
            rows.append({**id_columns, "owner": job.owner, **self._job_values(job, number, not left)})
            if not left:
                states.append({**id_columns, **self._state(job)})
        self._unit.execute_many(_ADD_JOB, rows)
        self._unit.execute_many(_ADD_SIMULATED, states)
        return version + len(rows)

    def _write_changed(self, version: int) -> None:
        left = self._left_before()
        rows = [
            _renamed(job, self._job_values(job, number, in_queue=job.id not in self._left))
            for number, job in enumerate([*self._changed.values(), *left], version + 1)
        ]
        self._unit.execute_many(_SAVE_JOB, rows)

    def _write_states(self) -> None:
        # First what gives slots back: no two rows may hold one slot.
        self._unit.execute_many(_DROP_SIMULATED, [_renamed(job, {}) for job in self._left_before()])
        written = list((self._changed | self._touched).values())
        moving = [job for job in written if job.kept_slot and job.slot != job.kept_slot]
        self._unit.execute_many(_FREE_SLOT, [_renamed(job, {}) for job in moving])
        states = [_renamed(job, self._state(job)) for job in written]
        self._unit.execute_many(_SAVE_SIMULATED, states)

    def _left_before(self) -> list[QueuedJob]:
        """The jobs that leave and were not added in this very unit."""
        return [job for job in self._left.values() if job.id not in self._added]

    @staticmethod
    def _job_values(job: QueuedJob, version: int, in_queue: bool) -> dict[str, Any]:
        return {"version": version, "in_queue": in_queue, "status": int(job.status), "ad": job.ad.to_json()}

    def _state(self, job: QueuedJob) -> dict[str, Any]:
        idle = job.status is JobStatus.IDLE
        return {
            "signature": self._signature(job.ad) if idle else None,
            "precedence": -max(-_MAX_PRIORITY, min(job.ad.integer("JobPrio"), _MAX_PRIORITY)),
            "slot": job.slot,
            "phase": job.phase,
            "due_at": job.due_at,
            "ends_at": job.ends_at,
            "progress": job.progress,
            "next_policy_at": job.next_policy_at,
            "submitter": job.submitter,
            "cpus": job.cpus,
            "memory": job.memory,
            "disk": job.disk,
            "gpus": job.gpus,
            "claimed_at": job.claimed_at,
            "claim_rank": job.claim_rank,
            "limits": limits_text(job.ad, self.now)[:255] if job.slot else "",
        }

    def _rows(self, statement: Any, now: float, most: int) -> list[QueuedJob]:
        rows: Sequence[Row] = self._unit.execute(statement, {"now": now, "most": most})
        return [self._keep(row) for row in rows]

    def _keep(self, row: Row) -> QueuedJob:
        key = JobId(row[0], row[1])
        known = self._loaded.get(key)
        if known is None:
            known = self._loaded[key] = QueuedJob(key, row[2], Ad.from_json(row[3]), *row[4:])
        return known


def _renamed(job: QueuedJob, values: dict[str, Any]) -> dict[str, Any]:
    named = {f"new_{name}": value for name, value in values.items()}
    return {"cluster": job.id.cluster, "proc": job.id.proc, **named}


def renew_lanes(unit: UnitOfWork, lane: Callable[[Ad], str]) -> None:
    """Compute the lane of every idle job anew."""
    rows = [
        {"cluster": row.cluster_id, "proc": row.proc_id, "new": lane(Ad.from_json(row.ad))}
        for row in unit.execute(_IDLE)
    ]
    unit.execute_many(_SET_LANE, rows)
