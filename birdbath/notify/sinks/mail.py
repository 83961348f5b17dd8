"""Events as mail: one message each, or one for all that came together."""

from __future__ import annotations

import email.utils
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

import aiosmtplib

from birdbath.events import EventRecord, Form, event_name, form
from birdbath.events.forms import subject
from birdbath.notify.deliveries import SinkFailed

TIMEOUT = 60.0


class MailRefused(SinkFailed):
    """The server will never take this mail: its receivers, its sender or what it says."""


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

    async def send(self, message: EmailMessage) -> None:
        """Send a message; the server has it when this returns. Raises SinkFailed, MailRefused."""
        try:
            await aiosmtplib.send(
                message,
                hostname=self.host,
                port=self.port,
                username=self.username,
                password=self.password,
                use_tls=self.tls == "tls",
                start_tls={"starttls": None, "require": True}.get(self.tls, False),
                tls_context=self.context,
                timeout=TIMEOUT,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            kind = MailRefused if _is_final(error) else SinkFailed
            raise kind(f"mail to {message['To']} by {self.host}: {error}") from None


def _is_final(error: Exception) -> bool:
    """Whether the server said that it will never take the mail (a 5xx reply about it)."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= 500 for refused in error.recipients)
    about_it = (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError)
    return isinstance(error, about_it) and error.code >= 500


def parse_server(address: str, default_port: int = 25) -> tuple[str, int]:
    """`host` or `host:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or (host.endswith("]") is False and ":" in host):
        return address, default_port
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
    """Mails events to `to`: with `digest` all of a delivery in one message, else a message for each."""

    def __init__(
        self, server: MailServer, to: Sequence[str], digest: bool = False, body: Form | None = None
    ) -> None:
        self._server = server
        self._to = to
        self._digest = digest
        self._body = body or form("text")

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`. Of a delivery that fails in the middle the first messages may come twice."""
        groups = [events] if self._digest else [[event] for event in events]
        for group in groups:
            if group:
                await self._server.send(self._message(group))

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
