"""Every setting of the server, typed, from a TOML file, `BIRDBATH_*` variables and the command line.

The command line wins over variables, variables over the file, the file over the defaults.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from birdbath.access.table import CredentialRow
from birdbath.errors import BirdbathError
from birdbath.tables import RoutingRule, checked_name, checked_pools


class InvalidSettings(BirdbathError):
    """A setting is unknown or has a value that it cannot have; the text names it and where it came from."""


LEVELS = ("read", "write", "advertise", "administrator")

Names = Annotated[tuple[str, ...], NoDecode]
"""Several names: a list in the file, separated by commas in a variable."""


class Settings(BaseSettings):
    """The settings of one server, each with its description; names in capitals are HTCondor's own."""

    model_config = SettingsConfigDict(env_prefix="BIRDBATH_", extra="forbid", frozen=True)

    home: Path = Field(Path("~/.birdbath"), description="folder of the database and the spool")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    collector_port: int | None = Field(
        None, ge=0, le=65535, description="a second port for the collector; both ports serve both services"
    )
    public_url: str | None = Field(
        None, description="the address that the WSDL names; default: the request's own host"
    )
    trusted_proxies: Names = Field(
        (), description="addresses or networks whose X-Forwarded-* headers are believed"
    )
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the home folder")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")

    schedd_name: str = Field("schedd@birdbath.example.org", description="SCHEDD_NAME")
    uid_domain: str = Field("birdbath.example.org", description="UID_DOMAIN, the part of User after the @")
    pool: str = Field(
        "laptop",
        description="the simulated pool: laptop, campus, grid, or a TOML file that describes one;"
        " or `htcondor`, a real one",
    )
    htcondor_config: Path | None = Field(
        None, description="CONDOR_CONFIG of the real pool; default: the variable of that name, or none"
    )
    htcondor_collector: str | None = Field(
        None, description="COLLECTOR_HOST of the real pool, `host:port`; default: as its configuration says"
    )
    htcondor_schedd: str | None = Field(
        None, description="name of the schedd; default: the only one, or the first, that the collector knows"
    )
    htcondor_methods: Names = Field(
        (), description="SEC_CLIENT_AUTHENTICATION_METHODS: FS, IDTOKENS, PASSWORD; default: as configured"
    )
    htcondor_tokens: Path | None = Field(
        None, description="SEC_TOKEN_DIRECTORY: folder with the gateway's IDTOKEN"
    )
    htcondor_password: Path | None = Field(
        None, description="SEC_PASSWORD_FILE: the pool's password, as condor_store_cred wrote it"
    )
    htcondor_event_log: Path | None = Field(
        None,
        description="EVENT_LOG of the schedd, as a file here: its events become the server's",
    )
    htcondor_dagman_config: str | None = Field(
        None,
        pattern=r"^[^\s\"']+$",
        description="CONDOR_CONFIG on the schedd's machine, for DAGMan; default: where HTCondor looks for it",
    )
    htcondor_timeout: float = Field(
        20.0, gt=0, description="seconds in which the pool has to answer, more for files"
    )
    pool_name: str = Field("default", description="what the server's own pool is called beside others")
    pools: dict[str, dict[str, Any]] | None = Field(
        None, description="further pools, a table `[pools.NAME]` of settings each; see Several pools below"
    )
    federation_rules: tuple[RoutingRule, ...] = Field(
        (), description="tables `[[federation_rules]]`: which pools jobs may go to; see there"
    )
    federation_timeout: float = Field(
        5.0, gt=0, description="seconds that the federation waits for a pool before it answers without it"
    )
    negotiator_interval: float | None = Field(
        None,
        gt=0,
        description="NEGOTIATOR_INTERVAL, seconds between cycles; default: as the pool's description says",
    )
    program_duration: float | None = Field(
        None, ge=0, description="seconds that a simulated program runs unless something else says how long"
    )

    speed: float | Literal["max"] | None = Field(
        None, description="pool seconds per second, or max: jump from event to event; default: as before"
    )
    start_time: float | None = Field(
        None, description="pool time at which a new pool begins, in seconds since the epoch; default: now"
    )

    execute: bool = Field(
        False, description="run jobs as processes of this machine, shut into their sandboxes, not simulated"
    )
    execute_account: str = Field(
        "nobody", description="the account that jobs run under when the server is root's"
    )
    execute_cpu_time: int = Field(0, ge=0, description="CPU seconds that such a job may use; 0: no limit")
    execute_file_size: int = Field(
        10 << 30, ge=0, description="largest file in bytes that such a job may write; 0: no limit"
    )

    strict: bool = Field(
        False,
        description="verify declared sizes and hashes, use all status codes, fault bad constraints",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate and its chain; with it the server speaks TLS only"
    )
    tls_key: Path | None = Field(None, description="PEM file with the key; default: in the same file")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities of client certificates"
    )
    tls_client_certificates: Literal["none", "optional", "required"] = Field(
        "none", description="whether TLS clients may, or must, show a certificate"
    )
    authentication: tuple[CredentialRow, ...] = Field(
        (), description="the credential table: who proves to be whom, and how; see below"
    )
    without_authentication: bool = Field(
        False, description="listen on other addresses than loopback though nobody is asked who he is"
    )
    allow_read: Names = Field(
        (), description="ALLOW_READ; default: who is authenticated, or everybody when nobody is asked"
    )
    allow_write: Names = Field((), description="ALLOW_WRITE, which implies READ; default: as for allow_read")
    allow_advertise: Names = Field(
        (), description="ALLOW_ADVERTISE; default: super-users, or everybody when nobody is asked"
    )
    allow_administrator: Names = Field(
        (),
        description="ALLOW_ADMINISTRATOR, which implies WRITE; default: super-users, or loopback when nobody"
        " is asked",
    )
    deny_read: Names = Field((), description="DENY_READ, which denies WRITE and ADMINISTRATOR too")
    deny_write: Names = Field((), description="DENY_WRITE, which denies ADMINISTRATOR too")
    deny_advertise: Names = Field((), description="DENY_ADVERTISE")
    deny_administrator: Names = Field((), description="DENY_ADMINISTRATOR")
    allowed_hosts: Names = Field(
        (),
        description="names by which clients may call this server, `*` for any; besides its own, localhost"
        " and IP addresses",
    )
    allowed_origins: Names = Field((), description="web sites whose pages may call this server")

    queue_all_users_trusted: bool | None = Field(
        None,
        description="QUEUE_ALL_USERS_TRUSTED: anybody may submit as any Owner; default: when nobody is asked",
    )
    queue_super_users: Names = Field(
        ("root", "condor"), description="QUEUE_SUPER_USERS: may touch everybody's jobs"
    )
    queue_super_user_may_impersonate: str | None = Field(
        None,
        description="QUEUE_SUPER_USER_MAY_IMPERSONATE: regular expression for Owners whom super-users may"
        " submit as; default: any",
    )
    private_jobs: bool = Field(
        False, description="listings show a caller only its own jobs; their files are private anyhow"
    )
    max_soap_transaction_duration: int = Field(
        -1, description="MAX_SOAP_TRANSACTION_DURATION: longest lease in seconds; 0 or less: no limit"
    )
    soap_leave_in_queue: str | None = Field(
        None, description="SOAP_LEAVE_IN_QUEUE: a further condition of the template's LeaveJobInQueue"
    )
    max_jobs_submitted: int = Field(2147483647, ge=0, description="MAX_JOBS_SUBMITTED")
    max_jobs_per_owner: int = Field(100000, ge=0, description="MAX_JOBS_PER_OWNER, of callers who are known")
    max_jobs_per_submission: int = Field(
        20000, ge=0, description="MAX_JOBS_PER_SUBMISSION: jobs of one cluster"
    )
    abandoned_spool_age: float = Field(
        3600.0, ge=0, description="seconds after which a spool directory that belongs to no job is deleted"
    )

    classad_lifetime: int = Field(
        900, ge=1, description="CLASSAD_LIFETIME: seconds that an inserted ad lives"
    )
    collector_requirements: str | None = Field(None, description="COLLECTOR_REQUIREMENTS")
    absent_requirements: str | None = Field(None, description="ABSENT_REQUIREMENTS")

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
    webhook_networks: Names = Field(
        (), description="addresses or networks that are not public but may receive webhooks"
    )
    webhook_timeout: float = Field(15.0, gt=0, description="seconds that a webhook's receiver has to answer")
    webhook_give_up: float = Field(
        86400.0, ge=0, description="seconds after which an undelivered event goes to the dead letter list"
    )

    audit: bool = Field(True, description="write a line for each call that changes something")
    audit_log: Path | None = Field(None, description="where; default: audit.log in the home folder")
    otlp_endpoint: str | None = Field(
        None, description="URL that OpenTelemetry traces are sent to; needs birdbath[opentelemetry]"
    )
    max_connections: int = Field(4096, ge=1, description="most connections at a time")
    max_connections_per_client: int = Field(2048, ge=1, description="most connections of one address")
    max_requests: int = Field(
        256,
        ge=0,
        description="most SOAP requests in progress, more are answered 503; 0, here as below: no limit",
    )
    max_requests_per_client: int = Field(128, ge=0, description="the same for one address")
    max_requests_per_second: float = Field(0.0, ge=0, description="of one address; more are answered 429")
    max_body_bytes: int = Field(
        512 << 20, ge=0, description="most bytes of all request bodies in progress together"
    )
    max_headers: int = Field(100, ge=1, description="most headers of a request")
    max_header_bytes: int = Field(64 << 10, ge=1024, description="most bytes of a request's headers")
    header_seconds: float = Field(20.0, gt=0, description="seconds in which a request's headers must arrive")
    body_seconds: float = Field(
        60.0, gt=0, description="seconds in which a request's body must arrive, and one more for each 16 KiB"
    )
    stall_seconds: float = Field(
        60.0, gt=0, description="seconds that a client may leave an answer unread before it is cut off"
    )
    max_transactions_per_owner: int = Field(
        1000, ge=0, description="most open transactions of an account; callers without one share theirs"
    )
    max_staged_bytes: int = Field(
        100 << 30, ge=0, description="most bytes of files in open transactions, of all together"
    )
    max_staged_bytes_per_owner: int = Field(10 << 30, ge=0, description="the same of an account")
    min_free_bytes: int = Field(
        64 << 20,
        ge=0,
        description="bytes of the disk that are left to the database: files are refused first",
    )
    max_request_bytes: int = Field(64 << 20, ge=1024, description="largest request body in bytes")
    max_xml_bytes: int = Field(
        2 << 20, ge=1024, description="longest request in bytes, the text of a file's chunk apart"
    )
    max_xml_tags: int = Field(32_000, ge=100, description="most tags of a request longer than 64 KiB")
    max_xml_attributes: int = Field(
        32_000, ge=100, description="most XML attributes of a request longer than 64 KiB"
    )
    max_file_reply: int = Field(64 << 20, ge=1, description="most bytes that one getFile answers")
    max_reply_bytes: int = Field(
        1 << 30,
        ge=1 << 16,
        description="most bytes of the ads of one answer, more is a fault that names the service with pages",
    )
    max_query_seconds: float = Field(
        30.0, ge=0, description="seconds that evaluating a query's constraint may take; 0: no limit"
    )
    ad_memory: int | None = Field(
        None,
        ge=1 << 20,
        description="bytes that parsed and rendered ads may take in memory; default: a quarter of it",
    )

    amqp_url: str | None = Field(
        None,
        description="broker to publish events to: `amqp://user:password@host/vhost`, `amqps` for TLS; AMQP"
        " 1.0: `amqp1://user:password@host?address=NODE`, `amqps1`",
    )
    amqp_exchange: str = Field("condor.events", description="durable topic exchange for the events")
    amqp_form: str = Field("cloudevents", description="form of the messages")
    amqp_topics: Names = Field((), description="topic patterns of the events to publish; none: all")
    amqp_constraint: str | None = Field(None, description="ClassAd constraint on the events to publish")
    amqp_requests: bool = Field(
        True, description="answer requests for a job's events or ad on the queue condor.requests (AMQP 0-9-1)"
    )

    smtp_server: str | None = Field(
        None,
        description="mail server, host or host:port, for the mail that jobs ask for by JobNotification;"
        " default: no mail is sent",
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
    condor_admin: str | None = Field(None, description="CONDOR_ADMIN, named in mail; default: its sender")

    @field_validator(
        "trusted_proxies",
        "webhook_networks",
        "amqp_topics",
        "htcondor_methods",
        "queue_super_users",
        "allowed_hosts",
        "allowed_origins",
        *(f"{verb}_{level}" for verb in ("allow", "deny") for level in LEVELS),
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        )

    _check_pool_name = field_validator("pool_name")(checked_name)
    _check_pools = field_validator("pools")(checked_pools)

    @field_validator("speed")
    @classmethod
    def _check_speed(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not value > 0:
            raise ValueError("it must be above 0, or max")
        return value

    @field_validator("trusted_proxies", "webhook_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_validator("queue_super_user_may_impersonate")
    @classmethod
    def _check_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://host")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be a URL such as https://portal.example.org:8443")
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("it must begin with sqlite:/// or postgresql+psycopg://")
        return value

    @property
    def ad_memory_bytes(self) -> int:
        """`ad_memory`, or a quarter of the memory that the machine, or the container, has."""
        return self.ad_memory or _available_memory() // 4

    @property
    def folder(self) -> Path:
        """The home folder, `~` expanded."""
        return self.home.expanduser().absolute()

    @property
    def audit_path(self) -> Path | None:
        """Where the audit log is; None for none."""
        return (self.audit_log or self.folder / "audit.log") if self.audit else None

    @property
    def spool(self) -> Path:
        """The spool folder."""
        return self.folder / "spool"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.folder / 'birdbath.db'}"


def _available_memory() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdecimal() else memory


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """The settings in force: `given` (those that are not None) over variables over `file` over the defaults.

    Raises InvalidSettings with one line per mistake.
    """

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            kept = (named["init_settings"], named["env_settings"])
            return (*kept, TomlConfigSettingsSource(settings_cls, file)) if file else kept

    if file is not None and not file.is_file():
        raise InvalidSettings(f"There is no settings file {file}")
    try:
        return FromFile(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettings(_mistakes(error)) from None
    except ValueError as error:
        raise InvalidSettings(f"{file}: {error}") from None


def settings_from(values: dict[str, Any]) -> Settings:
    """Settings from `values` and the defaults alone. Raises InvalidSettings."""

    class FromValues(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (named["init_settings"],)

    try:
        return FromValues(**values)
    except ValidationError as error:
        raise InvalidSettings(_mistakes(error)) from None


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
