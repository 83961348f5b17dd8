"""What follows the event log, as the settings say it: retention, whose events are shown, webhooks, routes."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from sqlalchemy import Engine

from birdbath import admission
from birdbath.http.event_routes import EventRoutes
from birdbath.notify import Notifier, RetentionSettings, Visibility
from birdbath.notify.services import add_services
from birdbath.notify.webhooks import Webhooks, WebhookSettings
from birdbath.settings import Settings
from birdbath.store import Writer


def notifier(settings: Settings, engine: Engine, writer: Writer, now: Callable[[], float]) -> Notifier:
    """The event log and its followers; `now` is the pool's time. Raises InvalidSettings."""
    made = Notifier(
        engine,
        writer,
        Visibility(admission.all_users_trusted(settings), settings.queue_super_users),
        f"urn:condor:{quote(settings.schedd_name, safe='@')}",
        RetentionSettings(settings.event_max_age, settings.event_max_rows, settings.event_max_held_rows),
        now,
        settings.event_max_subscriptions_per_owner,
    )
    add_services(made, settings, engine)
    return made


def routes(settings: Settings, notifier: Notifier) -> EventRoutes:
    """The routes below /events; webhooks are delivered from now on, while the notifier runs."""
    webhooks = Webhooks(
        notifier,
        WebhookSettings(
            settings.webhook_networks, settings.webhook_timeout, give_up=settings.webhook_give_up
        ),
    )
    return EventRoutes(
        notifier, webhooks, settings.event_max_followers, settings.event_max_followers_per_client
    )
