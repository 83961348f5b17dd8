"""Programs that run inside the pool: a scheduler-universe job whose program is a Python object.

The contract of `Program`. The pool asks its `ProgramFactory` for every job that it starts on the submit
machine; None means that the job is an ordinary one. All of a program's methods are called with a `Host`, in
the unit of work in which the pool itself goes on, at one instant of pool time; whatever they do through it
(submit, hold, release, remove, remember) is durable together with the change that they were told of, or not
at all. They may not wait for anything, nor look at a clock other than `host.now`.

- `start` when the job starts, also when it starts again after a hold or an eviction.
- `wake` with the events of jobs whose DAGManJobId is this job's ClusterId, in the order of the event log,
  each exactly once, at the instant at which they happened, with several of one instant together; and, with
  or without events, at the instant that `host.wake_at` asked for.
- `stop` when the job was held, removed or evicted while it ran (`host.ad` says which). Events that were not
  delivered before are dropped. The program of a removed job that asks to `linger` is woken as before, until
  it finishes; its job stays in the queue so long.

The object may be dropped between any two calls and is then built anew by the factory: what it must not lose
it gives to `host.remember`. It ends the job by `host.finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import bindparam, delete, insert, select, update

from birdbath.classads import Ad
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobId, JobQueue
from birdbath.store.sandbox import Sandbox
from birdbath.store.tables import events, simulated_notices, simulated_programs
from birdbath.store.unit_of_work import UnitOfWork

_p = simulated_programs.c
_n = simulated_notices.c
_e = events.c
_ME = (_p.cluster_id == bindparam("cluster"), _p.proc_id == bindparam("proc"))
_READ = select(_p.state, _p.wake_at).where(*_ME)
_BEGIN = insert(simulated_programs)
_SAVE = (
    update(simulated_programs).where(*_ME).values(state=bindparam("new_state"), wake_at=bindparam("new_wake"))
)
_END = delete(simulated_programs).where(*_ME)
_NOTICES = (
    select(_e.type, _e.cluster_id, _e.proc_id, _e.owner, _e.time, _e.ad)
    .join_from(simulated_notices, events, _n.sequence == _e.sequence)
    .where(_n.cluster_id == bindparam("cluster"))
    .order_by(_n.sequence)
)
_ANY_NOTICE = select(_n.sequence).where(_n.cluster_id == bindparam("cluster")).limit(1)
_DELIVERED = delete(simulated_notices).where(_n.cluster_id == bindparam("cluster"))


@dataclass
class Host:
    """What a program has of the pool during one call.

    `unit` and `queue` are for submitting (`queue.reserve_cluster`, `queue.accept`; the ads need DAGManJobId)
    and acting on jobs (`queue.act`) in the pool's own unit of work, at pool time `now`. `ad` is the job's
    own: what is set in it is saved after the call. `state` is what was remembered last, empty at the first
    start.
    """

    job: JobId
    ad: Ad
    sandbox: Sandbox
    unit: UnitOfWork
    queue: JobQueue
    now: float
    state: str = ""
    wake: float | None = None
    exit_code: int | None = None
    lingers: bool = False

    def linger(self) -> None:
        """Removed, the program still has something to do."""
        self.lingers = True

    def remember(self, state: str) -> None:
        """Keep `state`, in place of what was remembered before, until the job leaves the queue."""
        self.state = state

    def wake_at(self, at: float | None) -> None:
        """Wake this program at pool time `at`, in place of any time that was asked for before; None for
        never.
        """
        self.wake = at

    def finish(self, exit_code: int) -> None:
        """The program has ended, with that exit code; the job's OnExit policies decide what comes of it."""
        self.exit_code = exit_code


class Program(Protocol):
    """See the module's own text."""

    def start(self, host: Host) -> None: ...

    def wake(self, host: Host, events: Sequence[JobEvent]) -> None: ...

    def stop(self, host: Host) -> None: ...


ProgramFactory = Callable[[Ad, Sandbox], Program | None]
"""Makes the program of a job that starts on the submit machine, from its ad and its files; None when it is an
ordinary one."""


@dataclass
class ProgramTable:
    """The programs' objects, and what the database knows of them."""

    factory: ProgramFactory
    _objects: dict[JobId, tuple[str, Program]] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop all objects: what they did last was undone."""
        self._objects.clear()

    def find(self, host: Host) -> Program | None:
        """The program of the job, with what it remembers put into `host`."""
        row = host.unit.first(_READ, _key(host.job))
        host.state, host.wake = ("", None) if row is None else (row.state, row.wake_at)
        known = self._objects.get(host.job)
        if known is not None and known[0] == host.state:
            return known[1]
        return self.factory(host.ad, host.sandbox)

    def keep(self, host: Host, program: Program) -> None:
        """Write what the program wants remembered."""
        if host.unit.first(_READ, _key(host.job)) is None:
            host.unit.execute(_BEGIN, {"cluster_id": host.job.cluster, "proc_id": host.job.proc, "state": ""})
        host.unit.execute(_SAVE, {**_key(host.job), "new_state": host.state, "new_wake": host.wake})
        host.unit.if_undone(self.forget)
        self._objects[host.job] = host.state, program

    def drop(self, unit: UnitOfWork, job: JobId) -> None:
        """Forget all of a job that leaves the queue."""
        self._objects.pop(job, None)
        unit.execute(_END, _key(job))
        unit.execute(_DELIVERED, {"cluster": job.cluster})


def take_notices(unit: UnitOfWork, job: JobId) -> list[JobEvent]:
    """The events that the job's program is still to be told of; they will not come again."""
    rows = unit.execute(_NOTICES, {"cluster": job.cluster})
    if rows:
        unit.execute(_DELIVERED, {"cluster": job.cluster})
    return [
        JobEvent(EventType(row.type), row.cluster_id, row.proc_id, row.owner, row.time, _fields(row.ad))
        for row in rows
    ]


def any_notices(unit: UnitOfWork, job: JobId) -> bool:
    """Whether there are events that the job's program is still to be told of."""
    return unit.first(_ANY_NOTICE, {"cluster": job.cluster}) is not None


_COMMON = frozenset({"mytype", "eventtypenumber", "cluster", "proc", "subproc"})


def _fields(text: str) -> dict[str, bool | int | float | str]:
    ad = Ad.from_json(text)
    values = {name: ad.get(name) for name, _, _ in ad if name.lower() not in _COMMON}
    return {name: value for name, value in values.items() if value is not None}


def _key(job: JobId) -> dict[str, int]:
    return {"cluster": job.cluster, "proc": job.proc}
