"""Where the client reaches this server, as far as a request tells: for the WSDL's address and the caller's
own.

Nothing that a client says is believed unless its form is harmless, and forwarded headers only from proxies
that the settings trust (reference section 1.7).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from birdbath.http.asgi import Scope, header

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?)(:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and CIDR networks; raises ValueError for anything else."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def peer(scope: Scope) -> str:
    """The address of the other end of the connection; empty for a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def is_trusted(address: str, trusted: Iterable[Network]) -> bool:
    """Whether forwarded headers from this address are believed."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in trusted)


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return is_trusted(address, LOOPBACK)


def caller_address(scope: Scope, trusted: tuple[Network, ...]) -> str:
    """The caller's address: the peer's, or behind trusted proxies the last one that is no trusted proxy."""
    address = peer(scope)
    if not trusted or not is_trusted(address, trusted):
        return address
    forwarded = header(scope, b"x-forwarded-for").decode("latin-1").split(",")
    for candidate in reversed([part.strip() for part in forwarded if part.strip()]):
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            break
        address = candidate
        if not is_trusted(candidate, trusted):
            break
    return address


def is_secure(scope: Scope, trusted: tuple[Network, ...]) -> bool:
    """Whether nobody between the caller and this server can read the request: TLS, here or at a trusted
    proxy, or a connection within this machine.
    """
    if scope.get("scheme") == "https":
        return True
    address = peer(scope)
    if trusted and is_trusted(address, trusted) and (forwarded := _forwarded_scheme(scope)):
        return forwarded == "https"
    return not address or is_loopback(address)


def base_url(scope: Scope, public_url: str | None, trusted: tuple[Network, ...]) -> str:
    """The URL of this server's root as the client should use it, without a slash at the end."""
    if public_url:
        return public_url.rstrip("/")
    scheme, host, prefix = str(scope.get("scheme", "http")), _header_host(scope, b"host"), ""
    if trusted and is_trusted(peer(scope), trusted):
        scheme = _forwarded_scheme(scope) or scheme
        host = _header_host(scope, b"x-forwarded-host") or host
        prefix = _forwarded_prefix(scope)
    return f"{scheme}://{host or _own_host(scope)}{prefix}"


def _first(scope: Scope, name: bytes) -> str:
    return header(scope, name).decode("latin-1").split(",")[0].strip()


def _header_host(scope: Scope, name: bytes) -> str:
    host = _first(scope, name)
    return host if _HOST.fullmatch(host) else ""


def _forwarded_scheme(scope: Scope) -> str:
    scheme = _first(scope, b"x-forwarded-proto").lower()
    return scheme if scheme in ("http", "https") else ""


def _forwarded_prefix(scope: Scope) -> str:
    prefix = _first(scope, b"x-forwarded-prefix").rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def _own_host(scope: Scope) -> str:
    """The address that the connection came in at, for clients that send no Host (HTTP/1.0)."""
    host, port = scope.get("server") or ("localhost", None)
    if port is None:  # a Unix socket
        return "localhost"
    name = f"[{host}]" if ":" in host else host
    return name if port == 80 else f"{name}:{port}"
