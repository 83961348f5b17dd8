"""The policy expressions in a job's ad, looked at when HTCondor would: periodically, at a program's end,
before leaving.

In all of them ServerTime, CurrentTime and time() mean the pool's time (protocol reference section 7, note on
ServerTime).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from birdbath.classads import Ad, is_true
from birdbath.pool.base import JobStatus
from birdbath.pool.simulated.evaluation import depends_on_time, evaluate_at
from birdbath.pool.simulated.lifecycle import Hold

JOB_POLICY = 3
JOB_POLICY_UNDEFINED = 5

_PERIODIC = {
    JobStatus.IDLE: ("PeriodicHold", "PeriodicRemove"),
    JobStatus.RUNNING: ("PeriodicHold", "PeriodicRemove"),
    JobStatus.HELD: ("PeriodicRelease", "PeriodicRemove"),
    JobStatus.COMPLETED: (),
    JobStatus.REMOVED: (),
    JobStatus.TRANSFERRING_OUTPUT: (),
    JobStatus.SUSPENDED: ("PeriodicHold", "PeriodicRemove"),
}
_FINISHED = (JobStatus.COMPLETED, JobStatus.REMOVED)


class Verdict(enum.Enum):
    """What a policy wants done with the job."""

    STAY = "stay"
    HOLD = "hold"
    RELEASE = "release"
    REMOVE = "remove"
    REQUEUE = "requeue"
    LEAVE = "leave"


@dataclass(frozen=True)
class Decision:
    """A verdict with its reason; code and subcode are those of a hold."""

    verdict: Verdict
    reason: str = ""
    code: int = JOB_POLICY
    subcode: int = 0

    def as_hold(self) -> Hold:
        """The hold that this decision asks for."""
        return Hold(self.reason, self.code, self.subcode)


STAY = Decision(Verdict.STAY)
LEAVE = Decision(Verdict.LEAVE)
_VERDICTS = {
    "PeriodicHold": Verdict.HOLD,
    "PeriodicRemove": Verdict.REMOVE,
    "PeriodicRelease": Verdict.RELEASE,
    "OnExitHold": Verdict.HOLD,
}


def next_evaluation(ad: Ad, status: JobStatus, now: float, interval: float) -> float | None:
    """When the job's periodic expressions are to be looked at next; None when none of them can become true by
    itself.
    """
    if status in _FINISHED:
        wanted = ad.is_expression("LeaveJobInQueue") and depends_on_time(ad, "LeaveJobInQueue")
    else:
        wanted = any(not _is_literally_false(ad, name) for name in _PERIODIC[status])
    return now + interval if wanted else None


def periodic(ad: Ad, status: JobStatus, now: float) -> Decision:
    """What the periodic expressions of a job in this state want now."""
    if status in _FINISHED:
        return STAY if stays_in_queue(ad, now) else LEAVE
    for name in _PERIODIC[status]:
        if not _is_literally_false(ad, name) and is_true(evaluate_at(ad, name, now)):
            return _decided(ad, name, now, "TRUE")
    return STAY


def on_exit(ad: Ad, now: float) -> Decision:
    """What is to become of a job whose program ended; its exit attributes are set. LEAVE means that it is
    done.
    """
    hold = ad.attribute("OnExitHold")
    if hold is not None and not _is_literally_false(ad, "OnExitHold"):
        value = evaluate_at(ad, "OnExitHold", now)
        if value is None:
            return _undefined(ad, "OnExitHold")
        if is_true(value):
            return _decided(ad, "OnExitHold", now, "TRUE")
    if "OnExitRemove" not in ad:
        return LEAVE
    value = evaluate_at(ad, "OnExitRemove", now)
    if value is None:
        return _undefined(ad, "OnExitRemove")
    return LEAVE if is_true(value) else Decision(Verdict.REQUEUE)


def stays_in_queue(ad: Ad, now: float) -> bool:
    """Whether LeaveJobInQueue keeps a completed or removed job in the queue."""
    return is_true(evaluate_at(ad, "LeaveJobInQueue", now))


def _decided(ad: Ad, name: str, now: float, value: str) -> Decision:
    reason = evaluate_at(ad, f"{name}Reason", now)
    subcode = evaluate_at(ad, f"{name}SubCode", now)
    text = reason if isinstance(reason, str) and reason else _says(ad, name, value)
    return Decision(_VERDICTS[name], text, JOB_POLICY, subcode if type(subcode) is int else 0)


def _undefined(ad: Ad, name: str) -> Decision:
    return Decision(Verdict.HOLD, _says(ad, name, "UNDEFINED"), JOB_POLICY_UNDEFINED)


def _says(ad: Ad, name: str, value: str) -> str:
    attribute = ad.attribute(name)
    text = attribute[2] if attribute else ""
    return f"The job attribute {name} expression '{text}' evaluated to {value}"


def _is_literally_false(ad: Ad, name: str) -> bool:
    attribute = ad.attribute(name)
    return attribute is None or (attribute[1] != "x" and not is_true(ad.get(name)))
