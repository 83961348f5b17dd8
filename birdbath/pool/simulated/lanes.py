"""The lanes of idle jobs in the database, and one of them as a step of a negotiation cycle sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select

from birdbath.pool.base import JobId
from birdbath.pool.simulated.autoclusters import Lane
from birdbath.pool.simulated.shares import limits_of
from birdbath.pool.simulated.verdicts import Suitor
from birdbath.store.tables import jobs, simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c


def _signatures() -> Any:
    """Every lane of idle jobs with its best precedence, by one step through the index for each lane."""
    found = select(func.min(_s.signature).label("signature")).cte("found", recursive=True)
    following = select(func.min(_s.signature)).where(_s.signature > found.c.signature).scalar_subquery()
    found = found.union_all(select(following).where(found.c.signature.is_not(None)))
    best = select(func.min(_s.precedence)).where(_s.signature == found.c.signature).scalar_subquery()
    return select(found.c.signature, best.label("precedence")).where(found.c.signature.is_not(None))


SIGNATURES = _signatures()
LANES_OF = (
    select(_s.signature, func.min(_s.precedence).label("precedence"))
    .where(_s.signature > bindparam("low"), _s.signature < bindparam("high"))
    .group_by(_s.signature)
)
FIRST = (
    select(_s.precedence, _s.cluster_id, _s.proc_id)
    .where(_s.signature == bindparam("signature"))
    .order_by(_s.precedence, _s.cluster_id, _s.proc_id)
    .limit(bindparam("most"))
)
_ANY_IDLE: Any = select(literal_column("1")).where(_s.signature > "").limit(1)
JOB_AD = select(jobs.c.ad).where(
    jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc")
)
_LIMITED = select(_s.limits).where(_s.slot > "", _s.limits != "")

BATCH = 200
"""So many jobs of a lane are looked at in one step."""
FEW = 50
"""So many are looked for at a time that go on with the claims of others."""


def any_idle(unit: UnitOfWork) -> bool:
    """Whether there is anything to negotiate for."""
    return unit.first(_ANY_IDLE) is not None


def first_of(unit: UnitOfWork, signature: str, most: int) -> list[JobId]:
    """The first idle jobs of a lane."""
    rows = unit.execute(FIRST, {"signature": signature, "most": most}) if most > 0 else ()
    return [JobId(row[1], row[2]) for row in rows]


def limits_taken(unit: UnitOfWork) -> Counter[str]:
    """How much of each concurrency limit running jobs take, as written so far."""
    taken: Counter[str] = Counter()
    for row in unit.execute(_LIMITED):
        taken.update(limits_of(row.limits))
    return taken


@dataclass
class Queue:
    """The waiting jobs of one lane, as one step sees them."""

    signature: str
    lane: Lane
    precedence: int
    route: tuple[str, ...]
    waiting: list[tuple[int, int, int]] | None = None
    cut: bool = False
    suitor: Suitor | None = None
    judged_at: float = 0.0
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int, int]:
        return self.waiting[-1] if self.waiting else (self.precedence, 0, 0)
