"""Events to Slack, Matrix, Mastodon and whatever else Apprise reaches (the extra `apprise`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from birdbath.errors import BirdbathError
from birdbath.events import EventRecord
from birdbath.notify.deliveries import SinkFailed
from birdbath.notify.sinks.chat import text
from birdbath.notify.sinks.mail import title


class NoApprise(BirdbathError):
    """The extra is not installed, or does not know the address."""


class AppriseSink:
    """Notifies the services that Apprise URLs name, an event or a delivery at a time."""

    def __init__(self, urls: Sequence[str], digest: bool = False) -> None:
        try:
            import apprise
        except ImportError:
            raise NoApprise("This needs Apprise: pip install 'birdbath[apprise]'") from None
        self._services: list[Any] = []  # apart, as together they do not say which of them failed
        self._digest = digest
        self._told: tuple[str, set[int]] = "", set()
        for url in urls:
            self._services.append(apprise.Apprise())
            if not self._services[-1].add(url):
                raise NoApprise(
                    f"Apprise does not know {url.partition(':')[0]}: addresses, or this one is wrong"
                )

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`: the services have taken it when this returns. None gets it twice as another
        failed.
        """
        groups = [events] if self._digest and events else [[event] for event in events]
        for number, group in enumerate(groups):
            if not await self._tell(group):
                raise SinkFailed("a service did not take a notification", taken=number)
            self._told = "", set()

    async def _tell(self, group: Sequence[EventRecord]) -> bool:
        """Notify each service that has not taken it yet; whether all have."""
        key = f"{group[0].id} {group[-1].id}"
        if self._told[0] != key:
            self._told = key, set()
        for number, service in enumerate(self._services):
            if number not in self._told[1] and await service.async_notify(
                title=title(group), body="\n".join(map(text, group))
            ):
                self._told[1].add(number)
        return len(self._told[1]) == len(self._services)

    async def close(self) -> None:
        """See `Sink.close`: there is nothing."""
