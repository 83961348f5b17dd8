"""Verdicts: whether a job and a slot match, both ways, and how much each likes the other.

`classad2` decides. A verdict holds for all jobs of an autocluster and all slots of a kind with as much left,
unless an expression of either tells single slots apart; and until the next moment, if one tells the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from birdbath.classads import Ad, CompiledAd, Costs, are_affordable, is_true, matches, python_value
from birdbath.classads.expressions import EVALUATION_ERRORS
from birdbath.pool.simulated.evaluation import TIMELY, closure, compiled_at, words
from birdbath.pool.simulated.machines import Resources, Slot

_PARTICULAR = frozenset({"name", "machine", "slotid", "myaddress", "startdipaddr", "dslotid"})
_PARTICULAR |= {"utsnamenodename", "filesystemdomain", "clientmachine", "addressv1"}
_CLOCK = frozenset({"clockmin", "clockday"})
_MACHINE_SIDE = ("requirements", "rank", "start")
_MOST_KEPT = 200_000
_QUANTA = Resources(1, 128, 1024, 1)
"""MODIFY_REQUEST_EXPR_*: a dynamic slot's share is rounded up to multiples of these."""


class Verdict(NamedTuple):
    """A match: what the slot's Rank of the job and the job's of the slot are, and what the job asks for."""

    slot_rank: float
    job_rank: float
    request: Resources


@dataclass
class Suitor:
    """A job as matchmaking sees it."""

    cluster: str
    ad: CompiledAd
    costs: Costs
    particular: bool
    timely: bool
    affordable: dict[int, bool] = field(default_factory=dict)

    def affords(self, kind: int, costs: Costs) -> bool:
        """Whether matching with slots of a kind takes reasonable time; with others there is no match."""
        if kind not in self.affordable:
            self.affordable[kind] = are_affordable(self.costs, costs)
        return self.affordable[kind]


class Verdicts:
    """Judges, and remembers; what it remembers may be lost at any time."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._slots = {slot.kind: slot for slot in slots}
        self._mentioned = {kind: _mentions(slot.ad) for kind, slot in self._slots.items()}
        self._costs = {kind: slot.ad.costs() for kind, slot in self._slots.items()}
        self._parsed: dict[int, CompiledAd] = {}
        self._kept: dict[tuple[str, object, Resources], Verdict | None] = {}
        self._passing: dict[tuple[str, object, Resources], Verdict | None] = {}
        self._now: int | None = None
        self.evaluations = 0

    def begin(self, now: float) -> None:
        """From here on it is `now`."""
        if int(now) != self._now:
            self._now = int(now)
            self._parsed.clear()
            self._passing.clear()
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()

    @property
    def timely(self) -> bool:
        """Whether a policy of some slot tells the time."""
        return any(not (TIMELY | _CLOCK).isdisjoint(mentioned) for mentioned in self._mentioned.values())

    def suitor(self, cluster: str, attributes: list[tuple[str, str, str]], now: float) -> Suitor:
        """The first job of an autocluster, from its significant attributes."""
        mentioned: set[str] = set()
        for _, kind, text in attributes:
            if kind == "x":
                mentioned |= words(text)
        timely = not (TIMELY | _CLOCK).isdisjoint(mentioned)
        costs = Costs(attributes)
        return Suitor(
            cluster, compiled_at(attributes, now), costs, not _PARTICULAR.isdisjoint(mentioned), timely
        )

    def judge(self, suitor: Suitor, slot: Slot, left: Resources) -> Verdict | None:
        """The verdict about a job and a slot of which `left` is left; None when they do not match."""
        mentioned = self._mentioned[slot.kind]
        particular = suitor.particular or not _PARTICULAR.isdisjoint(mentioned)
        timely = suitor.timely or not (TIMELY | _CLOCK).isdisjoint(mentioned)
        kept = self._passing if timely else self._kept
        key = (suitor.cluster, slot.name if particular else slot.kind, left)
        if key not in kept:
            self.evaluations += 1
            affords = suitor.affords(slot.kind, self._costs[slot.kind])
            kept[key] = decide(suitor.ad, self._slot_ad(slot, left, particular)) if affords else None
        return kept[key]

    def is_particular(self, suitor: Suitor, kind: int) -> bool:
        """Whether slots of a kind have to be judged one by one."""
        return suitor.particular or not _PARTICULAR.isdisjoint(self._mentioned[kind])

    def wants(self, name: str, policy: str, slot: Slot, job: Ad, now: float) -> bool:
        """Whether the machine's policy of that name and text is true for a job that runs there."""
        parsed = self._slot_ad(slot, slot.resources, particular=True)
        mentioned = words(policy)
        target = compiled_at(job, now) if "target" in mentioned else None
        try:
            expression = parsed.lookup(name)
            return is_true(expression.eval(parsed, target) if target is not None else expression.eval(parsed))
        except (KeyError, *EVALUATION_ERRORS):
            return False

    def _slot_ad(self, slot: Slot, left: Resources, particular: bool) -> CompiledAd:
        parsed = self._parsed.get(slot.kind)
        now = self._now or 0
        if parsed is None:
            clock = time.gmtime(now)
            ad = Ad(self._slots[slot.kind].ad)
            ad.update({"ClockDay": (clock.tm_wday + 1) % 7, "ClockMin": clock.tm_hour * 60 + clock.tm_min})
            parsed = self._parsed[slot.kind] = compiled_at(ad, now)
        parsed["Cpus"], parsed["Memory"], parsed["Disk"] = left.cpus, left.memory, left.disk
        if slot.resources.gpus:
            parsed["GPUs"] = left.gpus
        if particular:
            parsed["Name"], parsed["Machine"] = slot.name, slot.place.machine
            parsed["SlotID"] = slot.place.slot_id
            parsed["MyAddress"] = parsed["StartdIpAddr"] = slot.place.address
        return parsed


def decide(job: CompiledAd, slot: CompiledAd) -> Verdict | None:
    """Match a parsed job with a parsed slot: None exactly when `classad2`'s symmetric match says no.

    Undefined, erroneous and missing Requirements match nothing.
    """
    if not matches(job, slot):
        return None
    cpus, memory = _number(job, slot, "RequestCpus", 1), _number(job, slot, "RequestMemory", 1)
    disk, gpus = _number(job, slot, "RequestDisk", 1), _number(job, slot, "RequestGPUs", 0)
    asked = zip((cpus, memory, disk, gpus), _QUANTA, strict=True)
    request = Resources(*(quantum * max(0, math.ceil(number / quantum)) for number, quantum in asked))
    return Verdict(_number(slot, job, "Rank", 0), _number(job, slot, "Rank", 0), request)


def _number(scope: CompiledAd, target: CompiledAd, name: str, default: float) -> float:
    if name not in scope:
        return default
    try:
        value = python_value(scope.lookup(name).eval(scope, target))
    except EVALUATION_ERRORS:
        return default
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else default


def _mentions(ad: Ad) -> frozenset[str]:
    found: set[str] = set()
    for _, kind, text in closure(ad, _MACHINE_SIDE):
        if kind == "x":
            found |= words(text)
    return frozenset(found)
