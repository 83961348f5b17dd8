"""Pauses between attempts: growing, capped, and never the same for everybody."""

from __future__ import annotations

import asyncio
import logging
import random

FIRST = 0.2
LONGEST = 30.0


class Pauses:
    """Each pause is about twice the one before, from `first` to `longest` seconds, a random part of it less.

    The randomness keeps many clients of one broker from coming back in the same moment.
    """

    def __init__(self, first: float = FIRST, longest: float = LONGEST) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """The length of the next pause in seconds."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause * (1 - random.random() / 2)

    async def after(self, where: str, error: Exception, log: logging.Logger) -> None:
        """Log what failed where, and wait for the next pause, whose length is told."""
        pause = self.next()
        log.warning("%s: %s; again in %.1f s", where, str(error) or type(error).__name__, pause)
        await asyncio.sleep(pause)

    def reset(self) -> None:
        """It worked: the next pause is a short one again."""
        self._next = self._first
