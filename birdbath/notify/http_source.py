"""Events from a Birdbath server over HTTP: a subscription of one's own, read as server-sent events."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from birdbath.errors import BirdbathError
from birdbath.events import EventRecord
from birdbath.events.reading import NotAnEvent, from_cloudevent
from birdbath.notify.deliveries import Delivery
from birdbath.notify.filters import Filter
from birdbath.notify.pauses import Pauses
from birdbath.store.files import sync_directory

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 20.0
SILENCE = 60.0
"""Seconds without a byte after which the server is taken for gone; it says something every 15."""

LEASE = 3600.0
"""Seconds that a subscription without a state file outlives its listener."""


class ServerRefuses(BirdbathError):
    """The server does not let this listener follow; the text is the server's. Trying again is in vain."""


class HttpSource:
    """A `Source` on a server's event stream.

    The subscription's id is kept in `state`, and with it, on the server, how far the listener came; without a
    state file the subscription ends with the listener and begins with the events from now on.
    """

    def __init__(
        self,
        url: str,
        filter: Filter,
        state: Path | None = None,
        token: str | None = None,
        authorities: str | None = None,
        pauses: Callable[[], Pauses] = Pauses,
    ) -> None:
        self._filter = filter
        self._state = state
        self._subscription = _read(state)
        self._pauses = pauses()
        self._checked = False
        self._through: int | None = None
        self._turn = asyncio.Lock()
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(SILENCE, connect=CONNECT_TIMEOUT),
            verify=ssl.create_default_context(cafile=authorities),
        )
        self._shown = str(self._client.base_url.copy_with(userinfo=b""))  # in logs, which have no secrets

    def unapplied(self, filter: Filter) -> Filter:
        """See `Source.unapplied`: the topics. The constraint is the server's, which knows the jobs."""
        return filter.topics_alone()

    async def use(self, filter: Filter) -> None:
        """See `Source.use`: while the server is away, it takes effect when it is back. Raises
        ServerRefuses.
        """
        former = self._filter
        self._filter, self._checked = filter, False
        try:
            await self._ensure()
        except ServerRefuses:
            self._filter, self._checked = former, False
            raise
        except httpx.HTTPError as error:
            _log.warning("The server gets the new filter when it is back: %s", error)

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """See `Source.deliveries`. Raises ServerRefuses."""
        try:
            while True:
                try:
                    await self._ensure()
                    async for delivery in self._stream():
                        self._pauses.reset()
                        yield delivery
                    raise httpx.RemoteProtocolError("the stream ended")
                except httpx.HTTPError as error:
                    await self._pauses.after(f"The server at {self._shown}", error, _log)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        try:
            if self._state is None and self._subscription is not None:
                await self._client.delete(f"/events/subscriptions/{self._subscription}")
        except httpx.HTTPError:
            pass  # it ends with its lease
        finally:
            await self._client.aclose()

    async def _ensure(self) -> None:
        """Let there be a subscription with the filter in force."""
        async with self._turn:
            if not self._checked:
                await self._agree()

    async def _agree(self) -> None:
        filter = self._filter
        if self._subscription is not None:
            answer = await self._client.patch(
                f"/events/subscriptions/{self._subscription}", json=filter.value()
            )
            _check_speaker(answer)
            if answer.status_code == 404:
                since = "from now on" if self._through is None else f"after event {self._through}"
                _log.warning("The subscription is gone; making a new one, to the events %s", since)
                self._subscription = None
            else:
                _checked(answer)
        if self._subscription is None:
            wanted: dict[str, Any] = {"kind": "pull", **filter.value()}
            if self._state is None:
                wanted["lease"] = LEASE
            made = await self._subscribe(wanted)
            self._subscription, self._through = str(made["id"]), int(made["cursor"])
            _write(self._state, self._subscription)
        self._checked = filter is self._filter

    async def _subscribe(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """A new subscription, from where this listener came to, if the server still has such a place."""
        path, place = "/events/subscriptions", {} if self._through is None else {"after": self._through}
        answer = await self._client.post(path, json={**wanted, **place})
        if answer.status_code == 400 and place:
            _log.warning("The server's log has begun anew; listening from now on, events may be missing")
            answer = await self._client.post(path, json=wanted)
        _check_speaker(answer)
        return _checked(answer)

    async def _stream(self) -> AsyncGenerator[Delivery, None]:
        parameters = {"subscription": self._subscription or "", "form": "cloudevents"}
        accept = {"accept": "text/event-stream"}
        async with self._client.stream("GET", "/events", params=parameters, headers=accept) as answer:
            if answer.status_code != 200:
                await answer.aread()
                if answer.status_code == 404:
                    self._checked = False
                    raise httpx.RemoteProtocolError("the subscription is gone")
                _checked(answer)
            _log.info("Listening to %s", self._shown)
            parser = StreamParser()
            async for chunk in answer.aiter_bytes():
                events, last = parser.feed(chunk)
                if last is not None:
                    yield Delivery(events, self._acknowledging(last))

    def _acknowledging(self, through: int) -> Callable[[], Any]:
        async def acknowledge() -> None:
            self._through = through
            path = f"/events/subscriptions/{self._subscription}/acknowledge"
            try:
                answer = await self._client.post(path, json={"through": through})
                if answer.status_code != 404:  # else the stream ends, and a new subscription begins here
                    _checked(answer)
            except httpx.HTTPError as error:
                # They come again, and are told by their ids.
                _log.warning(
                    "Could not acknowledge event %d: %s", through, str(error) or type(error).__name__
                )

        return acknowledge


class StreamParser:
    """Takes server-sent events out of bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> tuple[list[EventRecord], int | None]:
        """The job events that are complete now, and the last id among all messages, if there was one."""
        *messages, self._rest = (self._rest + data.replace(b"\r\n", b"\n")).split(b"\n\n")
        events: list[EventRecord] = []
        last: int | None = None
        for message in messages:
            fields = dict(_fields(message))
            if fields.get("id", b"").isdigit():
                last = int(fields["id"])
            kind = fields.get("event", b"message")
            if kind == b"missed":
                _log.warning(
                    "The server had deleted events before they were read: %s", fields["data"].decode()
                )
            elif kind == b"superseded":
                _log.warning("Another follower has taken the subscription over, or it was removed")
            elif kind == b"message" and "data" in fields:
                try:
                    events.append(from_cloudevent(fields["data"]))
                except NotAnEvent as error:
                    _log.error("Passed over a message of the stream, %s", error)
        return events, last


def _fields(message: bytes) -> Iterator[tuple[str, bytes]]:
    data: list[bytes] = []
    for line in message.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name in (b"id", b"event"):
            yield name.decode(), value
    if data:
        yield "data", b"\n".join(data)


def _check_speaker(answer: httpx.Response) -> None:
    """Raise ServerRefuses when it is no server of events that has answered: its answers are JSON.

    What a gateway says while the server is away is for `_checked`, and so is who may not come in.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    status = answer.status_code
    is_page = status == 500 and kind.endswith(("html", "xml"))
    if is_page or (not kind.endswith("json") and (status < 400 or status in (404, 405, 410, 501))):
        raise ServerRefuses(
            f"There are no events at {answer.request.url.copy_with(userinfo=b'')}: the answer is {status} "
            f"{answer.reason_phrase}, {kind or 'without a type'}. The address is that of the server, "
            "with no path but one that a gateway puts before it"
        )


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer. Raises ServerRefuses for one that says no, HTTPStatusError for trouble."""
    if answer.status_code >= 500 or answer.status_code in (408, 409, 425, 429):
        answer.raise_for_status()
    try:
        value = answer.json()
    except ValueError:
        value = {}
    if answer.is_error:
        detail = value.get("detail") if isinstance(value, dict) else None
        raise ServerRefuses(f"{answer.request.url.host}: {detail or answer.reason_phrase}")
    return value if isinstance(value, dict) else {}


def _read(state: Path | None) -> str | None:
    if state is None or not state.exists():
        return None
    return state.read_text().strip() or None


def _write(state: Path | None, subscription: str) -> None:
    """Keep the id, on disk; it is as good as a password to what the subscription gets."""
    if state is None:
        return
    state.parent.mkdir(parents=True, exist_ok=True)
    new = state.with_name(f"{state.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{subscription}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(state)
    sync_directory(state.parent)
