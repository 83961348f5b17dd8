"""Where an AMQP 1.0 peer is, and which node of it is meant. No I/O."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from importlib.util import find_spec

import yarl

from birdbath.errors import BirdbathError

SCHEMES = ("amqp1", "amqps1")
HEARTBEAT = 60.0


class InvalidPeerUrl(BirdbathError):
    """The peer's address is none; the text says what is wrong, without the password in it."""


class ProtonMissing(BirdbathError):
    """The library for AMQP 1.0 is not installed."""

    def __init__(self) -> None:
        super().__init__("AMQP 1.0 needs Qpid Proton: install birdbath[amqp1]")


@dataclass(frozen=True)
class PeerAddress:
    """A peer as its URL says: `amqp1://user:password@host:5672?address=NODE`, `amqps1` for TLS.

    `node` is the address within the peer, empty for the usual one. `heartbeat` is in seconds. TLS takes
    `cafile`, `certfile` and `keyfile`.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    node: str = ""
    heartbeat: float = HEARTBEAT
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, url: str) -> PeerAddress:
        """The address. Raises InvalidPeerUrl, and ProtonMissing where nothing could be sent to it."""
        if find_spec("proton") is None:
            raise ProtonMissing
        try:
            parsed = yarl.URL(url)
            heartbeat = float(parsed.query.get("heartbeat", HEARTBEAT))
        except ValueError:
            raise InvalidPeerUrl("The peer's address is no URL, or its heartbeat no number") from None
        if parsed.scheme not in SCHEMES or not parsed.host or parsed.path not in ("", "/"):
            raise InvalidPeerUrl(
                "An AMQP 1.0 peer's address must be like amqp1://user:password@host:5672?address=NODE,"
                " or amqps1"
            )
        unknown = parsed.query.keys() - {"address", "heartbeat", "cafile", "certfile", "keyfile"}
        if unknown:
            raise InvalidPeerUrl(f"The peer's address has unknown parameters: {', '.join(sorted(unknown))}")
        tls = _tls(parsed) if parsed.scheme == "amqps1" else None
        port = parsed.explicit_port or (5671 if tls else 5672)
        node = parsed.query.get("address", "")
        return cls(parsed.host, port, parsed.user, parsed.password, node, heartbeat, tls)


def is_amqp10(url: str) -> bool:
    """Whether a URL is that of an AMQP 1.0 peer."""
    return url.partition(":")[0] in SCHEMES


def _tls(url: yarl.URL) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=url.query.get("cafile"))
        if certificate := url.query.get("certfile"):
            context.load_cert_chain(certificate, url.query.get("keyfile"))
    except (OSError, ssl.SSLError) as error:
        raise InvalidPeerUrl(f"A certificate of the peer's address cannot be read: {error}") from None
    return context
