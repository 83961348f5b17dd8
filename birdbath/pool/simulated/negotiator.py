"""Matchmaking: which idle job gets which free slot.

Jobs come by JobPrio, then in the order of submission; both sides' Requirements must be true; the job's Rank
chooses among the slots. Idle jobs are looked at by autocluster: however many there are of one kind, they cost
one evaluation a slot, and nothing is evaluated when no slot is free.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select

from birdbath.classads import Ad, CompiledAd, matches, python_value
from birdbath.classads.expressions import EVALUATION_ERRORS
from birdbath.pool.base import JobId
from birdbath.pool.simulated.autoclusters import SUBMIT_MACHINE, Autoclusters
from birdbath.pool.simulated.evaluation import compiled_at
from birdbath.pool.simulated.machines import Slot
from birdbath.store.tables import jobs, simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c


def _signatures() -> Any:
    """Every signature of idle jobs with its best precedence, by one step through the index for each
    signature.
    """
    found = select(func.min(_s.signature).label("signature")).cte("found", recursive=True)
    following = select(func.min(_s.signature)).where(_s.signature > found.c.signature).scalar_subquery()
    found = found.union_all(select(following).where(found.c.signature.is_not(None)))
    best = select(func.min(_s.precedence)).where(_s.signature == found.c.signature).scalar_subquery()
    return select(found.c.signature, best.label("precedence")).where(found.c.signature.is_not(None))


_SIGNATURES = _signatures()
_FIRST = (
    select(_s.precedence, _s.cluster_id, _s.proc_id)
    .where(_s.signature == bindparam("signature"))
    .order_by(_s.precedence, _s.cluster_id, _s.proc_id)
    .limit(bindparam("most"))
)
_ANY_IDLE: Any = select(literal_column("1")).where(_s.signature > "").limit(1)
_AD = select(jobs.c.ad).where(jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc"))

_UNRESOLVED = -1


def any_idle(unit: UnitOfWork) -> bool:
    """Whether there is anything to negotiate for."""
    return unit.first(_ANY_IDLE) is not None


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

    def __init__(self, autoclusters: Autoclusters) -> None:
        self._autoclusters = autoclusters
        self._ranks: dict[str, dict[str, float | None]] = {}
        self._parsed_slots: dict[str, CompiledAd] = {}
        self.evaluations = 0
        self.statistics = Statistics()

    def begin_cycle(self, now: float) -> None:
        """Forget earlier verdicts: what an expression says may have changed with time."""
        self._ranks.clear()
        self._parsed_slots.clear()
        self.statistics = Statistics(time=now)

    def local_jobs(self, unit: UnitOfWork, most: int) -> list[JobId]:
        """The first idle jobs that need no slot but run on the submit machine."""
        rows = unit.execute(_FIRST, {"signature": SUBMIT_MACHINE, "most": most}) if most > 0 else ()
        return [JobId(row[1], row[2]) for row in rows]

    def match(
        self,
        unit: UnitOfWork,
        free: Mapping[str, Slot],
        now: float,
        start: Callable[[JobId, Slot], bool],
        most_evaluations: int,
    ) -> bool:
        """Give free slots to idle jobs through `start`, which says whether the slot is now taken.

        Returns whether there is more to do at once: the bound was reached, or some jobs did not take what
        they got.
        """
        step = _Step(self, unit, dict(free), now, self.evaluations + most_evaluations)
        return step.run(start)

    def evaluate(self, signature: str, job: CompiledAd, slots: Iterable[Slot], now: float) -> None:
        """Match a parsed job of an autocluster with slots, both ways, and remember the verdicts."""
        ranks = self._ranks.setdefault(signature, {})
        for slot in slots:
            parsed = self._parsed_slots.get(slot.name)
            if parsed is None:
                parsed = self._parsed_slots[slot.name] = slot.parsed_at(now)
            ranks[slot.name] = match_rank(job, parsed)
            self.evaluations += 1

    def unknown(self, signature: str, free: Iterable[Slot]) -> list[Slot]:
        """The slots for which there is no verdict yet."""
        ranks = self._ranks.get(signature, {})
        return [slot for slot in free if slot.name not in ranks]

    def matching(self, signature: str, free: Iterable[Slot]) -> Slot | None:
        """The best of the slots known to match: highest Rank, else first."""
        ranks = self._ranks.get(signature, {})
        ranked = [
            (-rank, index, slot)
            for index, slot in enumerate(free)
            if (rank := ranks.get(slot.name)) is not None
        ]
        return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None

    def parse_job(self, ad: Ad, now: float) -> CompiledAd:
        """As much of a job's ad as matchmaking looks at."""
        return compiled_at(self._autoclusters.significant(ad), now)


