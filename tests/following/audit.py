"""What a campaign's followers took, against what the event logs of its pools have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Taken(NamedTuple):
    """An event that was taken: the pool's URI, the number in its log, the event's id and its job."""

    source: str
    sequence: int
    id: str
    job: str


@dataclass
class Report:
    """What came of a campaign: `violations` is empty when nothing was lost.

    `severed` are the connections that the partition cost, by the way that was cut.
    """

    events: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    severed: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def summary(self) -> str:
        kills, severed, again = (
            ", ".join(f"{count} {joint} {what}" for what, count in sorted(counted.items())) or "none"
            for counted, joint in ((self.kills, "of the"), (self.severed, "of the"), (self.repeated, "by"))
        )
        return (
            f"{self.events} events; kills: {kills}; connections that the partition cost: {severed};"
            f" delivered again: {again}"
        )

    def audit_log(self, written: Sequence[Taken]) -> None:
        """Each pool's log has no gap, and no two events of any have the same id."""
        for source in {event.source for event in written}:
            numbers = [event.sequence for event in written if event.source == source]
            if numbers != list(range(1, len(numbers) + 1)):
                self.violations.append(f"the log of {source} has gaps")
        if len({event.id for event in written}) < len(written):
            self.violations.append("two events have the same id")

    def audit(self, name: str, written: Sequence[Taken], taken: Sequence[Taken]) -> None:
        """A follower took everything of `written`, each first in order per job, again only with its id."""
        first: dict[tuple[str, int], Taken] = {}
        order: dict[tuple[str, str], int] = {}
        for event in taken:
            if (before := first.get(event[:2])) is not None:
                self.repeated[name] += 1
                if event != before:
                    self.violations.append(f"{name}: event {event.sequence} came as {event} and {before}")
                continue
            first[event[:2]] = event
            latest = order.get((event.source, event.job), 0)
            if latest > event.sequence:
                self.violations.append(
                    f"{name}: event {event.sequence} of job {event.job} came after {latest}"
                )
            order[event.source, event.job] = max(event.sequence, latest)
        missing = [event for event in written if first.get(event[:2]) != event]
        if missing:
            self.violations.append(f"{name}: {len(missing)} of {len(written)} missing, such as {missing[:3]}")
