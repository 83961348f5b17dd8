"""What a server that has as many requests as it can take says to the next one: at once, without reading it.

Who is refused comes again soon, so that under twice the load there may be as many refusals as answers: were
a refusal a call like others, it would take from those that are answered.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from birdbath.http.audit import LINE_EVERY, Audit
from birdbath.http.bounds import FULL, Traffic
from birdbath.http.metrics import Metrics
from birdbath.soap import new_reference, refusal

_HEAD: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: %s\r\ncontent-length: %d\r\nretry-after: 1\r\n"
    b"birdbath-reference: %s\r\n%s\r\n%s"
)
_CLOSE: Final = b"connection: close\r\n"


class Overload:
    """The 503 of a server whose `traffic` is full. For one event loop.

    The trail has a line for the first refusal of a second; all of that second carry the reference of that
    line, which tells how many there were before. The figures count each.
    """

    def __init__(self, traffic: Traffic, audit: Audit, metrics: Metrics) -> None:
        self._traffic = traffic
        self._audit = audit
        self._metrics = metrics
        self._let_in = 0
        self._until = float("-inf")
        self._made = b"", b""

    @property
    def is_full(self) -> bool:
        """Whether the next request is to be refused."""
        return self._traffic.has_no_room(self._let_in)

    def let_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """A request was let in just now, and its task was made, which counts it when it begins.

        Until then it is counted here: many requests may come at a time.
        """
        self._let_in += 1
        loop.call_soon(self._counted)

    def _counted(self) -> None:
        self._let_in -= 1

    def answer(self, address: str, keep: bool) -> bytes:
        """The whole response to a request from `address`, which is counted as refused; with `keep` the
        connection serves another.
        """
        now = time.monotonic()
        if now >= self._until:
            self._until = now + LINE_EVERY
            self._made = self._new(address)
        self._traffic.refused += 1
        self._metrics.request("", "503", 0.0)
        return self._made[keep]

    def _new(self, address: str) -> tuple[bytes, bytes]:
        """The response, without and with keeping the connection."""
        reference = new_reference()
        self._audit.refused(address, 503, reference, self._traffic.refused)
        reply = refusal(f"{FULL} (reference {reference})", 503)
        content_type, mark, body = reply.content_type.encode(), reference.encode(), b"".join(reply.chunks)
        made = [_HEAD % (content_type, len(body), mark, end, body) for end in (_CLOSE, b"")]
        return made[0], made[1]
