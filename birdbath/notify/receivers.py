"""Where webhooks may be delivered: a URL's addresses, looked up once and checked before they are connected
to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from birdbath.errors import BirdbathError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2000


class InvalidWebhook(BirdbathError):
    """The receiver cannot be one; the text says why."""


class ForbiddenAddress(InvalidWebhook):
    """The receiver has an address that nothing is delivered to."""


@dataclass(frozen=True)
class Receiver:
    """Where a request goes: the URL with its host replaced by a checked address, and the host for its
    headers.
    """

    url: str
    host: str
    name: str


class AddressRule:
    """Public addresses, and those of the networks that are allowed besides."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = tuple(ipaddress.ip_network(network, strict=False) for network in allowed)

    def permits(self, address: Address) -> bool:
        """Whether something may be delivered there. An address within another counts as both."""
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        inner = _inner(address)
        if inner is not None and not self.permits(inner):
            return False
        return inner is not None or _is_public(address)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ALSO_PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "::/96", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")
)
"""What is not public, and some or all versions of Python take for public."""


def _is_public(address: Address) -> bool:
    known = any(address in network for network in _ALSO_PRIVATE if network.version == address.version)
    return address.is_global and not address.is_multicast and not known


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def split(url: str) -> SplitResult:
    """The parts of a receiver's URL. Raises InvalidWebhook when it is none that can be delivered to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidWebhook(f"Not a URL: {url[:80]!r}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > LONGEST_URL:
        raise InvalidWebhook("The url of a webhook begins with https:// or http:// and has a host")
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.username is not None or parts.fragment or not printable or port == 0:
        raise InvalidWebhook("The url of a webhook has no user, no fragment, no blanks, and ASCII only")
    return parts


async def receiver(url: str, rule: AddressRule) -> Receiver:
    """Look up the host of `url`. Raises InvalidWebhook when it is no URL, ForbiddenAddress when any of its
    addresses is one that the rule forbids, OSError when it has none.

    Whoever connects uses the address that was checked, not the name again, which may be answered otherwise.
    """
    parts = split(url)
    assert parts.hostname is not None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # one of its labels is empty or too long
        raise InvalidWebhook(f"{parts.hostname[:80]!r} can be no host") from None
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    for address in addresses:
        if not rule.permits(address):
            raise ForbiddenAddress(
                f"{parts.hostname} has the address {address}, which is not public; webhook_networks allows it"
            )
    first = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    address_url = parts._replace(netloc=f"{first}:{port}").geturl()
    return Receiver(address_url, parts.netloc, parts.hostname)
