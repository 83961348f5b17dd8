"""The mail about a job, as HTCondor's shadow and schedd write it: what it asked for itself by JobNotification
and NotifyUser, and what whoever held or released it asked for. No I/O.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from birdbath.classads import Ad
from birdbath.events import EventRecord, EventType

TOPICS = tuple(f"job.{name}.#" for name in ("terminated", "aborted", "held", "released", "checkpointed"))
"""The events that mail may be sent for."""

_BY_USER = 1
"""HoldReasonCode of a hold that somebody asked for."""

_ADDRESS = re.compile(r"[A-Za-z0-9._%+=/&'!#$*?^`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


class Notification(enum.IntEnum):
    """Values of JobNotification, HTCondor's NOTIFY_*."""

    NEVER = 0
    ALWAYS = 1
    COMPLETE = 2
    ERROR = 3


@dataclass(frozen=True)
class JobMail:
    """What to send to whom."""

    to: tuple[str, ...]
    subject: str
    body: str


def is_wanted(event: EventRecord, job: Ad) -> bool:
    """Whether the job's JobNotification asks for mail about the event.

    Never: none. Complete: when the job has ended by itself. Error: when it ended abnormally, by a signal or
    with another exit code than its JobSuccessExitCode (if it has one), or was held and nobody had asked for
    that. Always: each of these, and removal and checkpoints too. A release is told only to whom it was meant.
    """
    if event.type == EventType.JOB_RELEASED:
        return False
    wanted = job.integer("JobNotification")
    if wanted == Notification.ALWAYS:
        return True
    if wanted == Notification.COMPLETE:
        return event.type == EventType.JOB_TERMINATED
    return wanted == Notification.ERROR and _is_error(event, job)


def _is_error(event: EventRecord, job: Ad) -> bool:
    if event.type == EventType.JOB_HELD:
        return event.ad.integer("HoldReasonCode") != _BY_USER
    if event.type != EventType.JOB_TERMINATED:
        return False
    if event.ad.get("TerminatedNormally") is False:
        return True
    success = job.get("JobSuccessExitCode")
    return isinstance(success, int) and event.ad.integer("ReturnValue") != success


def recipients(event: EventRecord, job: Ad, domain: str) -> tuple[str, ...]:
    """NotifyUser, one or several, else the owner; a name without a domain is one of `domain`. What is no
    address is left out.
    """
    names = re.split(r"[,\s]+", job.string("NotifyUser") or event.owner)
    addresses = (name if "@" in name else f"{name}@{domain}" for name in names if name)
    return tuple(dict.fromkeys(address for address in addresses if _ADDRESS.fullmatch(address)))


def readers(event: EventRecord, job: Ad, domain: str, admin: str) -> list[tuple[str, ...]]:
    """Who gets a mail about the event, those of one mail together: the job's `recipients` if the job wants it
    or `holdJob` or `releaseJob` said emailUser, `admin` if it said emailAdmin (SOAP reference sections 3.12
    and 3.13).
    """
    users = is_wanted(event, job) or event.ad.get("EmailUser") is True
    found = [recipients(event, job, domain)] if users else []
    return [*found, (admin,)] if event.ad.get("EmailAdmin") is True else found


def job_mail(event: EventRecord, job: Ad, to: tuple[str, ...], host: str, admin: str) -> JobMail:
    """The mail about an event; `host` is the machine that sends it, `admin` who answers questions."""
    name = f"{event.cluster}.{event.proc}"
    lines = [
        "This is an automated email from the Condor system",
        f'on machine "{host}".  Do not reply.',
        "",
        f"Condor job {name}",
        f"\t{_command(job)}",
        *_what_happened(event),
        "",
        *_times(event, job),
    ]
    if event.type == EventType.JOB_TERMINATED:
        lines += ["", *_statistics(event, job)]
    lines += ["", "-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-="]
    lines += ["Questions about this message or Condor in general?"]
    lines += [f"Email address of the local Condor administrator: {admin}"]
    return JobMail(to, f"[Condor] Condor Job {name}", "\n".join(map(_plain, lines)) + "\n")


def _plain(line: str) -> str:
    """One line of text, whatever a job's ad has in it."""
    return "".join(letter if letter.isprintable() or letter == "\t" else " " for letter in line)


def _command(job: Ad) -> str:
    arguments = job.string("Args") or job.string("Arguments")
    return " ".join(part for part in (job.string("Cmd"), arguments) if part)


def _what_happened(event: EventRecord) -> Iterator[str]:
    ad = event.ad
    match event.type:
        case EventType.JOB_TERMINATED if ad.get("TerminatedNormally") is False:
            yield f"was killed by signal {ad.integer('TerminatedBySignal')}"
            if core := ad.string("CoreFile"):
                yield f"Core file is: {core}"
        case EventType.JOB_TERMINATED:
            yield f"exited normally with status {ad.integer('ReturnValue')}"
        case EventType.JOB_HELD:
            yield "is being put on hold."
            yield ""
            yield f"The reason for the hold is: {ad.string('HoldReason') or 'Reason unspecified'}"
        case EventType.JOB_RELEASED:
            yield "is being released from hold."
            yield ""
            yield f"The reason for the release is: {ad.string('Reason') or 'Reason unspecified'}"
        case EventType.JOB_ABORTED:
            yield "is being removed."
            yield ""
            yield f"The reason for the removal is: {ad.string('Reason') or 'Reason unspecified'}"
        case _:
            yield "has produced a checkpoint."


def _times(event: EventRecord, job: Ad) -> Iterator[str]:
    submitted, now = job.integer("QDate"), int(event.time)
    if submitted:
        yield f"Submitted at:        {_moment(submitted)}"
    if event.type != EventType.JOB_TERMINATED:
        yield f"Happened at:         {_moment(now)}"
        return
    yield f"Completed at:        {_moment(now)}"
    if submitted:
        yield f"Real Time:           {_duration(now - submitted)}"


def _statistics(event: EventRecord, job: Ad) -> Iterator[str]:
    yield f"Virtual Image Size:  {job.integer('ImageSize')} Kilobytes"
    yield ""
    yield "Statistics from last run:"
    yield f"Allocation/Run time:     {_duration(event.ad.integer('TimeExecuteUsage'))}"
    yield f"Remote CPU Time:         {event.ad.string('RunRemoteUsage')}"
    yield ""
    yield "Statistics totaled from all runs:"
    yield f"Allocation/Run time:     {_duration(_number(job, 'RemoteWallClockTime'))}"
    yield f"Remote CPU Time:         {event.ad.string('TotalRemoteUsage')}"
    yield ""
    yield "Network:"
    yield f"{_size(_number(event.ad, 'ReceivedBytes')):>10} Run Bytes Received By Job"
    yield f"{_size(_number(event.ad, 'SentBytes')):>10} Run Bytes Sent By Job"
    yield f"{_size(_number(event.ad, 'TotalReceivedBytes')):>10} Total Bytes Received By Job"
    yield f"{_size(_number(event.ad, 'TotalSentBytes')):>10} Total Bytes Sent By Job"


def _number(ad: Ad, name: str) -> float:
    value = ad.get(name)
    return value if isinstance(value, int | float) else 0.0


def _moment(seconds: int) -> str:
    try:
        return time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(seconds))
    except (OSError, OverflowError, ValueError):  # a job's ad may have any number for a time
        return f"{seconds} seconds after 1970"


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 86400} {whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
