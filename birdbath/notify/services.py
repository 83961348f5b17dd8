"""What the settings ask for besides followers who come by themselves: relay, answers, mails, logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Engine

from birdbath.classads import Ad
from birdbath.errors import BirdbathError
from birdbath.events import EventRecord, Form, form
from birdbath.notify.amqp10.address import is_amqp10
from birdbath.notify.filters import Filter
from birdbath.notify.notifier import Notifier
from birdbath.notify.subscriptions import JOB_MAIL, RELAY
from birdbath.settings import InvalidSettings, Settings
from birdbath.store import event_log
from birdbath.store.reader import Reader


def add_services(notifier: Notifier, settings: Settings, engine: Engine) -> None:
    """Add to `notifier` the services that `settings` ask for. Raises InvalidSettings as `check_services`
    does.
    """
    check_services(settings)
    if settings.amqp_url is not None:
        _add_amqp(notifier, settings, settings.amqp_url, engine)
    else:
        notifier.unserved.add(RELAY)
    if settings.smtp_server is not None:
        _add_mail(notifier, settings, settings.smtp_server)
    else:
        notifier.unserved.add(JOB_MAIL)


def check_services(settings: Settings) -> None:
    """Raise InvalidSettings, which names the setting, for nonsense in what services are made of, also in what
    none needs now.
    """
    check_broker(settings)
    if settings.smtp_server is not None:
        from birdbath.notify.sinks.mail import parse_server

        try:
            parse_server(settings.smtp_server)
        except ValueError as error:
            raise InvalidSettings(f"smtp_server {error}") from None


def check_broker(settings: Settings) -> None:
    """The same for what is said of the broker alone."""
    _published(settings, "")
    if settings.amqp_url is not None:
        from birdbath.notify.brokers import check_url

        with _setting("amqp_url"):
            check_url(settings.amqp_url)


def _published(settings: Settings, source: str) -> tuple[Form, Filter]:
    """The form of what is published, and which events are."""
    with _setting("amqp_form"):
        chosen = form(settings.amqp_form, source)
    with _setting("amqp_topics"):
        Filter.of(settings.amqp_topics)
    with _setting("amqp_constraint"):
        return chosen, Filter.of(settings.amqp_topics, settings.amqp_constraint)


@contextmanager
def _setting(name: str) -> Iterator[None]:
    """Say of nonsense which setting it is in."""
    try:
        yield
    except BirdbathError as error:
        raise InvalidSettings(f"{name}: {error}") from None


def _add_amqp(notifier: Notifier, settings: Settings, url: str, engine: Engine) -> None:
    # A broker's client takes a while to load, which servers without a broker shall not pay.
    from birdbath.notify.amqp.relay import Relay, RelaySettings
    from birdbath.notify.amqp.requests import Answers, Responder

    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it complains of is said once already
    relayed = RelaySettings(url, *_published(settings, notifier.source), settings.amqp_exchange)
    notifier.services["AMQP relay"] = Relay(notifier, relayed).run
    if settings.amqp_requests and not is_amqp10(url):
        jobs = _Jobs(engine)
        answers = Answers(jobs.history, jobs.ad, notifier.visibility.sees, notifier.source)
        notifier.services["AMQP requests"] = Responder(url, answers).run


def _add_mail(notifier: Notifier, settings: Settings, server: str) -> None:
    from birdbath.notify.job_mailer import JobMailer, JobMailSettings
    from birdbath.notify.sinks.mail import MailServer, parse_server

    host, port = parse_server(server)
    domain = settings.email_domain or settings.uid_domain
    sender = settings.mail_from or f"condor@{domain}"
    mail = MailServer(host, port, sender, settings.smtp_user, settings.smtp_password, settings.smtp_tls)
    chosen = JobMailSettings(mail, domain, settings.condor_admin or sender)
    notifier.services["job mail"] = JobMailer(notifier, chosen).run


class _Jobs:
    """What the database knows of jobs, for any thread; opened when first asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._reader: Reader | None = None

    def history(self, cluster: int, proc: int) -> list[EventRecord]:
        with self._lock:
            return event_log.history(self._opened(), cluster, proc)

    def ad(self, cluster: int, proc: int) -> Ad | None:
        with self._lock:
            return event_log.job_ad(self._opened(), cluster, proc)

    def _opened(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._engine)
        return self._reader
