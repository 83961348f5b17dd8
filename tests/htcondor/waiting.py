"""Waiting for a real pool, which takes the time that it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LIMIT = 150.0
_never = threading.Event()


def until(seen: Callable[[], bool], within: float = LIMIT) -> None:
    """Look again and again: no daemon of the pool tells when it has got somewhere."""
    end = time.monotonic() + within
    while not seen():
        if time.monotonic() > end:
            raise TimeoutError("the pool did not get there")
        pause()


def pause() -> None:
    """Give the pool a moment before the next look at it."""
    _never.wait(0.1)
