"""How pools suit a submission, as it is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suitability:
    """How a pool suits: whether the rules let the jobs go there, whether it answered; how many machines it
    has, how many of them each of the jobs matches, how many of those are free; the best Rank of the job that
    likes it least.
    """

    pool: str
    allowed: bool
    answered: bool
    machines: int = 0
    matching: int = 0
    free: int = 0
    rank: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Recommendation:
    """The pool that suits best, why, and how each of them suits; `order`: those that may have the jobs, best
    first.
    """

    pool: str
    why: str
    pools: tuple[Suitability, ...]
    order: tuple[str, ...] = ()
