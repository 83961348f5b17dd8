"""The life of a job: how its ad changes from state to state, and which events that gives. No I/O.

Functions change the job they are given and return the events to be logged, in order. `now` is the pool's
time. Attribute names and their meaning are HTCondor's, as in real ads; semantics of hold, release and remove
are those of the protocol reference, sections 3.10 to 3.13.
"""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.classads import Ad, Expression, Scalar
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import ActionDetails, JobStatus
from birdbath.pool.simulated.queued_job import FINISH, IMAGE, PROGRAM, Place, QueuedJob
from birdbath.pool.simulated.reasons import count_reason

_VACATED_BY_REMOVAL = 1023
_REQUEUED = 1022


@dataclass(frozen=True)
class Hold:
    """Why a job is held: HTCondor's code and subcode, and the reason (None leaves the job's own alone).

    `evicts`: a program that runs is evicted for it, with the event of that.
    """

    reason: str | None
    code: int
    subcode: int = 0
    system: bool = False
    email_user: bool = False
    email_admin: bool = False
    evicts: bool = True


@dataclass(frozen=True)
class Ending:
    """How a program ended: its exit code or the signal that killed it (0: none), CPU seconds, and bytes
    received before and sent after it.
    """

    exit_code: int
    cpu: float = 0.0
    received: int = 0
    sent: int = 0
    signal: int = 0


Fields = dict[str, Scalar | Expression]


def event(job: QueuedJob, kind: EventType, now: float, fields: Fields | None = None) -> JobEvent:
    """Something that happened to the job."""
    return JobEvent(kind, job.id.cluster, job.id.proc, job.owner, now, fields or {})


_LARGEST = 2**62


def increase(ad: Ad, name: str, by: int = 1) -> None:
    """Count something."""
    # A client may have begun at the end of all integers: that is its own joke, not the pool's failure.
    ad.set(name, max(-_LARGEST, min(ad.integer(name) + by, _LARGEST)))


def _add_seconds(ad: Ad, name: str, seconds: float) -> None:
    value = ad.get(name)
    ad.set(name, (float(value) if isinstance(value, int | float) else 0.0) + seconds)


def _move(ad: Ad, old: str, new: str) -> None:
    """`old` becomes `new`; nothing happens when there is none, or only an undefined one."""
    attribute = ad.attribute(old)
    if attribute is not None and attribute[1] != "u":
        ad.rename(old, new)
    else:
        ad.delete(old)


def enter(job: QueuedJob, status: JobStatus, now: float) -> None:
    """The job is in another state from now on."""
    job.ad.set("LastJobStatus", int(job.status))
    job.ad.set("JobStatus", int(status))
    job.ad.set("EnteredCurrentStatus", int(now))


_AT_FIRST: dict[str, int | float] = {
    "NumJobCompletions": 0,
    "CumulativeRemoteUserCpu": 0.0,
    "CumulativeRemoteSysCpu": 0.0,
    "Rank": 0.0,
}
"""What policies may look at from the beginning: a schedd's jobs have it."""


def submit(job: QueuedJob, now: float, submit_host: str, schedd: str) -> list[JobEvent]:
    """A job enters the queue of `schedd`, Idle unless its ad says Held or Removed (it was held or removed
    before its commit).
    """
    for name, value in _AT_FIRST.items():
        if name not in job.ad:
            job.ad.set(name, value)
    if "GlobalJobId" not in job.ad:
        job.ad.set("GlobalJobId", f"{schedd}#{job.id}#{int(now)}")
    if job.status not in (JobStatus.HELD, JobStatus.REMOVED):
        job.ad.set("JobStatus", int(JobStatus.IDLE))
    events = [event(job, EventType.SUBMIT, now, {"SubmitHost": submit_host})]
    if job.status is JobStatus.HELD:
        events.append(_held_event(job, now))
    elif job.status is JobStatus.REMOVED:
        events.append(_aborted_event(job, now))
    return events


