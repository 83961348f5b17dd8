"""Listings in pages: the service `urn:birdbath:queries`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from birdbath.client.adstream import AdStream
from birdbath.client.values import Ad
from birdbath.client.wire import Daemon

PAGE: Final = 500


class Queries(Daemon):
    """The listings of a pool at `url`, page by page; arguments and errors as for `Schedd`."""

    _service = "birdbathQueries"

    def history(self, constraint: str | None = None, limit: int | None = None) -> Iterator[Ad]:
        """The ads of jobs that have left the queue and for which `constraint` is true, the last that left
        first; at most `limit` of them. They are asked for as they are read.
        """
        after, left = None, limit
        while left is None or left > 0:
            most = PAGE if left is None else min(left, PAGE)
            read = 0
            for ad in AdStream(
                self._endpoint.stream("queryHistory", constraint=constraint, after=after, max=most), self.url
            ):
                yield ad
                read, after = read + 1, f"{ad.integer('ClusterId')}.{ad.integer('ProcId')}"
            if not read:
                return
            left = None if left is None else left - read
