"""Events as chat messages over XMPP: to one contact, to some, or to everybody on the roster."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout, XMPPError
from slixmpp.jid import InvalidJID

from birdbath.errors import BirdbathError
from birdbath.events import EventRecord, event_name
from birdbath.events.forms import subject
from birdbath.events.text import event_text
from birdbath.notify.deliveries import SinkFailed

_log = logging.getLogger(__name__)

TIMEOUT = 30.0
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters with which a server would end the stream, time after time."""


@dataclass(frozen=True)
class ChatAccount:
    """The account that sends; host and port only where they do not follow from its address."""

    address: str
    password: str = field(repr=False)
    host: str | None = None
    port: int = 5222
    ca_file: str | None = None


class InvalidAddress(BirdbathError):
    """It is no address of XMPP."""


def check_address(address: str) -> None:
    """Raise InvalidAddress for what is no `name@host`, or host, of XMPP."""
    try:
        JID(address)
    except InvalidJID:
        raise InvalidAddress(f"{address[:80]!r} is no XMPP address") from None


class ChatSink:
    """Sends each event to `contacts`, or, without any, to everybody on the account's roster.

    The roster is asked for at each delivery: who was added meanwhile gets it, who was taken off does not.
    """

    def __init__(self, account: ChatAccount, contacts: Sequence[str] = ()) -> None:
        self._account = account
        self._contacts = contacts
        self._client: ClientXMPP | None = None

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`. The server has the messages when this returns: it answers in order, and has
        answered a ping that was sent after them.
        """
        try:
            async with asyncio.timeout(TIMEOUT):
                client = await self._connected()
                contacts = self._contacts or await _roster(client)
                if not contacts:
                    _log.warning("Nobody is on the roster of %s: nobody was told", self._account.address)
                for event in events:
                    for contact in contacts:
                        client.send_message(mto=JID(contact), mbody=text(event), mtype="chat")
                await client.plugin["xep_0199"].ping(jid=JID(client.boundjid.host), timeout=TIMEOUT)
        except (XMPPError, IqError, IqTimeout, OSError, TimeoutError) as error:
            await self.close()
            reason = str(error) or type(error).__name__
            raise SinkFailed(f"chat by {self._account.address}: {reason}") from None

    async def close(self) -> None:
        """See `Sink.close`."""
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect(wait=1.0)

    async def _connected(self) -> ClientXMPP:
        if self._client is not None and self._client.is_connected():
            return self._client
        client = ClientXMPP(self._account.address, self._account.password)
        client.register_plugin("xep_0199")
        if self._account.ca_file is not None:
            client.ssl_context = ssl.create_default_context(cafile=self._account.ca_file)
        # Where the server was not looked up, it is the usual port, which begins without TLS.
        client.enable_direct_tls = self._account.host is None
        started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        _settle(client, started, at_once=self._account.host is not None)
        client.connect(self._account.host, self._account.port if self._account.host else None)
        self._client = client
        await started
        client.send_presence()
        return client


def _settle(client: ClientXMPP, started: asyncio.Future[Any], at_once: bool) -> None:
    """Let `started` be done when the session is, or failed when it cannot be: at the first attempt, or only
    where the account is refused, while the other ways to connect are tried.
    """

    def ready(event: object) -> None:
        if not started.done():
            started.set_result(None)

    def failed(event: object) -> None:
        if not started.done():
            started.set_exception(ConnectionError(f"cannot log in: {event or 'refused'}"))

    client.add_event_handler("session_start", ready)
    for name in ("failed_all_auth", *(("connection_failed", "disconnected") if at_once else ())):
        client.add_event_handler(name, failed)


async def _roster(client: ClientXMPP) -> list[str]:
    await client.get_roster(timeout=TIMEOUT)
    roster = client.client_roster
    return [jid for jid in roster if jid != client.boundjid.bare and roster[jid]["subscription"] != "remove"]


def text(event: EventRecord) -> str:
    """A message for people: the job, what happened, and what there is to say about it."""
    lines = event_text(event.type, event.ad).strip().split("\n")
    told = "\n".join(line.strip() for line in lines[:6])
    said = f"Job {subject(event) or '-'} ({event.owner or 'unknown'}): {told or event_name(event.type)}"
    return _NOT_IN_XML.sub("\ufffd", said)
