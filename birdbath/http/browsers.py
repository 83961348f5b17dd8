"""What a web page in a browser may make the browser ask here: nothing.

A page on another site can send simple requests to a server on the browser's own machine, and by a name that
it lets resolve to that machine even read the answers. The browser says so: by the Origin, by Sec-Fetch-Site,
and by the Host it believes to talk to. Programs send none of the first two, and old ones not even a Host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from birdbath.errors import RequestFault
from birdbath.http.asgi import Headers, Scope, header

SOAP_TYPES: Final = frozenset({b"text/xml", b"application/soap+xml", b"application/xml"})
ANY: Final = "*"

_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_REMEMBERED: Final = 256


class Refused(RequestFault):
    """A request that HTTP has a status for; the text is told to the client."""

    def __init__(self, text: str, status: int, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or []


class Browsers:
    """The checks, with the names and the origins that are let through.

    `hosts` are the names by which this server may be called, besides every IP address and localhost; "*" lets
    every name through. `origins` are the sites whose pages may call it, such as https://portal.example.org,
    besides its own.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._hosts = frozenset(name.lower().rstrip(".") for name in hosts) | {"localhost"}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._known: set[bytes] = set()

    def check_host(self, scope: Scope) -> None:
        """Raise Refused (421) for a request to a name that is not this server's."""
        host = header(scope, b"host")
        if not host or host in self._known:
            return
        if not self._is_own(host.decode("latin-1")):
            raise Refused("That Host is not this server's; the setting allowed_hosts adds names", 421)
        if len(self._known) < _REMEMBERED:
            self._known.add(host)

    def _is_own(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        if ANY in self._hosts:
            return True
        name = (match["name"] or "").lower().rstrip(".")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(match["ipv6"] or name)
        except ValueError:
            return False
        return True

    def sharing(self, scope: Scope) -> Headers:
        """The headers that let a page of an allowed origin read the reply; none for any other."""
        origin = header(scope, b"origin")
        if origin.decode("latin-1").lower() not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"last-event-id, missed-events"),
            (b"vary", b"origin"),
        ]

    def check_origin(self, scope: Scope) -> bool:
        """Raise Refused (403) for a request that a page of another site made; whether a page made it at
        all.
        """
        origin = header(scope, b"origin").decode("latin-1").lower()
        if origin:
            own = f"{scope.get('scheme', 'http')}://{header(scope, b'host').decode('latin-1').lower()}"
            if origin != own and origin not in self._origins:
                raise Refused("Pages of other sites may not call this server; see allowed_origins", 403)
            return True
        site = header(scope, b"sec-fetch-site")
        if site in (b"cross-site", b"same-site"):
            raise Refused("Pages of other sites may not call this server; see allowed_origins", 403)
        return bool(site)


def check_soap_type(scope: Scope, by_page: bool) -> None:
    """Raise Refused (415) unless the Content-Type is one of SOAP; programs may leave it out."""
    value = header(scope, b"content-type")
    if not value and not by_page:
        return
    if value.partition(b";")[0].strip().lower() not in SOAP_TYPES:
        raise Refused(
            "A call that changes something has to be sent with the Content-Type text/xml"
            " (or application/soap+xml)",
            415,
        )
