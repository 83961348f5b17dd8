"""Matchmaking: which idle job gets which free slot.

A cycle goes through the pools in their order, first with the jobs of their own schedds, then with those that
flock to them because their own pool had no room. In each pool whose turn it is say `shares`; a submitter's
jobs come by JobPrio, then in the order of submission. Both sides' Requirements must be true. Of the slots
the machine's Rank chooses first, then the job's, then the best fit: the fewest cores, the least memory. A
partitionable slot gives a part of itself. At last, where policies allow it, running jobs make room for
better ones.

However many jobs there are of one kind and slots of another, they cost one evaluation.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

from birdbath.classads import Ad
from birdbath.pool.base import JobId
from birdbath.pool.simulated.accountant import Accountant
from birdbath.pool.simulated.autoclusters import SUBMIT_MACHINE, Autoclusters, Lane
from birdbath.pool.simulated.description import PoolDescription
from birdbath.pool.simulated.floor import Floor
from birdbath.pool.simulated.lanes import BATCH, FEW, FIRST, JOB_AD, LANES_OF, SIGNATURES, Queue, limits_taken
from birdbath.pool.simulated.machines import Resources, Slot, parent_name
from birdbath.pool.simulated.outages import Outages
from birdbath.pool.simulated.preemption import Pair, Preemption, Running, yielding
from birdbath.pool.simulated.queued_job import Place
from birdbath.pool.simulated.shares import Shares, limits_of, limits_text
from birdbath.pool.simulated.supply import Supply
from birdbath.pool.simulated.verdicts import Suitor, Verdict, Verdicts
from birdbath.store.unit_of_work import UnitOfWork

Start = Callable[[JobId, Place, float], bool]
"""Starts a job at a place whose Rank of it is given; false when it does not start after all."""
Evict = Callable[[JobId, str], None]
"""Takes a running job off its slot, for that reason."""
MOST_SUITORS = 2000
"""So many autoclusters are remembered."""


@dataclass
class Statistics:
    """What the last cycle did."""

    time: float = 0.0
    matches: int = 0
    rejections: int = 0
    considered: int = 0


class Negotiator:
    """Matches in steps of bounded work. What it remembers between steps only saves evaluations; it may be
    lost.
    """

    def __init__(
        self,
        description: PoolDescription,
        autoclusters: Autoclusters,
        slots: Mapping[str, Slot],
        floor: Floor,
        accountant: Accountant,
    ) -> None:
        self._description = description
        self._autoclusters = autoclusters
        self._floor = floor
        self._accountant = accountant
        self.outages: Outages | None = None
        self._named, self._numbered = slots, list(slots.values())
        self._yielding = yielding(self._numbered, description.preemption_requirements)
        self._numbers: dict[int, list[int]] = {}
        for slot in self._numbered:
            self._numbers.setdefault(slot.machine.number, []).append(slot.number)
        self._suitors: dict[str, tuple[Suitor, dict[str, float]]] = {}
        self._totals = {
            pool: float(sum(slot.resources.cpus for slot in slots.values() if slot.machine.pool == pool))
            for pool in description.pools
        }
        schedds = {schedd.name: schedd for schedd in description.schedds}
        first = description.pools[0]
        self._routes = {name: (s.pool or first, *s.flock_to) for name, s in schedds.items()}
        self.verdicts = Verdicts(slots.values())
        self.statistics = Statistics()

    @property
    def weights(self) -> Counter[str]:
        """What each submitter uses now."""
        return Counter(self._floor.weights)

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools, in the order in which they are negotiated for."""
        return self._description.pools

    @property
    def evaluations(self) -> int:
        """How many times a job was matched against a slot so far."""
        return self.verdicts.evaluations

    def route(self, schedd: str) -> tuple[str, ...]:
        """The pools that a schedd's jobs may run in, its own first."""
        return self._routes.get(schedd, self._description.pools[:1])

    def match(self, unit: UnitOfWork, now: float, start: Start, evict: Evict, most_evaluations: int) -> bool:
        """Give free slots to idle jobs through `start`, and those of worse ones, once they are gone through
        `evict`. Returns whether there is more to do at once.
        """
        if now != self.statistics.time:
            self.statistics = Statistics(time=now)
        self.verdicts.begin(now)
        step = _Step(self, unit, now, start, evict, self.evaluations + most_evaluations)
        return step.run()

    def next_for(
        self, unit: UnitOfWork, queues: list[Queue], slot: Slot, left: Resources, now: float
    ) -> JobId | None:
        """Take the first idle job of a submitter's `queues` that may go on with a claim of his."""
        self.verdicts.begin(now)
        found = []
        for queue in queues:
            if slot.machine.pool in queue.route and self.suitor(unit, queue, now, FEW) and not queue.limits:
                assert queue.suitor is not None
                assert queue.waiting is not None
                verdict = self.verdicts.judge(queue.suitor, slot, left)
                if verdict is not None and _fits(slot, verdict, left):
                    found.append((queue.waiting[-1], queue.waiting))
        return JobId(*min(found)[1].pop()[1:]) if found else None

    def queues(self, unit: UnitOfWork, submitter: str = "") -> list[Queue]:
        """The lanes that have idle jobs, of one submitter or of all."""
        found = []
        bounds = {"low": f"{submitter}\t", "high": f"{submitter}\n"}
        for row in unit.execute(LANES_OF, bounds) if submitter else unit.execute(SIGNATURES):
            if row.signature != SUBMIT_MACHINE:
                lane = Lane.of(row.signature)
                found.append(Queue(row.signature, lane, row.precedence, self.route(lane.schedd)))
        return found

    def suitor(self, unit: UnitOfWork, queue: Queue, now: float, most: int = BATCH) -> bool:
        """Find the queue's first jobs, and what matchmaking looks at of the first as it is `now`; false when
        none is left.
        """
        if queue.suitor is not None and queue.suitor.timely and queue.judged_at != now:
            queue.suitor = None
        if queue.waiting is None:
            rows = unit.execute(FIRST, {"signature": queue.signature, "most": most})
            queue.waiting = [(row[0], row[1], row[2]) for row in reversed(rows)]
            queue.cut = len(rows) == most
        if queue.suitor is None and queue.waiting:
            known = self._suitors.get(queue.lane.cluster)
            if known is not None:
                queue.suitor, queue.limits = known
                return True
            row = unit.first(JOB_AD, {"cluster": queue.waiting[-1][1], "proc": queue.waiting[-1][2]})
            assert row is not None
            ad = Ad.from_json(row[0])
            queue.judged_at = now
            queue.limits = limits_of(limits_text(ad, now))
            queue.suitor = self.verdicts.suitor(queue.lane.cluster, self._autoclusters.significant(ad), now)
            if not queue.suitor.timely:
                self._remember(queue)
        return bool(queue.waiting)

    def _remember(self, queue: Queue) -> None:
        """Jobs of one autocluster are all the same to matchmaking."""
        assert queue.suitor is not None
        if len(self._suitors) >= MOST_SUITORS:
            self._suitors.clear()
        self._suitors[queue.lane.cluster] = queue.suitor, queue.limits

    def shares(
        self, unit: UnitOfWork, submitters: set[str], weights: Counter[str], total: float, now: float
    ) -> Shares:
        """The shares of those who take part in a pool of that weight."""
        priorities = self._accountant.priorities(unit, submitters, now)
        return Shares(total, self._description.groups, priorities, weights)

    def supply(self, pool: str, now: float) -> Supply:
        """What is free in a pool."""
        dead = frozenset[int]() if self.outages is None else self.outages.dead(now)
        unusable = [number for machine in dead for number in self._numbers.get(machine, ())]
        return Supply(self._numbered, self._floor, pool, unusable)

    @property
    def preempts(self) -> bool:
        """Whether any policy may take a running job off its slot for a better one."""
        return bool(self._yielding)

    @property
    def preemption_requirements(self) -> str:
        """PREEMPTION_REQUIREMENTS."""
        return self._description.preemption_requirements

    def running(self, pool: str, now: float) -> Running:
        """What is claimed in a pool, as the floor says, and may be taken away for a better job."""
        dead = frozenset[int]() if self.outages is None else self.outages.dead(now)
        claims = [claim for kind in self._yielding for claim in self._floor.kinds.get(kind, {}).values()]
        found = ((claim, self._named[parent_name(claim.slot)]) for claim in claims)
        return Running(
            pair for pair in found if pair[1].machine.pool == pool and pair[1].machine.number not in dead
        )

    def total(self, pool: str) -> float:
        """The weight of a pool's slots."""
        return self._totals[pool]

    def limit(self, name: str) -> float:
        """How much of a concurrency limit there is; what has no limit is unlimited."""
        known = self._description.concurrency_limits.items()
        limits = {name.lower(): float(value) for name, value in known}
        return limits.get(name, limits.get(name.partition(".")[0], inf))


