"""The pool's clock: the only place, besides `store`, that knows what time it is.

The contract between clock and engine. Everything that happens in a simulated pool is due at an instant of
pool time, and happens at exactly that instant, however late the machine gets round to it. Before the engine
does what is due at an instant it asks the clock to `reach` it; afterwards it tells the clock what it can
`expect` next. A virtual clock never shows a time beyond an instant that the engine has still to work off, so
whoever calls at time t finds everything done that was due before t. Hence: with the same seed, the same
calls at the same pool times give the same events, at any speed, and across restarts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any, Protocol

LATEST = 4_102_444_800.0
"""The year 2100: no virtual clock goes further, so that a policy that never comes true ends some time."""

KEPT_AHEAD = 10.0
"""For so many real seconds a clock may go on before its time is kept again."""
_RENEWED = 0.75
"""Of them so much has to be left, or it is kept anew."""


class Clock(Protocol):
    """Where the pool has its time from; in seconds since the epoch."""

    def time(self) -> float:
        """The pool's time now; never goes backwards by the clock's own doing."""

    def delay(self, until: float) -> float:
        """How many real seconds to wait before the pool's time may have come to `until`; at least 0."""

    def reach(self, until: float) -> bool:
        """Whether the pool's time has come to `until`; a clock that jumps goes there now, if it may."""

    def expect(self, due: float | None) -> None:
        """The engine has done all that was reached, and `due` (None: nothing) comes next."""

    def expect_earlier(self, due: float) -> None:
        """Something is due at `due`, perhaps before what was expected next."""


class ManualClock:
    """A clock that stands still until it is stepped: for tests, and for pools that a script drives."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def time(self) -> float:
        return self._now

    def delay(self, until: float) -> float:
        return 0.0 if until <= self._now else inf

    def reach(self, until: float) -> bool:
        return until <= self._now

    def expect(self, due: float | None) -> None:
        pass

    def expect_earlier(self, due: float) -> None:
        pass

    def step(self, seconds: float) -> float:
        """Let `seconds` of pool time pass; the new time."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
        return self._now


@dataclass(frozen=True)
class ClockState:
    """How a virtual clock stands: all of it that a restart must not lose.

    `speed`: pool seconds per real second, infinite for one that jumps from event to event; `limit`: the pool
    time at which it pauses by itself.
    """

    time: float
    speed: float = 1.0
    paused: bool = False
    limit: float = LATEST


