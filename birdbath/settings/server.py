"""Settings of the server itself: where it is, where it keeps what it has, what it writes down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings
from sqlalchemy import URL

from birdbath.settings.values import Networks


class ServerSettings(BaseSettings):
    """Addresses, folders, database, logs."""

    home: Path = Field(Path("~/.birdbath"), description="folder of the database and the spool")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    collector_port: int | None = Field(
        None, ge=0, le=65535, description="a second port for the collector; both ports serve both services"
    )
    public_url: str | None = Field(
        None, description="the address that the WSDL names; default: the request's own host"
    )
    trusted_proxies: Networks = Field(
        (), description="addresses or networks whose X-Forwarded-* headers are believed"
    )
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the home folder")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")
    audit: bool = Field(True, description="write a line for each call that changes something")
    audit_log: Path | None = Field(None, description="where; default: audit.log in the home folder")
    otlp_endpoint: str | None = Field(
        None, description="URL that OpenTelemetry traces are sent to; needs birdbath[opentelemetry]"
    )
    ad_memory: int | None = Field(
        None,
        ge=1 << 20,
        description="bytes that parsed and rendered ads may take in memory; default: a quarter of it",
    )

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
        if self.database_url:
            return self.database_url
        # Not put together as text: in a URL a question mark and a percent sign mean something.
        return URL.create("sqlite", database=str(self.folder / "birdbath.db")).render_as_string()


def _available_memory() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdecimal() else memory
