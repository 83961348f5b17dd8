"""Long answers of the pool in portions: what a client is sent is never all in memory at once.

The bindings hand over a whole answer at a time. So a long one is asked for in portions, by ids or by names,
each only shortly before the client is sent it; no worker waits for a slow client.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from birdbath.classads.elements import Written
from birdbath.pool.base import JobId
from birdbath.pool.htcondor.futures import then
from birdbath.pool.htcondor.reading import MARK

FIRST = 250
"""Jobs that are asked for at once: there may be no more."""
PORTION = 1000
NAMED = 2000
"""Ads of the collector in a portion: it looks at all that it has for each, where a schedd looks up ids."""
AHEAD = 2
"""Portions that are asked for before the client wants them."""

_MARKED = re.compile(rb"%s([0-9]+)(?:\.([0-9]+))?%s" % (MARK.encode(), MARK.encode()))

Listed = tuple[int, bytes]
Ask = Callable[[str], Future[Listed]]


class Portions:
    """Answers in portions. `own_job` tells the id that clients know of a schedd's job, if any."""

    def __init__(self, own_job: Callable[[JobId], JobId | None]) -> None:
        self._own_job = own_job

    def whole(self, listed: Listed) -> Written:
        """An answer that is short enough."""
        shown = self._translated(listed[1])
        return Written(shown, iter(()), len(shown))

    def in_parts(self, ask: Ask, wanted: Sequence[str], count: int) -> Any:
        """Steps to an answer of `count` ads, each constraint of `wanted` selecting some of them."""
        first = yield ask(wanted[0])
        shown = self._translated(first[1])
        size = len(shown) // max(1, first[0]) * count
        return Written(shown, self._later(ask, wanted[1:]), size)

    def _later(self, ask: Ask, wanted: Iterable[str]) -> Iterator[Future[bytes]]:
        asked: deque[Future[bytes]] = deque()
        for constraint in wanted:
            asked.append(then(ask(constraint), lambda listed: self._translated(listed[1])))
            if len(asked) >= AHEAD:
                yield asked.popleft()
        yield from asked

    def _translated(self, items: bytes) -> bytes:
        """The elements, with the ids of others in them as clients know them."""
        if MARK.encode() not in items:
            return items
        known: dict[bytes, bytes] = {}

        def told(found: re.Match[bytes]) -> bytes:
            name = found[0]
            if name not in known:
                own = self._own_job(JobId(int(found[1]), int(found[2] or b"0")))
                shown = name.strip(MARK.encode()) if own is None else str(own).encode()
                known[name] = shown if found[2] else shown.partition(b".")[0]
            return known[name]

        return _MARKED.sub(told, items)


def by_ids(ids: Sequence[tuple[int, int]], size: int = PORTION) -> list[str]:
    """Constraints that select the jobs with these ids in the schedd, in order, so many each."""
    ids = sorted(ids)
    return [_between(part[0], part[-1]) for part in _cut(ids, size)]


def by_names(names: Sequence[str | None], size: int = NAMED) -> list[str] | None:
    """Constraints that select the ads of these names, about so many each; None when names have characters
    that an order by ClassAd's rules cannot be relied on for.
    """
    known = sorted({name.lower() for name in names if name is not None})
    if any('"' in name or "\\" in name or not name.isascii() for name in known):
        return None
    found = [f'Name >= "{part[0]}" && Name <= "{part[-1]}"' for part in _cut(known, size)]
    return [*found, "Name =?= undefined"] if None in names else found


def _cut(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _between(first: tuple[int, int], last: tuple[int, int]) -> str:
    if first[0] == last[0]:
        return f"ClusterId == {first[0]} && ProcId >= {first[1]} && ProcId <= {last[1]}"
    return (
        f"ClusterId >= {first[0]} && ClusterId <= {last[0]}"
        f" && (ClusterId != {first[0]} || ProcId >= {first[1]})"
        f" && (ClusterId != {last[0]} || ProcId <= {last[1]})"
    )


def joined(parts: Sequence[Written]) -> Written:
    """One answer of several."""
    first = b"".join(part.first for part in parts[:1])
    return Written(first, _after(parts), sum(part.size for part in parts))


def _after(parts: Sequence[Written]) -> Iterator[Future[bytes]]:
    for number, part in enumerate(parts):
        if number:
            ready: Future[bytes] = Future()
            ready.set_result(part.first)
            yield ready
        yield from part.later
