"""The user log: a job's events in HTCondor's own form, in the file of the job's sandbox that UserLog
names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, insert, select, update

from birdbath.classads import Ad, is_true
from birdbath.errors import BirdbathError
from birdbath.events import EventType, JobEvent
from birdbath.events.forms import DEFAULT_OPTIONS, FORMS
from birdbath.events.record import EventRecord
from birdbath.pool.base import JobId
from birdbath.pool.simulated.evaluation import evaluate_at
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store.sandbox import InvalidFileName, Sandbox, check_file_name
from birdbath.store.tables import simulated_user_logs
from birdbath.store.unit_of_work import UnitOfWork

_l = simulated_user_logs.c
_OF_FILE = (
    _l.cluster_id == bindparam("cluster"),
    _l.proc_id == bindparam("proc"),
    _l.name == bindparam("file"),
)
_SIZE = select(_l.size).where(*_OF_FILE)
_BEGIN = insert(simulated_user_logs)
_GROW = update(simulated_user_logs).where(*_OF_FILE).values(size=bindparam("new_size"))
_FORGET = delete(simulated_user_logs).where(*_OF_FILE[:2])


def write_user_log(
    unit: UnitOfWork, home: JobId, sandbox: Sandbox, job: QueuedJob, events: Sequence[JobEvent]
) -> None:
    """Append `events` to the job's log, if it has one, durable when the unit is; as XML if UserLogUseXML
    says so, and each with the job's attributes that JobAdInformationAttrs names in an event of their own.

    `sandbox` is that of the job `home`. The jobs of a DAG have that of DAGMan: those that name the same log
    share it. A log that cannot be written (its name is none, the disk is full) keeps no job from running.
    """
    path = job.ad.string("UserLog")
    if not path or not events:
        return
    render = FORMS["xml" if is_true(job.ad.get("UserLogUseXML")) else "text"][0]
    records = (record for event in events for record in _records(job.ad, event))
    data = b"".join(render(record, "", DEFAULT_OPTIONS) for record in records)
    try:
        _append(unit, home, sandbox, check_file_name(path.rpartition("/")[2]), data)
    except (InvalidFileName, OSError, BirdbathError):
        return


def _records(job: Ad, event: JobEvent) -> Iterator[EventRecord]:
    """The event, and after it what the log is to tell of the job at that moment."""
    told = EventRecord(0, "", event.time, event.type, event.cluster, event.proc, event.owner, event.ad())
    yield told
    names = re.findall(r"\w+", job.string("JobAdInformationAttrs"))
    if not names:
        return
    ad = event.ad()
    for name in names:
        value, attribute = evaluate_at(job, name, event.time), job.attribute(name)
        if attribute is not None and value is not None:
            ad.set(attribute[0], value)
    ad.update({"EventTypeNumber": int(EventType.JOB_AD_INFORMATION), "TriggerEventTypeNumber": event.type})
    ad.set("TriggerEventTypeName", f"ULOG_{EventType(event.type).name}")
    yield replace(told, type=EventType.JOB_AD_INFORMATION, ad=ad)


def forget_user_logs(unit: UnitOfWork, home: JobId) -> None:
    """The sandbox of `home` goes, and the logs in it."""
    unit.execute(_FORGET, {"cluster": home.cluster, "proc": home.proc})


def _append(unit: UnitOfWork, home: JobId, sandbox: Sandbox, name: str, data: bytes) -> None:
    key = {"cluster": home.cluster, "proc": home.proc, "file": name}
    row = unit.first(_SIZE, key)
    if row is None:
        if not sandbox.exists():
            sandbox.declare(unit, name)
        sandbox.replace(unit, name, data)
        values = {"cluster_id": home.cluster, "proc_id": home.proc, "name": name, "size": len(data)}
        unit.execute(_BEGIN, values)
        return
    if sandbox.size(name) > row.size:
        sandbox.cut(unit, name, row.size)
    sandbox.write(unit, name, row.size, data)
    unit.execute(_GROW, {**key, "new_size": row.size + len(data)})
