"""What interrupts a run without being the job's fault: eviction, a shadow's failure, a lost machine,
suspension.

As in `lifecycle`: functions change the job they are given and return the events to be logged. No I/O.
"""

from __future__ import annotations

from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobStatus
from birdbath.pool.simulated.lifecycle import (
    SUSPENDED_AT,
    Fields,
    end_suspension,
    enter,
    event,
    increase,
    vacate,
)
from birdbath.pool.simulated.queued_job import DISCONNECTED, FINISH, SUSPENDED, TRANSFER, QueuedJob

_EVICTED = 1009
PERIODICALLY = 1000
"""The code of an eviction that the job's own PeriodicVacate asked for."""
_OUTPUT_STARTED, _OUTPUT_FINISHED = 5, 6


def evict(job: QueuedJob, now: float, reason: str, code: int = _EVICTED) -> list[JobEvent]:
    """The slot wants the job off, or `code` says who else: back to Idle."""
    events = vacate(job, now, reason, code)
    enter(job, JobStatus.IDLE, now)
    return events


def shadow_exception(job: QueuedJob, now: float, message: str) -> list[JobEvent]:
    """The shadow failed: the job is Idle again."""
    increase(job.ad, "NumShadowExceptions")
    received = job.ad.get("BytesRecvd")
    got = float(received) if isinstance(received, int | float) else 0.0
    vacate(job, now, message, 0)
    enter(job, JobStatus.IDLE, now)
    fields: Fields = {"Message": message, "SentBytes": 0.0, "ReceivedBytes": got}
    return [event(job, EventType.SHADOW_EXCEPTION, now, fields)]


def disconnect(job: QueuedJob, now: float) -> list[JobEvent]:
    """The machine does not answer: the shadow waits for it as long as the job's lease lasts."""
    ad = job.ad
    host = ad.string("RemoteHost")
    job.phase, job.due_at = DISCONNECTED, now + max(0, ad.integer("JobLeaseDuration"))
    fields: Fields = {"DisconnectReason": "Socket between submit and execute hosts closed unexpectedly"}
    fields |= {
        "StartdName": host,
        "StartdAddr": ad.string("StartdIpAddr"),
        "EventDescription": "disconnected",
    }
    return [event(job, EventType.JOB_DISCONNECTED, now, fields)]


def give_up_reconnecting(job: QueuedJob, now: float) -> list[JobEvent]:
    """The lease of a disconnected job is over: it is Idle again."""
    host = job.ad.string("RemoteHost")
    vacate(job, now, "Job lease expired", _EVICTED)
    enter(job, JobStatus.IDLE, now)
    fields: Fields = {"StartdName": host, "Reason": "Job disconnected too long: JobLeaseDuration expired"}
    return [event(job, EventType.JOB_RECONNECT_FAILED, now, fields)]


def suspend(job: QueuedJob, now: float, phase: str = SUSPENDED) -> list[JobEvent]:
    """The running program stands still, in this phase; its slot stays claimed."""
    ad = job.ad
    enter(job, JobStatus.SUSPENDED, now)
    increase(ad, "TotalSuspensions")
    ad.update({"LastSuspensionTime": int(now), SUSPENDED_AT: now})
    job.phase, job.due_at = phase, None
    return [event(job, EventType.JOB_SUSPENDED, now, {"NumberOfPIDs": 1})]


def unsuspend(job: QueuedJob, now: float) -> list[JobEvent]:
    """The program goes on; it ends so much later."""
    rest = end_suspension(job.ad, now)
    enter(job, JobStatus.RUNNING, now)
    job.ends_at = (job.ends_at or now) + rest
    job.phase, job.due_at = FINISH, min(now, job.ends_at)  # its output may go on at once
    return [event(job, EventType.JOB_UNSUSPENDED, now)]


def send_output(job: QueuedJob, now: float, takes: float) -> list[JobEvent]:
    """The program ended; its output is on its way back."""
    ad = job.ad
    enter(job, JobStatus.TRANSFERRING_OUTPUT, now)
    ad.update({"TransferringOutput": True, "TransferOutStarted": int(now)})
    job.phase, job.due_at = TRANSFER, now + takes
    return [event(job, EventType.FILE_TRANSFER, now, {"Type": _OUTPUT_STARTED})]


def output_arrived(job: QueuedJob, now: float) -> list[JobEvent]:
    """All output is there."""
    job.ad.update({"TransferringOutput": False, "TransferOutFinished": int(now)})
    return [event(job, EventType.FILE_TRANSFER, now, {"Type": _OUTPUT_FINISHED})]
