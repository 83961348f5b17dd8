"""An event as its followers get it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from birdbath.classads import Ad
from birdbath.events.types import event_name

_LONGEST_OWNER = 180


@dataclass(frozen=True)
class EventRecord:
    """One event of an event log.

    `sequence` has no gaps within one log; `id` is the same whenever and however the event is delivered;
    `time` is in seconds since the epoch; `type` may be a number that `EventType` does not know. `cluster`,
    `proc` and `subproc` are -1 where the event has none. `ad` is the event's ad without EventTime, which
    each form prints from `time`. `source` is the URI of the pool that it is from, where it is another's than
    whoever tells of it.
    """

    sequence: int
    id: str
    time: float
    type: int
    cluster: int
    proc: int
    owner: str
    ad: Ad
    source: str = ""

    @property
    def subproc(self) -> int:
        """The last number of the job id in an event log: 0, but for a few events -1."""
        return self.ad.integer("Subproc", -1)


def routing_key(type: int, owner: str, cluster: int, proc: int) -> str:
    """`job.<event>.<owner>.<cluster>.<proc>`, always five words and at most 255 bytes, as AMQP wants.

    In an owner's name everything but letters, digits and `-_~@` is percent-encoded, the dot too.
    """
    word = quote(owner, safe="@").replace(".", "%2E")[:_LONGEST_OWNER] or "-"
    return f"job.{event_name(type)}.{word}.{cluster}.{proc}"
