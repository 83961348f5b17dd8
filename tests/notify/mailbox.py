"""A real mail server, and what came to it.

It is the tests' own in any case, and no address of another can be given: they look into its box, let it
refuse mail for a while or for good, and stop it in between. aiosmtpd, which it is, comes with the tests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.ports import free_port


class Mailbox:
    """Keeps the mails that a server takes, whose they are, and who brought them; refuses them for now as long
    as `refusing`, or if they are the `busy`th, for good what is for somebody in `unknown`, once what is for
    one in `full`, and always, but never for good, what is for one in `put_off`.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.attempts = 0
        self.refusing = False
        self.busy = 0
        self.unknown: tuple[str, ...] = ()
        self.full: list[str] = []
        self.put_off: tuple[str, ...] = ()
        self.receivers: list[list[str]] = []
        self.greeted_by: set[str | None] = set()
        self._changed = threading.Condition()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.full:
            self.full.remove(address)
            return "452 come again"
        if address in self.put_off:
            return "450 domain not found"
        if address in self.unknown:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        with self._changed:
            self.attempts += 1
            refused = self.refusing or self.attempts == self.busy
            if not refused:
                self.receivers.append(envelope.rcpt_tos)
                self.greeted_by.add(session.host_name)
                self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self._changed.notify_all()
            return "451 try again" if refused else "250 OK"

    def until(self, enough: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `enough` is true of what has come."""
        with self._changed:
            assert self._changed.wait_for(enough, seconds), [mail["Subject"] for mail in self.mails]


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Mailbox, int]]:
    mailbox, port = Mailbox(), free_port()
    # Without a name it asks the DNS for its own, and how long that takes is up to the network.
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=port, server_hostname="localhost", ready_timeout=60, **options
    )
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()
