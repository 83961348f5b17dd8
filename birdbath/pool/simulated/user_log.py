"""The user log: a job's events in HTCondor's own form, in the file of the job's sandbox that UserLog
names.
"""

from __future__ import annotations

from collections.abc import Sequence

from birdbath.classads import is_true
from birdbath.errors import BirdbathError
from birdbath.events import JobEvent
from birdbath.events.forms import DEFAULT_OPTIONS, FORMS
from birdbath.events.record import EventRecord
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store.sandbox import InvalidFileName, Sandbox, check_file_name
from birdbath.store.unit_of_work import UnitOfWork

LENGTH = "SimUserLogSize"
"""The job's attribute that says how long its log is: what lies beyond was written by a unit that was
undone.
"""


def write_user_log(unit: UnitOfWork, sandbox: Sandbox, job: QueuedJob, events: Sequence[JobEvent]) -> None:
    """Append `events` to the job's log, if it has one, durable when the unit is; as XML if UserLogUseXML
    says so.

    A log that cannot be written (its name is none, the disk is full) keeps no job from running.
    """
    path = job.ad.string("UserLog")
    if not path or not events:
        return
    render = FORMS["xml" if is_true(job.ad.get("UserLogUseXML")) else "text"][0]
    records = (
        EventRecord(0, "", event.time, int(event.type), event.cluster, event.proc, event.owner, event.ad())
        for event in events
    )
    data = b"".join(render(record, "", DEFAULT_OPTIONS) for record in records)
    try:
        job.ad.set(LENGTH, _append(unit, sandbox, check_file_name(path.rpartition("/")[2]), job, data))
    except (InvalidFileName, OSError, BirdbathError):
        return


def _append(unit: UnitOfWork, sandbox: Sandbox, name: str, job: QueuedJob, data: bytes) -> int:
    length = job.ad.integer(LENGTH)
    if length == 0:
        if not sandbox.exists():
            sandbox.declare(unit, name)
        sandbox.replace(unit, name, data)
        return len(data)
    if sandbox.size(name) > length:
        sandbox.cut(unit, name, length)
    sandbox.write(unit, name, length, data)
    return length + len(data)
