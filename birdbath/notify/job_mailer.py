"""Sends the mail about jobs, from a durable cursor, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from birdbath.notify.deliveries import SinkFailed
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.followers import Batch
from birdbath.notify.job_mail import TOPICS, JobMail, job_mail, readers
from birdbath.notify.notifier import Notifier
from birdbath.notify.pauses import Pauses
from birdbath.notify.pushing import Pushing
from birdbath.notify.sinks.mail import MailPutOff, MailRefused, MailServer, Refusals, message
from birdbath.notify.subscriptions import JOB_MAIL
from birdbath.store.subscriptions import DeadLetter

_log = logging.getLogger(__name__)

KIND = KEY = JOB_MAIL


@dataclass(frozen=True)
class JobMailSettings:
    """By which server mail goes, the domain of users who name none, and who answers questions. A mail that
    the server puts off for `give_up` seconds goes to the dead letters.
    """

    server: MailServer
    domain: str
    admin: str
    give_up: float = 4 * 3600.0


class JobMailer:
    """Mails what jobs asked for by JobNotification, and who held or released them by emailUser and
    emailAdmin; `run` it as a task.

    At least once: after a crash a mail may be sent again, with the same Message-ID. A server that is away is
    waited for. A mail that the server refuses for good, or puts off for too long, be it for one of its
    receivers, goes to the subscription's dead letters; meanwhile those about other jobs are sent.
    """

    def __init__(
        self, notifier: Notifier, settings: JobMailSettings, pauses: Callable[[], Pauses] = Pauses
    ) -> None:
        self._notifier = notifier
        self._settings = settings
        self._pauses = pauses
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Send until cancelled. A new cursor begins with the events from now on: nobody is told old news."""
        subscriptions, filter = self._notifier.subscriptions, Filter.of(TOPICS)
        await subscriptions.ensure(KEY, KIND, filter, from_now=True)
        follower = subscriptions.open(KEY)
        try:
            await Pushing(follower, self._send, self._note_missed).run()
        finally:
            follower.close()

    def _note_missed(self, batch: Batch) -> None:
        self._notifier.metrics.missed[KIND] += batch.missed

    async def _send(self, entry: Entry) -> None:
        """Send the mails about an event, however long it takes."""
        event, settings = entry.event, self._settings
        async with self._turn:
            # The jobs of a real pool are not in the database: their events bring what a mail needs. What such
            # jobs themselves ask for, the pool mails.
            job = await asyncio.to_thread(lambda: entry.job) or event.ad
        for to in readers(event, job, settings.domain, settings.admin):
            if not to:
                _log.warning("Job %d.%d wants mail, but names no address", event.cluster, event.proc)
                continue
            await self._deliver(entry, job_mail(event, job, to, socket.gethostname(), settings.admin))

    async def _deliver(self, entry: Entry, mail: JobMail) -> None:
        """Return when the server has the mail for everybody, or it is a dead letter."""
        event, settings, metrics = entry.event, self._settings, self._notifier.metrics
        made = message(settings.server.sender, mail.to, mail.subject, mail.body, event.id)
        clock = asyncio.get_running_loop().time
        pauses, attempts, left, began = self._pauses(), 0, mail.to, clock()
        refused: list[str] = []
        taken = False
        while left:
            attempts += 1
            trouble = ""
            async with self._turn:  # one after the other, in the order of the log
                try:
                    refusals = await self._answer(made, left)
                    taken = True
                    refused += (f"mail to {to}: {why}" for to, why in refusals.for_good.items())
                    left = tuple(refusals.for_now)
                    trouble = "; ".join(f"mail to {to}: {why}" for to, why in refusals.for_now.items())
                except MailRefused as error:
                    refused.append(str(error))
                    left = ()
                except MailPutOff as error:
                    trouble = str(error)
            if left and clock() - began >= settings.give_up:
                refused.append(trouble)
                break
            if left:
                if attempts == 1:
                    _log.warning("Put off, to be tried again: %s", trouble)
                metrics.retried[KIND] += 1
                await asyncio.sleep(pauses.next())
        metrics.delivered[KIND] += taken
        if refused:
            reason = "; ".join(refused)
            _log.warning("Mail about event %d is refused: %s", event.sequence, reason)
            letter = DeadLetter(KEY, event, attempts, time.time(), reason[:500])
            await self._notifier.subscriptions.give_up(letter)

    async def _answer(self, made: EmailMessage, to: Sequence[str]) -> Refusals:
        """What the server says to a mail, however long it is away. Raises MailRefused, MailPutOff."""
        pauses = self._pauses()
        while True:
            try:
                return await self._settings.server.send(made, to)
            except (MailRefused, MailPutOff):
                raise
            except SinkFailed as error:
                self._notifier.metrics.retried[KIND] += 1
                await pauses.after("The mail server", error, _log)
