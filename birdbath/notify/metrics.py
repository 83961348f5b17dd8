"""What the event log and its followers have done since the server started, for whoever exposes figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class EventMetrics:
    """Plain numbers, changed on the event loop only and to be read there.

    written: the newest sequence number that this process knows, which counts all events ever written.
    delivered, retried, given_up: events by kind of follower (`sse`, `poll`, `soap`, `webhook`, `amqp`, ...).
    missed: events that retention deleted before the follower got them, by kind.
    cursors: the durable cursor of each subscription, by id; with `written` it gives the lag.
    followers: followers connected now, by kind.
    """

    written: int = 0
    delivered: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    cursors: dict[str, int] = field(default_factory=dict)
    followers: Counter[str] = field(default_factory=Counter)

    def lag(self) -> dict[str, int]:
        """How many events each subscription has yet to deal with, by its id."""
        return {name: max(0, self.written - cursor) for name, cursor in list(self.cursors.items())}