def start(
    job: QueuedJob, place: Place, now: float, ends_at: float | None, image_at: float, received: int
) -> list[JobEvent]:
    """An Idle job was matched and its program starts; it will end at `ends_at`, having received so many
    bytes. None: a program that runs inside the pool will say when.
    """
    moment, ad = int(now), job.ad
    enter(job, JobStatus.RUNNING, now)
    if ad.integer("JobStartDate") == 0:
        ad.update(
            {
                "JobStartDate": moment,
                "InitialWaitDuration": min(max(0, moment - ad.integer("QDate", moment)), _LARGEST),
            }
        )
        ad.set("FirstJobMatchDate", moment)
    _move(ad, "JobCurrentStartDate", "JobLastStartDate")
    for name in ("NumJobMatches", "NumJobStarts", "NumShadowStarts", "JobRunCount"):
        increase(ad, name)
    for name in ("LastMatchTime", "JobCurrentStartDate", "JobCurrentStartExecutingDate", "ShadowBday"):
        ad.set(name, moment)
    for name in ("TransferInStarted", "TransferInFinished", "LastJobLeaseRenewal"):
        ad.set(name, moment)
    ad.update({"CurrentHosts": 1, "RemoteHost": place.slot, "RemoteSlotID": place.slot_id})
    ad.update({"StartdIpAddr": place.address, "StartdPrincipal": "execute-side@matchsession"})
    ad.set("PublicClaimId", f"{place.address}#{moment}#{ad.integer('JobRunCount')}#...")
    ad.update(
        {"CpusProvisioned": place.cpus, "MemoryProvisioned": place.memory, "DiskProvisioned": place.disk}
    )
    if place.gpus:
        ad.set("GPUsProvisioned", place.gpus)
    else:
        ad.delete("GPUsProvisioned")
    ad.update({"MachineAttrCpus0": place.cpus, "MachineAttrSlotWeight0": place.cpus, "OrigMaxHosts": 1})
    ad.update({"BytesRecvd": float(received), "BytesSent": 0.0, "CpusUsage": 0.0})
    for name in ("JobCurrentStartTransferInputDate", "JobCurrentFinishTransferInputDate"):
        ad.set(name, moment)
    increase(ad, "NumInputTransferStarts")
    ad.update({"TransferringInput": False, "TransferQueued": False, "ActivationSetupDuration": 0})
    job.ends_at = ends_at
    if ends_at is None:
        job.phase, job.due_at = PROGRAM, now
    else:
        job.phase, job.due_at = (IMAGE, image_at) if image_at < ends_at else (FINISH, ends_at)
    gpus = f"GPUs = {place.gpus}; " if place.gpus else ""
    properties = f"[ Cpus = {place.cpus}; Disk = {place.disk}; {gpus}Memory = {place.memory} ]"
    fields: Fields = {
        "ExecuteHost": place.address,
        "SlotName": place.slot,
        "ExecuteProps": Expression(properties),
    }
    return [event(job, EventType.EXECUTE, now, fields)]


_IMAGE_KIB, _RESIDENT_KIB = 5092, 4852


def grow(job: QueuedJob, now: float) -> list[JobEvent]:
    """The running program's size is known for the first time."""
    ad = job.ad
    ad.update({"ImageSize": min(max(ad.integer("ImageSize"), 7500), _LARGEST), "ImageSize_RAW": _IMAGE_KIB})
    ad.update({"ResidentSetSize": 5000, "ResidentSetSize_RAW": _RESIDENT_KIB})
    ad.set("MemoryUsage", Expression("((ResidentSetSize + 1023) / 1024)"))
    ad.set("LastJobLeaseRenewal", int(now))
    job.phase, job.due_at = FINISH, job.ends_at
    fields: Fields = {"Size": _IMAGE_KIB, "MemoryUsage": 5, "ResidentSetSize": _RESIDENT_KIB}
    return [event(job, EventType.IMAGE_SIZE, now, fields)]


SUSPENDED_AT = "SimSuspendedAt"
SUSPENDED_FOR = "SimSuspendedFor"
"""So many seconds of this run the program has stood still."""


def end_suspension(ad: Ad, now: float) -> float:
    """A program that stood still does so no more; returns for how many seconds, 0 if it did not."""
    since = ad.get(SUSPENDED_AT)
    if not isinstance(since, int | float):
        return 0.0
    ad.delete(SUSPENDED_AT)
    increase(ad, "CumulativeSuspensionTime", int(now - since))
    increase(ad, SUSPENDED_FOR, int(now - since))
    ad.set("LastSuspensionTime", 0)
    return now - since


def _stop(job: QueuedJob, now: float) -> float:
    """End the run: account for its time, give the slot back. Returns its wall-clock seconds."""
    ad = job.ad
    end_suspension(ad, now)
    wall = float(max(0, int(now) - ad.integer("JobCurrentStartDate", int(now))))
    _add_seconds(ad, "RemoteWallClockTime", wall)
    _add_seconds(ad, "CumulativeSlotTime", wall * max(1, ad.integer("MachineAttrSlotWeight0", 1)))
    ad.set("LastRemoteWallClockTime", wall)
    for name in ("ActivationDuration", "ActivationExecutionDuration"):
        ad.set(name, int(wall))
    ad.set("ActivationTeardownDuration", 0)
    for name in ("TransferringInput", "TransferQueued"):
        ad.delete(name)
    ad.rename("RemoteHost", "LastRemoteHost")
    ad.rename("PublicClaimId", "LastPublicClaimId")
    for name in ("RemoteSlotID", "StartdIpAddr", "ShadowBday"):
        ad.delete(name)
    ad.set("CurrentHosts", 0)
    job.vacate(now)
    return wall


