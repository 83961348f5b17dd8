"""Sends the mail about jobs, from a durable cursor, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from birdbath.notify.deliveries import SinkFailed
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.job_mail import TOPICS, JobMail, job_mail, readers
from birdbath.notify.notifier import Notifier
from birdbath.notify.pauses import Pauses
from birdbath.notify.sinks.mail import MailRefused, MailServer, message
from birdbath.notify.subscriptions import JOB_MAIL
from birdbath.store.subscriptions import DeadLetter

_log = logging.getLogger(__name__)

KIND = KEY = JOB_MAIL
BATCH = 100
IDLE = 60.0


@dataclass(frozen=True)
class JobMailSettings:
    """By which server mail goes, the domain of users who name none, and who answers questions."""

    server: MailServer
    domain: str
    admin: str


class JobMailer:
    """Mails what jobs asked for by JobNotification, and who held or released them by emailUser and
    emailAdmin; `run` it as a task.

    At least once: after a crash a mail may be sent again, with the same Message-ID. A server that is away is
    waited for. A mail that the server refuses for good, be it for one of its receivers, goes to the
    subscription's dead letters, and the next one is sent.
    """

    def __init__(
        self, notifier: Notifier, settings: JobMailSettings, pauses: Callable[[], Pauses] = Pauses
    ) -> None:
        self._notifier = notifier
        self._settings = settings
        self._pauses = pauses

    async def run(self) -> None:
        """Send until cancelled. A new cursor begins with the events from now on: nobody is told old news."""
        subscriptions, filter = self._notifier.subscriptions, Filter.of(TOPICS)
        await subscriptions.ensure(KEY, KIND, filter, from_now=True)
        follower = subscriptions.open(KEY)
        try:
            while True:
                batch = await follower.next(BATCH, wait=IDLE)
                for entry in batch.entries:
                    if await self._send(entry):
                        await follower.acknowledge(entry.event.sequence)
                await follower.acknowledge(batch.through)
                self._notifier.metrics.missed[KIND] += batch.missed
        finally:
            follower.close()

    async def _send(self, entry: Entry) -> bool:
        """Send the mails about an event, however long it takes; whether there were any to send."""
        event, settings = entry.event, self._settings
        # The jobs of a real pool are not in the database: their events bring what a mail needs. What such
        # jobs themselves ask for, the pool mails.
        job = await asyncio.to_thread(lambda: entry.job) or event.ad
        told = readers(event, job, settings.domain, settings.admin)
        for to in told:
            if not to:
                _log.warning("Job %d.%d wants mail, but names no address", event.cluster, event.proc)
                continue
            await self._deliver(entry, job_mail(event, job, to, socket.gethostname(), settings.admin))
        return any(told)

    async def _deliver(self, entry: Entry, mail: JobMail) -> None:
        """Return when the server has the mail for everybody, or it is a dead letter."""
        event, settings, metrics = entry.event, self._settings, self._notifier.metrics
        made = message(settings.server.sender, mail.to, mail.subject, mail.body, event.id)
        pauses, attempts, left = self._pauses(), 0, mail.to
        refused: list[str] = []
        taken = False
        while left:
            attempts += 1
            try:
                refusals = await settings.server.send(made, left)
                taken = True
                refused += (f"mail to {to}: {why}" for to, why in refusals.for_good.items())
                left = tuple(refusals.for_now)
                trouble = "; ".join(f"mail to {to}: {why}" for to, why in refusals.for_now.items())
            except MailRefused as error:
                refused.append(str(error))
                left = ()
            except SinkFailed as error:
                trouble = str(error)
            if left:
                pause = pauses.next()
                _log.warning("%s; again in %.1f s", trouble, pause)
                metrics.retried[KIND] += 1
                await asyncio.sleep(pause)
        metrics.delivered[KIND] += taken
        if refused:
            reason = "; ".join(refused)
            _log.warning("Mail about event %d is refused: %s", event.sequence, reason)
            letter = DeadLetter(KEY, event, attempts, time.time(), reason[:500])
            await self._notifier.subscriptions.give_up(letter)