class VirtualClock:
    """A clock that runs at any speed, jumps from event to event, pauses, and goes on step by step.

    At a finite speed it runs by itself, from `state.time` on. At infinite speed it stands still while nothing
    is due, and jumps as the engine asks it to. Thread-safe.

    `keeps` says of a state in which it runs by itself whether a restart begins with the time that was kept
    last: it shows no time beyond that then, see `to_keep`. Without it nothing has to be kept.
    """

    def __init__(
        self,
        state: ClockState,
        wall: Callable[[], float] = time.time,
        keeps: Callable[[ClockState], bool] | None = None,
    ) -> None:
        self._wall = wall
        self._keeps = keeps
        self._settings = 0
        self._lock = threading.RLock()
        self._changed: Callable[[], None] = lambda: None
        self._expected = inf
        self._steps = 0
        self._set(state)

    def _set(self, state: ClockState) -> None:
        if not (state.speed > 0 and isfinite(state.time)):
            raise ValueError("a clock's speed is above 0, and its time a number")
        self._anchor, self._wall_anchor = state.time, self._wall()
        self._speed, self._paused, self._limit = state.speed, state.paused, min(state.limit, LATEST)
        self._kept = inf if self._keeps is None else self._anchor
        self._settings += 1

    def to_keep(self) -> tuple[ClockState, Callable[[], None]] | None:
        """What is to be kept now for a restart after a kill, which must not show an earlier time than was
        told, and what to call when it is durable; None when nothing is.
        """
        with self._lock:
            state = self.state
            if self._paused or self._speed == inf or self._keeps is None or not self._keeps(state):
                self._kept = inf
                return None
            ahead = KEPT_AHEAD * self._speed
            if self._kept >= min(state.time + _RENEWED * ahead, self._limit):
                return None
            until, settings = min(state.time + ahead, self._limit), self._settings

        def is_kept() -> None:
            with self._lock:
                if settings == self._settings:
                    self._kept = until

        return replace(state, time=until), is_kept

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback`, in the thread that did it, whenever somebody sets this clock."""
        self._changed = callback

    @property
    def state(self) -> ClockState:
        """How it stands now."""
        with self._lock:
            return ClockState(self.time(), self._speed, self._paused, self._limit)

    def change(
        self, speed: float | None = None, paused: bool | None = None, limit: float | None = None
    ) -> ClockState:
        """Change how it goes on from now (None: leave that as it is), and how it stands then.

        Raises ValueError for a speed that is none.
        """
        with self._lock:
            given: dict[str, Any] = {"speed": speed, "paused": paused, "limit": limit}
            state = replace(self.state, **{name: value for name, value in given.items() if value is not None})
            self._set(state)
            self._steps = 0
        self._changed()
        return state

    def step(self) -> None:
        """Of a paused clock: let everything happen that is due at the next instant at which anything is."""
        with self._lock:
            self._steps += 1
        self._changed()

    @property
    def stands(self) -> bool:
        """Whether it is paused, and no step is still to be taken."""
        with self._lock:
            return self._paused and not self._steps and self._expected > self._anchor

    def time(self) -> float:
        with self._lock:
            return max(self._anchor, min(self._running(), self._expected))

    def _running(self) -> float:
        """What a clock that runs would show if nothing had to be worked off first."""
        if self._paused or self._speed == inf:
            return self._anchor
        passed = max(0.0, self._wall() - self._wall_anchor)
        return max(self._anchor, min(self._anchor + passed * self._speed, self._limit, self._kept))

    def delay(self, until: float) -> float:
        with self._lock:
            if until <= self._anchor or (self._paused and self._steps):
                return 0.0
            if self._paused or until > self._limit:
                return self._until_limit()
            return 0.0 if self._speed == inf else max(0.0, (until - self._running()) / self._speed)

    def _until_limit(self) -> float:
        """Real seconds until a running clock pauses at its limit; infinite when it stands."""
        if self._paused or self._limit >= LATEST:
            return inf
        return 0.0 if self._speed == inf else max(0.0, (self._limit - self._running()) / self._speed)

    def reach(self, until: float) -> bool:
        with self._lock:
            if until <= self._anchor:
                return True
            if self._paused:
                return self._take_step(until)
            if until > self._limit or (self._speed < inf and until > self._running()):
                return False
            if self._speed == inf:
                self._anchor = until
            return True

    def _take_step(self, until: float) -> bool:
        if self._steps and until <= LATEST:
            self._steps -= 1
            self._anchor = until
            return True
        return False

    def expect(self, due: float | None) -> None:
        with self._lock:
            # The time so far stays reached, even if what comes next was due before it.
            now, self._expected = self.time(), inf if due is None else due
            self._anchor, self._wall_anchor = now, self._wall_anchor + self._real_seconds(now)
            nothing_left = due is None or due > self._limit
            if due is None:
                self._steps = 0
            if not self._paused and self._limit < LATEST and nothing_left:
                self._pause_at_limit()

    def expect_earlier(self, due: float) -> None:
        with self._lock:
            self._expected = min(self._expected, due)

    def _real_seconds(self, now: float) -> float:
        """How much of the wall's time has been turned into pool time by `now`."""
        return 0.0 if self._speed == inf or self._paused else (now - self._anchor) / self._speed

    def _pause_at_limit(self) -> None:
        if self._speed == inf or self._running() >= self._limit:
            self._anchor, self._paused, self._limit = self._limit, True, LATEST
