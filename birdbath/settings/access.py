"""Settings of who may do what: TLS, credentials, levels, queue rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from birdbath.access.table import CredentialRow
from birdbath.settings.values import Names

LEVELS = ("read", "write", "advertise", "administrator")


class AccessSettings(BaseSettings):
    """TLS, the credential table, who has which level, who may touch whose jobs."""

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
        (), description="the credential table: who proves to be whom, and how; see access.md"
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

    @field_validator("queue_super_user_may_impersonate")
    @classmethod
    def _check_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        return value
