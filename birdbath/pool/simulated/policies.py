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

_TIMER = "TimerRemove"
_PERIODIC = {
    JobStatus.IDLE: (_TIMER, "PeriodicHold", "PeriodicRemove"),
    JobStatus.RUNNING: (_TIMER, "PeriodicHold", "PeriodicRemove", "PeriodicVacate"),
    JobStatus.HELD: (_TIMER, "PeriodicRelease", "PeriodicRemove"),
    JobStatus.COMPLETED: (),
    JobStatus.REMOVED: (),
    JobStatus.TRANSFERRING_OUTPUT: (),
    JobStatus.SUSPENDED: (_TIMER, "PeriodicHold", "PeriodicRemove"),
}
_AT_EXIT = (_TIMER, "PeriodicHold", "PeriodicRemove", "OnExitHold")
_FINISHED = (JobStatus.COMPLETED, JobStatus.REMOVED)


class Verdict(enum.Enum):
    """What a policy wants done with the job."""

    STAY = "stay"
    HOLD = "hold"
    RELEASE = "release"
    REMOVE = "remove"
    VACATE = "vacate"
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
        """The hold that this decision asks for. The shadow holds the job itself, and logs no eviction."""
        return Hold(self.reason, self.code, self.subcode, evicts=False)


STAY = Decision(Verdict.STAY)
LEAVE = Decision(Verdict.LEAVE)
_VERDICTS = {
    "PeriodicHold": Verdict.HOLD,
    "PeriodicRemove": Verdict.REMOVE,
    "PeriodicRelease": Verdict.RELEASE,
    "PeriodicVacate": Verdict.VACATE,
    _TIMER: Verdict.REMOVE,
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
        if _fires(ad, name, now):
            return _decided(ad, name, now)
    return STAY


def on_exit(ad: Ad, now: float) -> Decision:
    """What is to become of a job whose program ended; its exit attributes are set. LEAVE means that it is
    done.

    As in a shadow the periodic expressions are looked at first, once more. What comes out neither true nor
    false says nothing.
    """
    for name in _AT_EXIT:
        if _fires(ad, name, now):
            return _decided(ad, name, now)
    leaves = evaluate_at(ad, "OnExitRemove", now)
    if isinstance(leaves, bool | int | float) and not is_true(leaves):
        return Decision(Verdict.REQUEUE, _says(ad, "OnExitRemove", "FALSE"))
    return LEAVE


def stays_in_queue(ad: Ad, now: float) -> bool:
    """Whether LeaveJobInQueue keeps a completed or removed job in the queue."""
    return is_true(evaluate_at(ad, "LeaveJobInQueue", now))


def _fires(ad: Ad, name: str, now: float) -> bool:
    """Whether the expression wants now what it stands for. TimerRemove is a moment."""
    if _is_literally_false(ad, name):
        return False
    value = evaluate_at(ad, name, now)
    if name == _TIMER:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < now
    return is_true(value)


def _decided(ad: Ad, name: str, now: float) -> Decision:
    reason = evaluate_at(ad, f"{name}Reason", now)
    subcode = evaluate_at(ad, f"{name}SubCode", now)
    text = reason if isinstance(reason, str) and reason else _says(ad, name, "TRUE")
    return Decision(_VERDICTS[name], text, JOB_POLICY, subcode if type(subcode) is int else 0)


def _says(ad: Ad, name: str, value: str) -> str:
    attribute = ad.attribute(name)
    text = attribute[2] if attribute else ""
    return f"The job attribute {name} expression '{text}' evaluated to {value}"


def _is_literally_false(ad: Ad, name: str) -> bool:
    attribute = ad.attribute(name)
    return attribute is None or (attribute[1] != "x" and not is_true(ad.get(name)))
