"""HTCondor's job events: their numbers and names (event reference section 3). No I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.classads import Ad, Expression, Scalar


class EventType(enum.IntEnum):
    """Event numbers that Birdbath writes; names are HTCondor's ULOG_* without the prefix."""

    SUBMIT = 0
    EXECUTE = 1
    EXECUTABLE_ERROR = 2
    JOB_EVICTED = 4
    JOB_TERMINATED = 5
    IMAGE_SIZE = 6
    SHADOW_EXCEPTION = 7
    GENERIC = 8
    JOB_ABORTED = 9
    JOB_SUSPENDED = 10
    JOB_UNSUSPENDED = 11
    JOB_HELD = 12
    JOB_RELEASED = 13
    ATTRIBUTE_UPDATE = 33
    CLUSTER_SUBMIT = 35
    CLUSTER_REMOVE = 36
    FILE_TRANSFER = 40


_MY_TYPES = {
    EventType.IMAGE_SIZE: "JobImageSizeEvent",
    EventType.JOB_RELEASED: "JobReleaseEvent",
}


def my_type(event_type: EventType) -> str:
    """The MyType of an event's ad: `SubmitEvent`, `JobTerminatedEvent`, ..."""
    name = "".join(part.capitalize() for part in event_type.name.split("_"))
    return _MY_TYPES.get(event_type, f"{name}Event")


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to one job at `time` (seconds since the epoch, in the pool's time).

    `fields` are the attributes that the event reference lists for the type, besides those every event has.
    """

    type: EventType
    cluster: int
    proc: int
    owner: str
    time: float
    fields: Mapping[str, Scalar | Expression] = field(default_factory=dict)

    def ad(self) -> Ad:
        """The event ad; EventTime is left to whoever prints it, in the form its log asks for."""
        ad = Ad()
        ad.set("MyType", my_type(self.type))
        ad.set("EventTypeNumber", int(self.type))
        ad.set("Cluster", self.cluster)
        ad.set("Proc", self.proc)
        ad.set("Subproc", 0)
        ad.update(dict(self.fields))
        return ad
