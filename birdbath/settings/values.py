"""Kinds of values that several settings have."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _checked_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        ip_network(network, strict=False)
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several names: a list in the file, separated by commas in a variable."""

Networks = Annotated[Names, AfterValidator(_checked_networks)]
"""Several IP addresses or CIDR networks, given in the same way."""
