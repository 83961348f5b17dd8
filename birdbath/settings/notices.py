"""Settings of what is told to others: events, webhooks, the broker, mail."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from birdbath.settings.values import Names, Networks


class NoticeSettings(BaseSettings):
    """How long events are kept, and where they go."""

    event_max_age: float = Field(2592000.0, ge=0, description="seconds that events are kept; 0: for good")
    event_max_rows: int = Field(1000000, ge=0, description="events that are kept; 0: any number")
    event_max_held_rows: int = Field(
        10000000,
        ge=1,
        description="events that are kept in all for subscriptions that have not taken them yet",
    )
    event_max_followers: int = Field(
        1000, ge=1, description="event streams and long polls that may be open at a time"
    )
    event_max_followers_per_client: int = Field(
        200, ge=0, description="of these, those of one address; 0 for any number"
    )
    event_max_subscriptions_per_owner: int = Field(
        1000, ge=0, description="subscriptions that one account may have; 0 for any number"
    )
    webhook_networks: Networks = Field(
        (), description="addresses or networks that are not public but may receive webhooks"
    )
    webhook_timeout: float = Field(15.0, gt=0, description="seconds that a webhook's receiver has to answer")
    webhook_give_up: float = Field(
        86400.0, ge=0, description="seconds after which an undelivered event goes to the dead letter list"
    )
    amqp_url: str | None = Field(
        None,
        description="broker to publish events to: `amqp://user:password@host/vhost`, `amqps` for TLS; AMQP"
        " 1.0: `amqp1://user:password@host?address=NODE`, `amqps1`",
    )
    amqp_exchange: str = Field(
        "condor.events", min_length=1, max_length=127, description="durable topic exchange for the events"
    )
    amqp_form: str = Field("cloudevents", description="form of the messages")
    amqp_topics: Names = Field((), description="topic patterns of the events to publish; none: all")
    amqp_constraint: str | None = Field(None, description="ClassAd constraint on the events to publish")
    amqp_requests: bool = Field(
        True, description="answer requests for a job's events or ad on the queue condor.requests (AMQP 0-9-1)"
    )

    smtp_server: str | None = Field(
        None,
        description="mail server, host or host:port, for the mail that jobs ask for by JobNotification, and"
        " holdJob and releaseJob by emailUser and emailAdmin; default: no mail is sent",
    )
    smtp_tls: Literal["starttls", "require", "tls", "off"] = Field(
        "starttls",
        description="STARTTLS if the server can, or in any case, TLS from the first byte, none",
    )
    smtp_user: str | None = Field(None, description="account at the mail server")
    smtp_password: str | None = Field(None, description="its password", repr=False)
    mail_from: str | None = Field(None, description="sender of mail; default: condor at the email_domain")
    email_domain: str | None = Field(
        None, description="EMAIL_DOMAIN of a NotifyUser or owner without one; default: uid_domain"
    )
    condor_admin: str | None = Field(
        None, description="CONDOR_ADMIN, named in mail, the reader of emailAdmin's; default: mail_from"
    )
