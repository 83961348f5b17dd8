"""Idempotency-Key: a request that is sent again is answered again, and done once.

A client that lost the answer of a commit sends the same request with the same key, and gets the same bytes
back. Keys are each account's own and live for a day.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from birdbath.http.asgi import Scope, header
from birdbath.http.browsers import Refused
from birdbath.soap import Reply
from birdbath.store import UnitOfWork, kept_replies
from birdbath.store.kept_replies import KeptReply

T = TypeVar("T")

HEADER: Final = b"idempotency-key"
MAX_KEY: Final = 255
MAX_KEPT: Final = 1 << 20
"""Bytes of a reply that is kept; a longer one, of a reading call, is made anew."""
MAX_KEPT_OF_ONE: Final = 64 << 20
MAX_KEPT_OF_ALL: Final = 1 << 30
"""Bytes of replies to reading calls that are kept in a day; others are made anew."""
_DAY: Final = 86400.0


class Units(Protocol):
    """Runs units of work."""

    async def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work of its own, durable when this returns."""


def key_of(scope: Scope) -> str | None:
    """The request's key. Raises Refused for one that is none."""
    value = header(scope, HEADER)
    if not value:
        return None
    if len(value) > MAX_KEY or not value.isascii() or not value.decode("ascii").isprintable():
        raise Refused(f"An Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters", 400)
    return value.decode("ascii")


class Once:
    """One request with a key: finds its kept reply, or keeps the one that comes."""

    def __init__(self, account: str | None, key: str, body: bytes) -> None:
        self.account = account or ""
        self.key = key
        self.replayed = False
        self._digest = hashlib.sha256(body).hexdigest()

    def find(self, unit: UnitOfWork) -> Reply | None:
        """The kept reply. Raises Refused (422) when the key came with another request before."""
        found = kept_replies.find(unit, self.account, self.key)
        if found is None:
            return None
        if found.digest != self._digest:
            raise Refused("This Idempotency-Key came with another request before", 422)
        self.replayed = True
        return Reply(found.status, found.content_type, [found.body.encode()])

    def keep(self, unit: UnitOfWork, reply: Reply) -> None:
        """Keep a reply that is not too long."""
        if reply.length <= MAX_KEPT:
            body = b"".join(reply.chunks).decode()
            kept = KeptReply(self._digest, reply.status, reply.content_type, body)
            kept_replies.keep(unit, self.account, self.key, kept)


class Keys:
    """The keys whose requests are being answered now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._running: set[tuple[str, str]] = set()
        self._clock = clock
        self._kept: Counter[str] = Counter()
        self._tomorrow = 0.0

    def may_keep(self, once: Once, size: int) -> bool:
        """Whether there is room for a reply of `size` bytes to a reading call, which is counted as kept."""
        if self._clock() >= self._tomorrow:
            self._tomorrow = self._clock() + _DAY
            self._kept.clear()
        if size + self._kept[once.account] > MAX_KEPT_OF_ONE or size + self._kept.total() > MAX_KEPT_OF_ALL:
            return False
        self._kept[once.account] += size
        return True

    async def run(self, once: Once, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Await `work`. Raises Refused (409) while a request with the same key is still being answered."""
        name = (once.account, once.key)
        if name in self._running:
            raise Refused(
                "A request with this Idempotency-Key is still being answered", 409, [(b"retry-after", b"1")]
            )
        self._running.add(name)
        try:
            return await work()
        finally:
            self._running.discard(name)
