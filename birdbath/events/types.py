"""HTCondor's event types: their numbers, names and MyTypes (event reference section 3)."""

from __future__ import annotations

import enum


class EventType(enum.IntEnum):
    """Event numbers; names are HTCondor's ULOG_* without the prefix."""

    SUBMIT = 0
    EXECUTE = 1
    EXECUTABLE_ERROR = 2
    CHECKPOINTED = 3
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
    NODE_EXECUTE = 14
    NODE_TERMINATED = 15
    POST_SCRIPT_TERMINATED = 16
    GLOBUS_SUBMIT = 17
    GLOBUS_SUBMIT_FAILED = 18
    GLOBUS_RESOURCE_UP = 19
    GLOBUS_RESOURCE_DOWN = 20
    REMOTE_ERROR = 21
    JOB_DISCONNECTED = 22
    JOB_RECONNECTED = 23
    JOB_RECONNECT_FAILED = 24
    GRID_RESOURCE_UP = 25
    GRID_RESOURCE_DOWN = 26
    GRID_SUBMIT = 27
    JOB_AD_INFORMATION = 28
    JOB_STATUS_UNKNOWN = 29
    JOB_STATUS_KNOWN = 30
    JOB_STAGE_IN = 31
    JOB_STAGE_OUT = 32
    ATTRIBUTE_UPDATE = 33
    PRESKIP = 34
    CLUSTER_SUBMIT = 35
    CLUSTER_REMOVE = 36
    FACTORY_PAUSED = 37
    FACTORY_RESUMED = 38
    NONE = 39
    FILE_TRANSFER = 40
    RESERVE_SPACE = 41
    RELEASE_SPACE = 42
    FILE_COMPLETE = 43
    FILE_USED = 44
    FILE_REMOVED = 45
    DATAFLOW_JOB_SKIPPED = 46
    COMMON_FILES = 47


_MY_TYPES = {
    EventType.IMAGE_SIZE: "JobImageSizeEvent",
    EventType.JOB_RELEASED: "JobReleaseEvent",
}
_WITHOUT_A_CLASS = frozenset((*range(17, 21), *range(29, 33), EventType.PRESKIP))
"""Types that HTCondor's reader of today has no class for, and calls FutureEvent."""


def my_type(event_type: int) -> str:
    """The MyType of an event's ad: `SubmitEvent`, `JobTerminatedEvent`, ...; `FutureEvent` for what has
    none.
    """
    try:
        known = EventType(event_type)
    except ValueError:
        return "FutureEvent"
    if known in _WITHOUT_A_CLASS:
        return "FutureEvent"
    name = "".join(part.capitalize() for part in known.name.split("_"))
    return _MY_TYPES.get(known, f"{name}Event")


def event_name(event_type: int) -> str:
    """The type as one word of a routing key or a CloudEvents type: `submit`, `held`, `file_transfer`, ...

    HTCondor's name in lower case without the `job_` before it; `event_99` for a number without a name.
    """
    try:
        return EventType(event_type).name.lower().removeprefix("job_")
    except ValueError:
        return f"event_{event_type}"