def note_exit(job: QueuedJob, ending: Ending) -> None:
    """Set the attributes that OnExitHold and OnExitRemove look at."""
    increase(job.ad, "NumJobCompletions")
    if ending.signal:
        job.ad.update({"ExitBySignal": True, "ExitSignal": ending.signal, "ExitStatus": ending.signal})
        job.ad.delete("ExitCode")
        return
    job.ad.update({"ExitBySignal": False, "ExitCode": ending.exit_code, "ExitStatus": ending.exit_code})
    job.ad.delete("ExitSignal")


def _account(job: QueuedJob, ending: Ending) -> None:
    ad = job.ad
    _add_seconds(ad, "RemoteUserCpu", ending.cpu)
    _add_seconds(ad, "CumulativeRemoteUserCpu", ending.cpu)
    for name in ("RemoteSysCpu", "CumulativeRemoteSysCpu"):
        _add_seconds(ad, name, 0.0)
    ad.update({"BytesSent": float(ending.sent), "BytesRecvd": float(ending.received)})


def complete(job: QueuedJob, now: float, ending: Ending) -> list[JobEvent]:
    """The running program ended and the job is done: Completed."""
    ad, moment = job.ad, int(now)
    _account(job, ending)
    wall = _stop(job, now)
    enter(job, JobStatus.COMPLETED, now)
    increase(ad, "CommittedTime", int(wall))
    increase(ad, "CommittedSuspensionTime", ad.integer(SUSPENDED_FOR))
    ad.delete(SUSPENDED_FOR)
    _add_seconds(ad, "CommittedSlotTime", wall * max(1, ad.integer("MachineAttrSlotWeight0", 1)))
    for name in ("CompletionDate", "JobFinishedHookDone", "TransferOutFinished"):
        ad.set(name, moment)
    if ad.integer("TransferOutStarted") < ad.integer("JobCurrentStartDate"):
        ad.set("TransferOutStarted", moment)
    ad.set("JobCurrentStartTransferOutputDate", ad.integer("TransferOutStarted"))
    ad.set("JobCurrentFinishTransferOutputDate", moment)
    increase(ad, "NumOutputTransferStarts")
    ad.set("TerminationPending", True)
    return [event(job, EventType.JOB_TERMINATED, now, _terminated_fields(job, ending, wall))]


