"""The pool's clock: the only place, besides `store`, that knows what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the pool has its time from; in seconds since the epoch."""

    def time(self) -> float:
        """The pool's time now; never goes backwards by the clock's own doing."""

    def delay(self, until: float) -> float:
        """How many real seconds to wait before the pool's time may have come to `until`; at least 0."""


class RealClock:
    """The wall's time is the pool's time."""

    def time(self) -> float:
        return time.time()

    def delay(self, until: float) -> float:
        return max(0.0, until - time.time())


class ManualClock:
    """A clock that stands still until it is stepped: for tests, and for pools that a script drives."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def time(self) -> float:
        return self._now

    def delay(self, until: float) -> float:
        return 0.0 if until <= self._now else float("inf")

    def step(self, seconds: float) -> float:
        """Let `seconds` of pool time pass; the new time."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
        return self._now
