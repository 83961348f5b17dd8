"""Figures: a measured value, what it is compared with, and the most (or least) that the comparison may come
to.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

ENOUGH = 45.0
"""Seconds after which a measurement is not repeated any more."""


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    `ratio` is what the target speaks of; by default value / reference. `at_most` or `at_least` is the
    target for it; without either the figure is only told.
    """

    group: str
    name: str
    value: float
    unit: str
    reference_name: str = ""
    reference: float | None = None
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.ratio is None or (self.at_most is None and self.at_least is None):
            return None
        return (self.at_most is None or self.ratio <= self.at_most) and (
            self.at_least is None or self.ratio >= self.at_least
        )

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "met": self.met}


def compared(
    group: str,
    name: str,
    value: float,
    unit: str,
    reference_name: str,
    reference: float,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """A figure whose ratio is value / reference."""
    return Figure(group, name, value, unit, reference_name, reference, value / reference, at_most, at_least)


def alternated(measures: Sequence[Callable[[], float]], times: int) -> list[float]:
    """The median of each, measured in turns: a machine that is slow for a while is slow for all of them."""
    started = time.monotonic()
    rounds: list[list[float]] = []
    while len(rounds) < times and (not rounds or time.monotonic() - started < ENOUGH):
        rounds.append([measure() for measure in measures])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]
