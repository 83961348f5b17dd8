"""Who has which level, by account and by network: HTCondor's ALLOW_* and DENY_* lists."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, Protocol

from birdbath.access.caller import EVERY_LEVEL, Caller, Level
from birdbath.errors import BirdbathError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

AUTHENTICATED: Final = "authenticated"
"""An entry that means every caller who proved to be somebody."""

_IMPLIED: Final = {
    Level.ADMINISTRATOR: frozenset({Level.WRITE, Level.READ}),
    Level.WRITE: frozenset({Level.READ}),
}
_REMEMBERED: Final = 4096


class InvalidRule(BirdbathError):
    """An entry of an allow or deny list cannot be understood."""


class Rules(Protocol):
    """Says what a caller may do."""

    def caller(self, address: str, account: str | None, granted: frozenset[Level] | None = None) -> Caller:
        """The caller with the levels that it has: at most `granted`, when its credential says so."""


class Everybody:
    """Rules by which everybody may do everything; for use in process."""

    def caller(self, address: str, account: str | None, granted: frozenset[Level] | None = None) -> Caller:
        return Caller(address, account)


@dataclass(frozen=True)
class _Entry:
    account: str  # a pattern; "*" also means those who have none
    network: Network | None

    def matches(self, address: Address | None, account: str | None) -> bool:
        if self.network is not None and (address is None or address not in self.network):
            return False
        if self.account == AUTHENTICATED:
            return account is not None
        return self.account == "*" or (account is not None and fnmatchcase(account, self.account))


def _entry(text: str) -> _Entry:
    """`account`, `account/network`, `network`, `*`; an account may have wildcards, so may an address."""
    network = _network(text)
    if network is not None:
        return _Entry("*", network)
    account, slash, place = text.partition("/")
    if not account or (slash and not place):
        raise InvalidRule(f"{text!r} is neither an account, nor a network, nor account/network")
    if not slash or place == "*":
        return _Entry(account, None)
    network = _network(place)
    if network is None:
        raise InvalidRule(f"{text!r}: {place!r} is no address or network; host names are not looked up")
    return _Entry(account, network)


def _network(text: str) -> Network | None:
    parts = text.split(".")
    if text.endswith(".*") and all(part.isdecimal() for part in parts[:-1]) and len(parts) <= 4:
        known = parts[:-1]
        text = ".".join(known + ["0"] * (4 - len(known))) + f"/{8 * len(known)}"
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@dataclass(frozen=True)
class AccessRules:
    """The allow and deny lists by level; a level without a list is had by nobody.

    Denying wins. Who is denied a level is also denied the levels that imply it.
    """

    allow: Mapping[Level, tuple[_Entry, ...]]
    deny: Mapping[Level, tuple[_Entry, ...]]
    _remembered: dict[tuple[str, str | None, frozenset[Level] | None], Caller] = field(
        default_factory=dict, compare=False
    )

    @classmethod
    def of(cls, allow: Mapping[Level, Iterable[str]], deny: Mapping[Level, Iterable[str]]) -> AccessRules:
        """Rules from the entries of the lists. Raises InvalidRule."""
        return cls(_entries(allow), _entries(deny))

    def caller(self, address: str, account: str | None, granted: frozenset[Level] | None = None) -> Caller:
        """See `Rules`."""
        key = (address, account, granted)
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = Caller(address, account, self._levels(address, account, granted))
        return known

    def _levels(
        self, address: str, account: str | None, granted: frozenset[Level] | None
    ) -> frozenset[Level]:
        ip = _address(address)
        allowed = {level for level, entries in self.allow.items() if _any(entries, ip, account)}
        for level in tuple(allowed):
            allowed |= _IMPLIED.get(level, frozenset())
        denied = {level for level, entries in self.deny.items() if _any(entries, ip, account)}
        denied |= {level for level, implied in _IMPLIED.items() if implied & denied}
        given = EVERY_LEVEL if granted is None else granted
        return frozenset((allowed - denied) & given) | {Level.NONE}


def _entries(lists: Mapping[Level, Iterable[str]]) -> dict[Level, tuple[_Entry, ...]]:
    return {level: tuple(_entry(text) for text in texts) for level, texts in lists.items()}


def _any(entries: tuple[_Entry, ...], address: Address | None, account: str | None) -> bool:
    return any(entry.matches(address, account) for entry in entries)


@lru_cache(maxsize=_REMEMBERED)
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