def _usage(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    return f"Usr {days} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}, Sys 0 00:00:00"


def _how_it_ended(ending: Ending) -> Fields:
    if ending.signal:
        return {"TerminatedNormally": False, "TerminatedBySignal": ending.signal}
    return {"TerminatedNormally": True, "ReturnValue": ending.exit_code}


def _terminated_fields(job: QueuedJob, ending: Ending, wall: float) -> Fields:
    fields = _how_it_ended(ending)
    used = _usage(ending.cpu)
    fields |= {"RunLocalUsage": _usage(0), "RunRemoteUsage": used, "TotalLocalUsage": _usage(0)}
    total = job.ad.get("RemoteUserCpu")
    fields["TotalRemoteUsage"] = _usage(total if isinstance(total, int | float) else 0)
    fields |= {"SentBytes": float(ending.sent), "ReceivedBytes": float(ending.received)}
    fields |= {"TotalSentBytes": float(ending.sent), "TotalReceivedBytes": float(ending.received)}
    fields |= {"TimeExecuteUsage": int(wall), "TimeSlotBusyUsage": int(wall)}
    for resource in ("Cpus", "Memory", "Disk"):
        fields[resource] = job.ad.integer(f"{resource}Provisioned")
    return fields


def _evicted_event(
    job: QueuedJob, now: float, reason: str, code: int, subcode: int, **more: Scalar
) -> JobEvent:
    received = job.ad.get("BytesRecvd")
    fields: Fields = {"Checkpointed": False, "RunLocalUsage": _usage(0), "RunRemoteUsage": _usage(0)}
    fields |= {"SentBytes": 0.0, "ReceivedBytes": received if isinstance(received, float) else 0.0}
    fields |= {"TerminatedAndRequeued": False, "TerminatedNormally": False}
    fields |= {"Reason": reason, "ReasonCode": code, "ReasonSubCode": subcode}
    return event(job, EventType.JOB_EVICTED, now, fields | more)


def vacate(job: QueuedJob, now: float, reason: str, code: int, subcode: int = 0) -> list[JobEvent]:
    """Stop the program before its end, if it runs."""
    if not job.running:
        return []
    _stop(job, now)
    job.ad.delete(SUSPENDED_FOR)
    job.ad.update({"LastVacateTime": int(now), "VacateReason": reason, "VacateReasonCode": code})
    job.ad.set("VacateReasonSubCode", subcode)
    increase(job.ad, "NumVacates")
    count_reason(job.ad, "NumVacatesByReason", code)
    return [_evicted_event(job, now, reason, code, subcode)]


def requeue(job: QueuedJob, now: float, ending: Ending, reason: str) -> list[JobEvent]:
    """The program ended, but OnExitRemove wants it to run again: back to Idle."""
    _account(job, ending)
    _stop(job, now)
    enter(job, JobStatus.IDLE, now)
    more: Fields = {"TerminatedAndRequeued": True, **_how_it_ended(ending)}
    return [_evicted_event(job, now, reason, _REQUEUED, 0, **more)]


def hold(job: QueuedJob, now: float, why: Hold) -> list[JobEvent]:
    """Any job that is not Held becomes so; a running program is stopped (reference section 3.12)."""
    ad = job.ad
    if job.status is JobStatus.REMOVED:
        ad.set("JobStatusOnRelease", int(JobStatus.REMOVED))
    events = vacate(job, now, why.reason or "Unspecified", why.code, why.subcode)
    enter(job, JobStatus.HELD, now)
    if why.reason is not None:
        ad.set("HoldReason", why.reason)
    ad.update({"HoldReasonCode": why.code, "HoldReasonSubCode": why.subcode, "LastSuspensionTime": 0})
    _move(ad, "ReleaseReason", "LastReleaseReason")
    increase(ad, "NumHolds")
    count_reason(ad, "NumHoldsByReason", why.code)
    if why.system:
        increase(ad, "NumSystemHolds")
    held = _held_event(job, now, _mail(why.email_user, why.email_admin))
    return [*events, held] if why.evicts else [held]


def _mail(user: bool, admin: bool) -> Fields:
    """Who is to be told by mail; recorded with the event, for whoever sends mails."""
    return {**({"EmailUser": True} if user else {}), **({"EmailAdmin": True} if admin else {})}


def _held_event(job: QueuedJob, now: float, mail: Fields | None = None) -> JobEvent:
    ad = job.ad
    fields: Fields = {"HoldReason": ad.string("HoldReason", "Unspecified")}
    fields |= {
        "HoldReasonCode": ad.integer("HoldReasonCode"),
        "HoldReasonSubCode": ad.integer("HoldReasonSubCode"),
    }
    return event(job, EventType.JOB_HELD, now, fields | (mail or {}))


def release(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    """A Held job goes back to what it was before, Removed or else Idle (reference section 3.13)."""
    ad = job.ad
    removed = ad.get("JobStatusOnRelease") == JobStatus.REMOVED
    enter(job, JobStatus.REMOVED if removed else JobStatus.IDLE, now)
    ad.delete("JobStatusOnRelease")
    _forget_hold(ad)
    ad.set("LastSuspensionTime", 0)
    if details.reason is not None:
        ad.set("ReleaseReason", details.reason)
    fields: Fields = {"Reason": details.reason} if details.reason else {}
    return [event(job, EventType.JOB_RELEASED, now, fields | _mail(details.email_user, details.email_admin))]


def _forget_hold(ad: Ad) -> None:
    for name in ("HoldReason", "HoldReasonCode", "HoldReasonSubCode"):
        _move(ad, name, f"Last{name}")


def remove(job: QueuedJob, now: float, reason: str | None, evicts: bool = True) -> list[JobEvent]:
    """Any job becomes Removed; doing it again only overwrites the reason (reference section 3.10).

    Unless it `evicts` a program that runs, no event tells of that.
    """
    again = job.status is JobStatus.REMOVED
    if reason:
        job.ad.set("RemoveReason", reason)
    if again:
        return []
    events = vacate(job, now, reason or "Unspecified", _VACATED_BY_REMOVAL)
    enter(job, JobStatus.REMOVED, now)
    job.ad.delete("JobStatusOnRelease")
    _forget_hold(job.ad)
    aborted = _aborted_event(job, now)
    return [*events, aborted] if evicts else [aborted]


def _aborted_event(job: QueuedJob, now: float) -> JobEvent:
    reason = job.ad.string("RemoveReason")
    return event(job, EventType.JOB_ABORTED, now, {"Reason": reason} if reason else {})
