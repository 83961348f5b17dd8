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
        self._services: Any = apprise.Apprise()
        self._digest = digest
        for url in urls:
            if not self._services.add(url):
                raise NoApprise(
                    f"Apprise does not know {url.partition(':')[0]}: addresses, or this one is wrong"
                )

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`: the services have taken it when this returns."""
        for group in [events] if self._digest else [[event] for event in events]:
            if group and not await self._services.async_notify(
                title=title(group), body="\n".join(map(text, group))
            ):
                raise SinkFailed("a service did not take a notification")

    async def close(self) -> None:
        """See `Sink.close`: there is nothing."""
