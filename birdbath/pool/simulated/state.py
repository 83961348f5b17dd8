"""What the simulated pool as a whole remembers: the time it has come to, and when it negotiates next."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import inf

from sqlalchemy import bindparam, insert, or_, select, update

from birdbath.pool.simulated.clock import ClockState
from birdbath.store.tables import simulated_pool
from birdbath.store.unit_of_work import UnitOfWork

_c = simulated_pool.c
_READ = select(_c.time, _c.cycle_at, _c.clock, _c.born, _c.last_cycle).where(_c.id == 1)
_BEGIN = insert(simulated_pool)
_SAVE = (
    update(simulated_pool)
    .where(_c.id == 1)
    .values(time=bindparam("new_time"), cycle_at=bindparam("new_cycle"), last_cycle=bindparam("new_last"))
)
_NEGOTIATE = (
    update(simulated_pool)
    .where(_c.id == 1, or_(_c.cycle_at.is_(None), _c.cycle_at > bindparam("at")))
    .values(cycle_at=bindparam("at"))
)
_REVISION = select(_c.revision).where(_c.id == 1)
_SET_REVISION = update(simulated_pool).where(_c.id == 1).values(revision=bindparam("new"))
_RULE = select(_c.rule).where(_c.id == 1)
_SET_RULE = update(simulated_pool).where(_c.id == 1).values(rule=bindparam("new"))
_SET_CLOCK = update(simulated_pool).where(_c.id == 1).values(clock=bindparam("stand"))


@dataclass
class PoolState:
    """`time`: all that was due by then has happened; `cycle_at`: when the next negotiation cycle is due,
    never for infinity; `born`: when it began; `last_cycle`: when it negotiated last. Seconds since the
    epoch, in pool time.
    """

    time: float
    cycle_at: float = inf
    born: float = 0.0
    last_cycle: float = 0.0


def read_state(unit: UnitOfWork, started: float) -> PoolState:
    """The pool's state as `unit` sees it; a pool that has none yet begins at `started`."""
    row = unit.first(_READ)
    if row is None:
        values = {"id": 1, "time": started, "cycle_at": started, "clock": None, "born": started}
        unit.execute(_BEGIN, values)
        return PoolState(started, started, started)
    return PoolState(row.time, inf if row.cycle_at is None else row.cycle_at, row.born, row.last_cycle)


def save_state(unit: UnitOfWork, state: PoolState) -> None:
    """Write what `read_state` reads."""
    cycle = None if state.cycle_at == inf else state.cycle_at
    unit.execute(_SAVE, {"new_time": state.time, "new_cycle": cycle, "new_last": state.last_cycle})


def negotiate_by(unit: UnitOfWork, at: float) -> None:
    """Let the next negotiation cycle be due at `at`, unless it is before."""
    unit.execute(_NEGOTIATE, {"at": at})


def read_clock(unit: UnitOfWork) -> ClockState | None:
    """How the clock stood when it was last set, at the time that it showed then, or that the pool has come to
    since; None in a new pool.
    """
    row = unit.first(_READ)
    if row is None:
        return None
    stand = json.loads(row.clock) if row.clock else {}
    return ClockState(**{**stand, "time": max(row.time, stand.get("time", row.time))})


def save_clock(unit: UnitOfWork, state: ClockState) -> None:
    """Write what `read_clock` reads; the time that the pool has come to stays."""
    read_state(unit, state.time)
    unit.execute(_SET_CLOCK, {"stand": json.dumps(asdict(state))})


def keep_time(unit: UnitOfWork, state: ClockState) -> None:
    """Let a restart begin with the time of `state`; how the clock is set stays as it was written, perhaps by
    another server on the database.
    """
    read_state(unit, state.time)
    row = unit.first(_READ)
    stand = json.loads(row.clock) if row is not None and row.clock else asdict(state)
    unit.execute(_SET_CLOCK, {"stand": json.dumps({**stand, "time": state.time})})


def read_revision(unit: UnitOfWork) -> int:
    """The number of changes of what is claimed."""
    row = unit.first(_REVISION)
    return 0 if row is None else int(row.revision)


def write_revision(unit: UnitOfWork, revision: int) -> None:
    """What is claimed has changed."""
    unit.execute(_SET_REVISION, {"new": revision})


def take_rule(unit: UnitOfWork, rule: str) -> bool:
    """Lanes are computed by `rule` from now on; whether they were by another one."""
    row = unit.first(_RULE)
    if row is not None and row.rule == rule:
        return False
    unit.execute(_SET_RULE, {"new": rule})
    return True
