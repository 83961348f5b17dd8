"""HTCondor's job events: their types, ads and forms (event reference sections 2 and 3). No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.classads import Ad, Expression, Scalar
from birdbath.events.forms import FORMS, Form, FormatOptions, UnknownForm, form
from birdbath.events.record import EventRecord, routing_key
from birdbath.events.types import EventType, event_name, my_type

__all__ = [
    "FORMS",
    "EventRecord",
    "EventType",
    "Form",
    "FormatOptions",
    "JobEvent",
    "UnknownForm",
    "event_name",
    "form",
    "my_type",
    "routing_key",
]


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to one job at `time` (seconds since the epoch, in the pool's time), or with
    `proc` -1 to a whole cluster.

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
        ad = Ad(
            (
                ("MyType", "s", my_type(self.type)),
                ("EventTypeNumber", "n", str(int(self.type))),
                ("Cluster", "n", str(self.cluster)),
                ("Proc", "n", str(self.proc)),
                ("Subproc", "n", "0"),
            )
        )
        if self.proc < 0:
            ad.delete("Proc")
        ad.update(self.fields)
        return ad
