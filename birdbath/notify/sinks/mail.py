"""Events as mail: one message each, or one for all that came together."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import logging
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache

import aiosmtplib

from birdbath.events import EventRecord, event_name, form
from birdbath.events.forms import subject
from birdbath.notify.deliveries import SinkFailed

_log = logging.getLogger(__name__)

TIMEOUT = 60.0


class MailRefused(SinkFailed):
    """The server will never take this mail: its receivers, its sender or what it says."""


class MailPutOff(SinkFailed):
    """The server is there, and does not take this mail yet; others it may."""


@dataclass(frozen=True)
class Refusals:
    """Of a mail that the server took for somebody: for whom not, and why; never (`for_good`), or not yet
    (`for_now`).
    """

    for_good: Mapping[str, str]
    for_now: Mapping[str, str]


@dataclass(frozen=True)
class MailServer:
    """How mail is sent: by which server, encrypted how, as whom.

    `tls` is `starttls` (when the server has it), `require` (STARTTLS or nothing), `tls` (from the first byte)
    or `off`.
    """

    host: str
    port: int = 25
    sender: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str = "starttls"
    context: ssl.SSLContext | None = None

    async def send(self, message: EmailMessage, to: Sequence[str] = ()) -> Refusals:
        """Send a message, to `to` only where that is given; the server has it when this returns, but for the
        receivers that it refused. Raises SinkFailed, MailPutOff and MailRefused when nobody gets it.
        """
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.tls == "tls",
            start_tls={"starttls": None, "require": True}.get(self.tls, False),
            tls_context=self.context,
            timeout=TIMEOUT,
            local_hostname=await asyncio.to_thread(_own_name),
        )
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        try:
            async with client:
                try:
                    refused, _ = await client.send_message(message, recipients=list(to) or None)
                except asyncio.CancelledError:
                    client.close()  # else QUIT is waited for, which in the middle of a mail is a line of that
                    raise
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _kind_of(error)(
                f"mail to {', '.join(to) or message['To']} by {self.host}: {error}"
            ) from None
        finally:
            # Its wait_for, in Python 3.11, swallows a cancellation that comes together with an answer.
            if task is not None and task.cancelling() > cancelled:
                raise asyncio.CancelledError
        reasons = {to: f"{reply.code} {reply.message}" for to, reply in refused.items()}
        for_good = {to: reasons[to] for to, reply in refused.items() if reply.code >= 500}
        return Refusals(for_good, {to: reasons[to] for to in reasons if to not in for_good})


@cache
def _own_name() -> str:
    """By which this machine greets mail servers. Looked up once: where the DNS does not answer it takes long,
    and the library would do it for each mail.
    """
    return socket.getfqdn()


def _kind_of(error: Exception) -> type[SinkFailed]:
    """What it means: that the server will never take the mail, or not yet (a 5xx or another reply about it),
    or that it is not there.
    """
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
    elif isinstance(error, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError):
        codes = [error.code]
    else:
        return SinkFailed
    return MailRefused if all(code >= 500 for code in codes) else MailPutOff


def parse_server(address: str, default_port: int = 25) -> tuple[str, int]:
    """`host` or `host:port`. Raises ValueError, with a text to follow the name of what it was given for."""
    host, colon, port = address.rpartition(":")
    if not colon or (host.endswith("]") is False and ":" in host):
        return address.strip("[]"), default_port
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"is host or host:port, not {address!r}")
    return host.strip("[]"), int(port)


def message(sender: str, to: Sequence[str], title: str, body: str, key: str) -> EmailMessage:
    """A message whose id follows from `key`: sent twice, a mail reader can see that it is the same."""
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = ", ".join(to)
    made["Subject"] = " ".join(title.split())
    made["Date"] = email.utils.localtime()
    name = hashlib.sha256("\0".join((key, *to)).encode()).hexdigest()[:32]
    made["Message-ID"] = f"<{name}@{_domain(sender)}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(body)
    return made


def _domain(address: str) -> str:
    domain = email.utils.parseaddr(address)[1].rpartition("@")[2]
    return domain if domain.isascii() and domain else "birdbath.invalid"


class MailSink:
    """Mails events to `to`: with `digest` all of a delivery in one message, else a message for each.

    What the server refuses for good, altogether or for one of `to`, is logged and passed over.
    """

    def __init__(self, server: MailServer, to: Sequence[str], digest: bool = False) -> None:
        self._server = server
        self._to = to
        self._digest = digest
        self._body = form("text")
        self._owed: tuple[str, Sequence[str]] = "", ()

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`."""
        groups = [events] if self._digest and events else [[event] for event in events]
        for number, group in enumerate(groups):
            try:
                await self._send(group)
            except SinkFailed as error:
                raise SinkFailed(str(error), taken=number) from None

    async def _send(self, group: Sequence[EventRecord]) -> None:
        made = self._message(group)
        key, owed = made["Message-ID"], self._owed
        try:
            refusals = await self._server.send(made, owed[1] if owed[0] == key else self._to)
        except MailRefused as error:
            refusals = Refusals({}, {})
            _log.error("Passed over: %s: %s", made["Subject"], error)
        self._owed = "", ()
        for address, why in refusals.for_good.items():
            _log.error("Passed over for %s: %s: %s", address, made["Subject"], why)
        if refusals.for_now:
            self._owed = key, tuple(refusals.for_now)  # the others have it, or never will
            raise SinkFailed("; ".join(f"mail to {who}: {why}" for who, why in refusals.for_now.items()))

    async def close(self) -> None:
        """See `Sink.close`: there is nothing."""

    def _message(self, events: Sequence[EventRecord]) -> EmailMessage:
        body = "".join(self._body(event).decode(errors="replace").rstrip("\n") + "\n" for event in events)
        return message(self._server.sender, self._to, title(events), body, events[0].id + events[-1].id)


def title(events: Sequence[EventRecord]) -> str:
    """What happened, in a line."""
    first = events[0]
    if len(events) == 1:
        return f"Condor job {subject(first) or '-'}: {event_name(first.type)}"
    jobs = {subject(event) for event in events}
    return f"Condor: {len(events)} events of {len(jobs)} job{'s' if len(jobs) > 1 else ''}"
