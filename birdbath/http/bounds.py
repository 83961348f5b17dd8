"""How much of the server one client, and all together, may have at a time.

What is above is refused at once, before anything is read or parsed: an overloaded server answers as many
calls as it can, and says to the others when to come again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from birdbath.http.browsers import Refused

_MOST_CLIENTS: Final = 10_000
_AGAIN: Final = "; come again soon"
_FULL: Final = "The server has as many requests as it can take"
FULL: Final = _FULL + _AGAIN


@dataclass(frozen=True)
class TrafficLimits:
    """Bounds of requests in progress, 0 for none.

    requests, requests_per_client: at a time. body_bytes, body_bytes_per_client: of all bodies being received
    or answered, together.
    requests_per_second: of one client, over a few seconds; short bursts of twice as many pass.
    """

    requests: int = 0
    requests_per_client: int = 0
    body_bytes: int = 0
    requests_per_second: float = 0.0
    body_bytes_per_client: int = 0


@dataclass
class _Bucket:
    """What a client may still send; refilled as time goes by."""

    tokens: float
    at: float


@dataclass
class Traffic:
    """Counts what is in progress. For one event loop."""

    limits: TrafficLimits = TrafficLimits()
    clock: Callable[[], float] = time.monotonic
    requests: int = 0
    body_bytes: int = 0
    refused: int = 0
    _by_client: dict[str, int] = field(default_factory=dict)
    _bytes_by_client: dict[str, int] = field(default_factory=dict)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def has_no_room(self, coming: int = 0) -> bool:
        """Whether there are as many requests at a time as may be, whosever they are, or will be with so many
        that are about to enter.
        """
        return 0 < self.limits.requests <= self.requests + coming

    def enter(self, client: str) -> None:
        """Count a request of a client in. Raises Refused, 503 or 429, with nothing counted.

        `client` is its address. Whoever enters leaves.
        """
        limits, own = self.limits, self._by_client.get(client, 0)
        if self.has_no_room():
            raise self._busy(_FULL)
        if limits.requests_per_client and own >= limits.requests_per_client:
            raise self._busy(f"At most {limits.requests_per_client} requests of one client at a time")
        self.pace(client)
        self.requests += 1
        self._by_client[client] = own + 1

    def pace(self, client: str) -> None:
        """Count a request of a client against the requests of a second alone: one that holds no room, or is
        answered for as long as its client listens. Raises Refused (429).
        """
        rate = self.limits.requests_per_second
        if rate and not self._take(client, rate):
            self.refused += 1
            raise Refused(f"At most {rate:g} requests a second", 429, [(b"retry-after", b"1")])

    def leave(self, client: str) -> None:
        """The request is answered."""
        self.requests -= 1
        left = self._by_client[client] - 1
        if left:
            self._by_client[client] = left
        else:
            del self._by_client[client]

    @contextmanager
    def body(self, client: str, size: int) -> Iterator[None]:
        """Hold room for a body of `size` bytes, as declared. Raises Refused (503) when there is none."""
        limits, own = self.limits, self._bytes_by_client.get(client, 0) + size
        if limits.body_bytes and size and self.body_bytes + size > limits.body_bytes:
            raise self._busy("The server holds as many bytes of requests as it can")
        if limits.body_bytes_per_client and size and own > limits.body_bytes_per_client:
            raise self._busy(f"At most {limits.body_bytes_per_client} bytes of one client at a time")
        self.body_bytes += size
        self._bytes_by_client[client] = own
        try:
            yield
        finally:
            self.body_bytes -= size
            left = self._bytes_by_client.pop(client, 0) - size
            if left > 0:
                self._bytes_by_client[client] = left

    def _busy(self, text: str) -> Refused:
        self.refused += 1
        return Refused(text + _AGAIN, 503, [(b"retry-after", b"1")])

    def _take(self, client: str, rate: float) -> bool:
        now, most = self.clock(), 2 * rate
        bucket = self._buckets.get(client)
        if bucket is None:
            if len(self._buckets) >= _MOST_CLIENTS:
                self._buckets.clear()
            bucket = self._buckets[client] = _Bucket(most, now)
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