def match_rank(job: CompiledAd, slot: CompiledAd) -> float | None:
    """The job's Rank of the slot (0 when it has none), or None when either side's Requirements is not true.

    Undefined, erroneous and missing Requirements match nothing.
    """
    if not matches(job, slot):
        return None
    try:
        value = python_value(job.lookup("Rank").eval(job, slot)) if "Rank" in job else None
    except EVALUATION_ERRORS:
        value = None
    return float(value) if isinstance(value, int | float) and not math.isnan(value) else 0.0


class _Step:
    """One bounded step: autoclusters in the order of their best jobs, jobs of all of them in order."""

    def __init__(
        self, negotiator: Negotiator, unit: UnitOfWork, free: dict[str, Slot], now: float, evaluations: int
    ) -> None:
        self._negotiator = negotiator
        self._unit = unit
        self._free = free
        self._now = now
        self._last_evaluation = evaluations
        self._incomplete = False
        self._heap: list[tuple[int, int, int, str]] = []
        self._waiting: dict[str, list[tuple[int, int, int]]] = {}

    def run(self, start: Callable[[JobId, Slot], bool]) -> bool:
        if not self._free:
            return False
        for row in self._unit.execute(_SIGNATURES):
            if row.signature != SUBMIT_MACHINE and self._promising(row.signature):
                self._heap.append((row.precedence, _UNRESOLVED, 0, row.signature))
        heapq.heapify(self._heap)
        while self._heap and self._free:
            _, cluster, proc, signature = heapq.heappop(self._heap)
            if cluster == _UNRESOLVED:
                if not self._resolve(signature):
                    return True
            else:
                self._offer(JobId(cluster, proc), signature, start)
        return self._incomplete

    def _promising(self, signature: str) -> bool:
        negotiator, free = self._negotiator, self._free.values()
        return bool(negotiator.unknown(signature, free)) or negotiator.matching(signature, free) is not None

    def _resolve(self, signature: str) -> bool:
        """Find out which slots the autocluster matches and, if any, queue its first jobs. False: bound
        reached.
        """
        negotiator = self._negotiator
        if negotiator.evaluations >= self._last_evaluation:
            return False
        rows = self._unit.execute(_FIRST, {"signature": signature, "most": len(self._free)})
        unknown = negotiator.unknown(signature, self._free.values())
        if unknown and rows:
            ad = self._unit.first(_AD, {"cluster": rows[0][1], "proc": rows[0][2]})
            assert ad is not None
            negotiator.evaluate(
                signature, negotiator.parse_job(Ad.from_json(ad[0]), self._now), unknown, self._now
            )
            negotiator.statistics.considered += 1
        if negotiator.matching(signature, self._free.values()) is None:
            negotiator.statistics.rejections += 1
        else:
            self._waiting[signature] = [(row[0], row[1], row[2]) for row in reversed(rows)]
            self._next_of(signature)
        return True

    def _next_of(self, signature: str) -> None:
        waiting = self._waiting[signature]
        if waiting:
            heapq.heappush(self._heap, (*waiting.pop(), signature))

    def _offer(self, job: JobId, signature: str, start: Callable[[JobId, Slot], bool]) -> None:
        slot = self._negotiator.matching(signature, self._free.values())
        if slot is None:
            return
        if start(job, slot):
            del self._free[slot.name]
            self._negotiator.statistics.matches += 1
        else:
            self._incomplete = True
        self._next_of(signature)