class _Step:
    """One bounded step of a cycle."""

    def __init__(
        self,
        negotiator: Negotiator,
        unit: UnitOfWork,
        now: float,
        start: Start,
        evict: Evict,
        last_evaluation: int,
    ) -> None:
        self._negotiator = negotiator
        self._unit = unit
        self._now = now
        self._start = start
        self._evict = evict
        self._last_evaluation = last_evaluation
        self._queues = negotiator.queues(unit)
        # Of the whole step: what it starts is not on the floor before it is written.
        self._supplies: dict[str, Supply] = {}
        self._weights = negotiator.weights

    @cached_property
    def _limits(self) -> Counter[str]:
        """What is taken of the concurrency limits. Whatever takes of it has looked at it before."""
        return limits_taken(self._unit)

    def run(self) -> bool:
        """One step; whether there is more to do at once."""
        longest = max((len(queue.route) for queue in self._queues), default=0)
        for level in range(longest):
            for pool in self._negotiator.pools:
                there = [q for q in self._queues if q.waiting != [] and q.route[level : level + 1] == (pool,)]
                if there and not self._match_in(pool, there):
                    return True
        if any(queue.cut and queue.waiting == [] for queue in self._queues):
            return True
        for pool in self._negotiator.pools if self._negotiator.preempts else ():
            self._preempt(pool, [q for q in self._queues if q.waiting != [] and q.route[0] == pool])
        return False

    def _preempt(self, pool: str, queues: list[Queue]) -> None:
        """Let jobs that the machines or the policy like better take the place of running ones."""
        negotiator = self._negotiator
        running = negotiator.running(pool, self._now) if queues else Running(())
        if not running.submitters:
            return
        submitters = {queue.lane.submitter for queue in queues} | running.submitters
        shares = negotiator.shares(self._unit, submitters, self._weights, negotiator.total(pool), self._now)
        rules = Preemption(negotiator.preemption_requirements, shares.priorities, self._now)
        hopeless: set[str] = set()
        for queue in sorted(
            queues, key=lambda q: (shares.priorities[q.lane.submitter], q.precedence, q.signature)
        ):
            if queue.lane.cluster in hopeless:
                continue
            while negotiator.suitor(self._unit, queue, self._now) and self._within_limits(queue):
                found = rules.best(queue.suitor, queue.lane.submitter, running, negotiator.verdicts)
                if found is None and rules.by_rank_only:
                    hopeless.add(queue.lane.cluster)
                if found is None or not shares.may_take(queue.lane.submitter, found[1].request.cpus):
                    break
                self._replace(queue, *found, running)

    def _replace(self, queue: Queue, pair: Pair, verdict: Verdict, reason: str, running: Running) -> None:
        assert queue.waiting
        _, cluster, proc = queue.waiting.pop()
        running.remove(pair)
        claim, slot = pair
        self._evict(claim.job, reason)
        if self._start(JobId(cluster, proc), slot.part(claim.slot, claim.resources), verdict.slot_rank):
            self._take_limits(queue.limits)
            self._negotiator.statistics.matches += 1

    def _match_in(self, pool: str, queues: list[Queue]) -> bool:
        """Match in one pool; false when the bound is reached."""
        supply = self._supplies.get(pool)
        if supply is None:
            supply = self._supplies[pool] = self._negotiator.supply(pool, self._now)
        if not supply.piles:
            return True
        by_submitter: dict[str, list[Queue]] = {}
        for queue in queues:
            by_submitter.setdefault(queue.lane.submitter, []).append(queue)
        negotiator = self._negotiator
        shares = negotiator.shares(
            self._unit, set(by_submitter), self._weights, negotiator.total(pool), self._now
        )
        turns = [turn for name in by_submitter if (turn := shares.turn(name)) is not None]
        heapq.heapify(turns)
        while turns and supply.piles:
            turn = heapq.heappop(turns)
            submitter = turn[-1]
            current = shares.turn(submitter)
            if current is None:
                continue
            if current != turn:  # others of the group took something meanwhile
                heapq.heappush(turns, current)
                continue
            if negotiator.evaluations >= self._last_evaluation:
                return False
            if self._serve(submitter, by_submitter[submitter], supply, shares):
                heapq.heappush(turns, current)
        return True

    def _serve(self, submitter: str, queues: list[Queue], supply: Supply, shares: Shares) -> bool:
        """Match the submitter's first job that can be; false when none can."""
        while queues:
            queue = min(queues, key=lambda queue: (queue.precedence, *queue.order))
            if queue.waiting is None:
                self._negotiator.suitor(self._unit, queue, self._now)
                continue
            if not queue.waiting or not self._within_limits(queue):
                queues.remove(queue)
                continue
            found = self._best(queue, supply)
            if found is None or not shares.may_take(submitter, found[1].request.cpus):
                self._negotiator.statistics.rejections += 1
                queues.remove(queue)
                continue
            self._give(queue, *found, supply, shares)
            return True
        return False

    def _give(
        self,
        queue: Queue,
        slot: Slot,
        verdict: Verdict,
        pile: tuple[int, Resources],
        supply: Supply,
        shares: Shares,
    ) -> None:
        assert queue.waiting
        _, cluster, proc = queue.waiting.pop()
        queue.precedence = queue.waiting[-1][0] if queue.waiting else queue.precedence
        place = supply.place(slot, verdict.request)
        if not self._start(JobId(cluster, proc), place, verdict.slot_rank):
            supply._parts.pop(slot.number, None)
            return
        supply.take(pile, slot.number, verdict.request)
        shares.take(queue.lane.submitter, place.cpus)
        self._take_limits(queue.limits)
        self._negotiator.statistics.matches += 1

    def _best(self, queue: Queue, supply: Supply) -> tuple[Slot, Verdict, tuple[int, Resources]] | None:
        negotiator = self._negotiator
        suitor = queue.suitor
        assert suitor is not None
        negotiator.statistics.considered += 1
        best: tuple[Any, ...] | None = None
        for pile, numbers in supply.piles.items():
            one_by_one = negotiator.verdicts.is_particular(suitor, pile[0])
            for number in numbers if one_by_one else numbers[:1]:
                slot = supply.slot(number)
                verdict = negotiator.verdicts.judge(suitor, slot, pile[1])
                if verdict is None or not _fits(slot, verdict, pile[1]):
                    continue
                key = (-verdict.slot_rank, -verdict.job_rank, pile[1].cpus, pile[1].memory, number)
                if best is None or key < best[0]:
                    best = key, slot, verdict, pile
        return None if best is None else (best[1], best[2], best[3])

    def _within_limits(self, queue: Queue) -> bool:
        limit = self._negotiator.limit
        return all(self._limits[name] + taken <= limit(name) for name, taken in queue.limits.items())

    def _take_limits(self, limits: dict[str, float]) -> None:
        for name, taken in limits.items():
            self._limits[name] += taken  # type: ignore[assignment]  # a sum of reals


def _fits(slot: Slot, verdict: Verdict, left: Resources) -> bool:
    """Whether a partitionable slot has room for the share, rounded up as it was."""
    return not slot.partitionable or left.holds(verdict.request)
