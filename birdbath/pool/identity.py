"""Which ad replaces which: the identity key of each type of daemon ad (reference section 4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable

from birdbath.classads import Ad
from birdbath.errors import BirdbathError
from birdbath.pool.base import AdKind

_ADDRESS = re.compile(r"<(\[[0-9A-Fa-f:.]+\]|[^\[\]:<>?]+):[0-9]+(\?[^<>]*)?>\Z")
_SEPARATOR = "\x1f"


class MissingKey(BirdbathError):
    """The ad lacks an attribute that its type's identity key needs."""


def host_of(address: str) -> str | None:
    """The host part of `<host:port>`, None for anything else; only the host counts in a key."""
    match = _ADDRESS.match(address)
    return match[1] if match else None


def identity_key(kind: AdKind, ad: Ad) -> str:
    """The key of `ad` in the table `kind`. Raises MissingKey."""
    return _KEYS[kind](ad)


def _first(ad: Ad, *names: str) -> str:
    for name in names:
        value = ad.string(name)
        if value:
            return value
    raise MissingKey(f"The ad has no {' or '.join(names)}")


def _join(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def _host(ad: Ad, *names: str) -> str:
    return next((host for name in names if (host := host_of(ad.string(name)))), "")


def _required_host(ad: Ad, *names: str) -> str:
    host = _host(ad, *names)
    if not host:
        raise MissingKey(f"The ad has no {' or '.join(names)} of the form <host:port>")
    return host


def _startd(ad: Ad) -> str:
    name = ad.string("Name")
    if not name:
        name = _first(ad, "Name", "Machine")
        slot = ad.get("SlotID")
        name = f"{name}:{slot}" if slot is not None else name
    return _join(name, _host(ad, "MyAddress", "StartdIpAddr"))


def _schedd(ad: Ad) -> str:
    name = _first(ad, "Name", "Machine")
    return _join(name, ad.string("ScheddName"), _required_host(ad, "MyAddress", "ScheddIpAddr"))


def _license(ad: Ad) -> str:
    return _join(_first(ad, "Name", "Machine"), _required_host(ad, "MyAddress"))


def _quill(ad: Ad) -> str:
    return _join(_first(ad, "Name", "Machine"), ad.string("ScheddName"))


def _generic(ad: Ad) -> str:
    return _join(ad.string("MyType"), _first(ad, "Name"))


def _named(*names: str) -> Callable[[Ad], str]:
    return lambda ad: _first(ad, *names)


_KEYS: dict[AdKind, Callable[[Ad], str]] = {
    AdKind.STARTD: _startd,
    AdKind.SCHEDD: _schedd,
    AdKind.SUBMITTOR: _schedd,
    AdKind.LICENSE: _license,
    AdKind.MASTER: _named("Name", "Machine"),
    AdKind.COLLECTOR: _named("Name", "Machine"),
    AdKind.CKPTSRVR: _named("Machine"),
    AdKind.STORAGE: _named("Name"),
    AdKind.HAD: _named("Name"),
    AdKind.NEGOTIATOR: _named("Name"),
    AdKind.QUILL: _quill,
    AdKind.GENERIC: _generic,
}
