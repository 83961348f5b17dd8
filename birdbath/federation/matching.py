"""Which pool suits a submission: by the rules, and by the machines that its jobs match."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from birdbath.classads import Ad, AdRecord, Constraint, is_true, matches
from birdbath.classads.expressions import EVALUATION_ERRORS, CompiledAd, python_value
from birdbath.errors import BirdbathError
from birdbath.pool.suitability import Recommendation, Suitability
from birdbath.tables import RoutingRule

MOST_KINDS: Final = 20
"""Different jobs of one submission that are matched; the others are taken to be like them."""

_PARTICULAR: Final = frozenset(
    {
        *("clusterid", "procid", "globaljobid", "qdate", "iwd", "args", "arguments", "in", "out", "err"),
        *("enteredcurrentstatus", "transferinput", "userlog", "env", "environment", "cmd"),
    }
)
_REQUESTS: Final = (("RequestCpus", "Cpus"), ("RequestMemory", "Memory"), ("RequestDisk", "Disk"))

Machines = Sequence[AdRecord] | str
"""The startd ads of a pool, or why there are none."""


class NoPool(BirdbathError):
    """The rules leave no pool, or none of those that they leave answers."""


def recommend(
    jobs: Sequence[Ad], machines: Mapping[str, Machines], rules: Sequence[RoutingRule], now: float
) -> Recommendation:
    """Recommend one of the pools of `machines` for all of `jobs` together. Raises NoPool.

    Of the pools that the rules allow and that answer, those come first that have a free machine that matches,
    then those that have any that matches; of these the one whose machines the jobs' Rank likes best, then the
    one with the most free ones. Where no machine matches, the first pool in the rule's order, else in that of
    the settings, takes the jobs: they wait there, as in any pool.
    """
    kinds = list(_kinds(jobs))
    order = _allowed(jobs, list(machines), rules, now)
    found = tuple(_suitability(pool, seen, pool in order, kinds) for pool, seen in machines.items())
    able = [pool for pool in found if pool.allowed and pool.answered]
    if not able:
        told = "; ".join(f"{pool.pool}: {pool.why}" for pool in found)
        raise NoPool(f"There is no pool for these jobs: {told}")
    ranked = sorted(able, key=lambda pool: _key(pool, order))
    best = ranked[0]
    names = tuple(pool.pool for pool in ranked)
    return Recommendation(best.pool, _reason(best, able, bool(rules)), found, names)


def _key(pool: Suitability, order: Sequence[str]) -> tuple[bool, bool, float, int, int, int]:
    rank = pool.rank if pool.matching else 0.0
    return (
        not pool.free,
        not pool.matching,
        -rank,
        -pool.free,
        -pool.matching,
        order.index(pool.pool),
    )


def _reason(best: Suitability, able: Sequence[Suitability], ruled: bool) -> str:
    if len(able) == 1:
        return f"it is the only pool that {'the rules allow and that ' if ruled else ''}answers"
    if not best.matching:
        return "no machine of any pool matches; it comes first"
    if best.free:
        return f"{best.free} free machines match, the best with Rank {best.rank:g}"
    return f"{best.matching} machines match, none of any pool is free"


def _kinds(jobs: Sequence[Ad]) -> Iterator[Ad]:
    seen: set[tuple[tuple[str, str, str], ...]] = set()
    for job in jobs:
        kind = tuple(attribute for attribute in job if attribute[0].lower() not in _PARTICULAR)
        if kind not in seen:
            seen.add(kind)
            yield job
            if len(seen) >= MOST_KINDS:
                return


def _allowed(
    jobs: Sequence[Ad], pools: Sequence[str], rules: Sequence[RoutingRule], now: float
) -> Sequence[str]:
    """The pools that the rules leave to all of the jobs, in the order of the first job's rule."""
    if not rules:
        return pools
    left = [AdRecord.of(job) for job in jobs]
    places = {id(record): place for place, record in enumerate(left)}
    applying: list[tuple[int, RoutingRule]] = []
    for rule in rules:
        chosen = {id(record) for record in Constraint(rule.when).select(left, now)}
        if chosen:
            applying.append((min(places[record] for record in chosen), rule))
            left = [record for record in left if id(record) not in chosen]
    allowed = pools
    for _, rule in sorted(applying, key=lambda placed: placed[0]):
        order = rule.pools if allowed is pools else allowed
        allowed = [pool for pool in order if pool in rule.pools]
    return allowed


def _suitability(pool: str, machines: Machines, allowed: bool, kinds: Sequence[Ad]) -> Suitability:
    if isinstance(machines, str):
        return Suitability(pool, allowed, False, why=machines)
    if not allowed:
        return Suitability(pool, False, True, len(machines), why="the rules send these jobs elsewhere")
    matching, free, rank = len(machines), len(machines), math.inf
    for job in kinds:
        fits = [fit for record in machines if (fit := _fit(job.compiled(), record)) is not None]
        matching, free = min(matching, len(fits)), min(free, sum(is_free for is_free, _ in fits))
        liked = [rank for is_free, rank in fits if is_free] or [rank for _, rank in fits]
        rank = min(rank, max(liked, default=0.0))
    why = f"{matching} of {len(machines)} machines match, {free} of them free"
    return Suitability(
        pool, True, True, len(machines), matching, free, 0.0 if math.isinf(rank) else rank, why
    )


def _fit(job: CompiledAd, record: AdRecord) -> tuple[bool, float] | None:
    """Whether the machine is free for the job, and the job's Rank of it; None when it does not match."""
    machine = record.parsed
    is_partitionable = _value(machine, "PartitionableSlot") is True
    if _matches(job, machine):
        is_free = is_partitionable or _value(machine, "State") == "Unclaimed"
        return is_free, _rank(job, machine)
    if not is_partitionable:
        return None
    whole = record.ad()
    for _, name in _REQUESTS:
        if (total := whole.get(f"TotalSlot{name}")) is not None:
            whole.set(name, total)
    compiled = whole.compiled()
    return (False, _rank(job, compiled)) if _matches(job, compiled) else None


def _matches(job: CompiledAd, machine: CompiledAd) -> bool:
    if not matches(job, machine):
        return False
    for request, resource in _REQUESTS:
        asked, there = _evaluated(job, machine, request), _value(machine, resource)
        if isinstance(asked, int | float) and isinstance(there, int | float) and asked > there:
            return False
    return True


def _rank(job: CompiledAd, machine: CompiledAd) -> float:
    value = _evaluated(job, machine, "Rank")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else float(is_true(value))


def _evaluated(scope: CompiledAd, target: CompiledAd, name: str) -> object:
    try:
        return python_value(scope.lookup(name).eval(scope, target)) if name in scope else None
    except (KeyError, *EVALUATION_ERRORS):
        return None


def _value(ad: CompiledAd, name: str) -> object:
    try:
        return python_value(ad.eval(name))
    except (KeyError, *EVALUATION_ERRORS):
        return None
