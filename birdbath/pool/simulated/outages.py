"""Outages: when which machine is dead, and when the negotiator stands still. A pure function of the
description, its seed and the pool's birth.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf

from birdbath.pool.simulated.description import Duration, FaultDescription, PoolDescription
from birdbath.pool.simulated.machines import Machine

_NEGOTIATOR = -1


def draw(duration: Duration, chance: random.Random) -> float:
    """A duration from its distribution, in seconds, never below 0."""
    mean, spread = duration.mean, duration.spread
    if duration.distribution == "exponential":
        return chance.expovariate(1 / mean) if mean > 0 else 0.0
    if duration.distribution == "uniform":
        return max(0.0, chance.uniform(mean - spread, mean + spread))
    if duration.distribution == "normal":
        return max(0.0, chance.gauss(mean, spread))
    if duration.distribution == "lognormal":
        return _lognormal(mean, spread, chance)
    return max(0.0, mean)


def _lognormal(mean: float, spread: float, chance: random.Random) -> float:
    import math

    if mean <= 0:
        return 0.0
    variance = math.log(1 + (spread / mean) ** 2)
    return chance.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))


@dataclass(frozen=True, order=True)
class Outage:
    """From `begins` to `ends` (pool time) the machine of that number (-1: the negotiator) does nothing."""

    begins: float
    ends: float
    machine: int


class Outages:
    """The outages of one pool, in time; asked about times that do not go back."""

    def __init__(self, description: PoolDescription, machines: Sequence[Machine], born: float) -> None:
        pending = [
            _outages(description.seed, number, fault, machine, born)
            for number, fault in enumerate(description.faults)
            for machine in _struck(fault, machines)
        ]
        self._coming = heapq.merge(*pending)
        self._next = next(self._coming, None)
        self._running: list[Outage] = []

    def next_change(self, after: float) -> float:
        """When after `after` an outage begins or ends next; infinity for never."""
        self._come_to(after)
        ends = [outage.ends for outage in self._running if outage.ends > after]
        return min([*ends, inf if self._next is None else self._next.begins])

    def begun(self, at: float) -> list[int]:
        """The machines that die at that very time."""
        self._come_to(at)
        return sorted({o.machine for o in self._running if o.begins == at and o.machine != _NEGOTIATOR})

    def dead(self, now: float) -> frozenset[int]:
        """The numbers of the machines that are dead."""
        self._come_to(now)
        return frozenset(o.machine for o in self._running if o.begins <= now < o.ends)

    def negotiator_stands(self, now: float) -> bool:
        """Whether no negotiation takes place."""
        self._come_to(now)
        return any(o.machine == _NEGOTIATOR and o.begins <= now < o.ends for o in self._running)

    def _come_to(self, now: float) -> None:
        while self._next is not None and self._next.begins <= now:
            self._running.append(self._next)
            self._next = next(self._coming, None)
        if len(self._running) > 32:
            self._running = [outage for outage in self._running if outage.ends > now - 1.0]


def _struck(fault: FaultDescription, machines: Sequence[Machine]) -> list[int]:
    if fault.kind == "negotiator stops":
        return [_NEGOTIATOR]
    if fault.kind != "machine dies":
        return []
    return [machine.number for machine in machines if fnmatchcase(machine.name, fault.machine)]


def _outages(seed: int, number: int, fault: FaultDescription, machine: int, born: float) -> Iterator[Outage]:
    chance = random.Random(f"{seed}/outage/{number}/{machine}")
    if fault.at is not None:
        yield Outage(born + fault.at, born + fault.at + fault.duration, machine)
    begins = born
    while fault.every is not None:
        begins += max(1.0, draw(fault.every, chance))
        yield Outage(begins, begins + fault.duration, machine)
        begins += fault.duration
