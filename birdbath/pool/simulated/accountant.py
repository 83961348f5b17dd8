"""The accountant: what each submitter has used, and the priority that follows from it.

As HTCondor's: the real priority approaches the number of (weighted) slots in use with a half-life of
PRIORITY_HALFLIFE, and never falls below 0.5; the effective one is that times the priority factor. Fewer is
better. It is brought up to date whenever a submitter's usage changes, so it is exact at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from birdbath.pool.simulated.autoclusters import NICE
from birdbath.pool.simulated.description import PoolDescription, UserDescription
from birdbath.pool.simulated.job_table import Charge
from birdbath.pool.simulated.state import read_revision
from birdbath.store.tables import simulated_submitters
from birdbath.store.unit_of_work import UnitOfWork

MIN_PRIORITY = 0.5
_NICE_FACTOR = 1e10
"""NICE_USER_PRIO_FACTOR."""
_c = simulated_submitters.c
_COLUMNS = ("name", "priority", "factor", "accumulated", "began_at", "used_at", "updated_at", "in_use")
ALL_ACCOUNTS = select(*(_c[name] for name in _COLUMNS)).order_by(_c.name)
_ADD = insert(simulated_submitters)
_SAVE = (
    update(simulated_submitters)
    .where(_c.name == bindparam("who"))
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS[1:]})
)


class Account(NamedTuple):
    """A submitter's account as of `updated_at`: `priority` is the real one, `accumulated` weighted slot
    seconds, `in_use` the weight of the slots in use since.
    """

    name: str
    priority: float = MIN_PRIORITY
    factor: float = 1000.0
    accumulated: float = 0.0
    began_at: float = 0.0
    used_at: float = 0.0
    updated_at: float = 0.0
    in_use: float = 0.0

    @property
    def effective(self) -> float:
        """The effective priority: two submitters get slots in the inverse ratio of theirs."""
        return self.priority * self.factor

    def at(self, now: float, halflife: float) -> Account:
        """The account at `now`, the usage having been the same since."""
        passed = now - self.updated_at
        if passed <= 0:
            return self
        kept = 0.5 ** (passed / halflife)
        priority = max(MIN_PRIORITY, self.priority * kept + self.in_use * (1 - kept))
        accumulated = self.accumulated + self.in_use * passed
        used = now if self.in_use else self.used_at
        return Account(self.name, priority, self.factor, accumulated, self.began_at, used, now, self.in_use)


class Accountant:
    """The accounts of one pool's submitters, kept in memory beside the database.

    The database is the truth: what was undone, or what another process changed, is read anew.
    """

    def __init__(self, description: PoolDescription) -> None:
        self._halflife = description.priority_halflife
        self._known = {_full_name(user, description.uid_domain): user for user in description.users}
        self._accounts: dict[str, Account] = {}
        self._revision: int | None = None

    def _read(self, unit: UnitOfWork) -> dict[str, Account]:
        """The accounts as of the last change of claims."""
        revision = read_revision(unit)
        if revision != self._revision:
            self._accounts = {row.name: Account(*row) for row in unit.execute(ALL_ACCOUNTS)}
            self._revision = revision
            unit.if_undone(self._forget)
        return self._accounts

    def _forget(self) -> None:
        self._revision = None

    def follow(self, revision: int) -> None:
        """The change of claims that was charged last has this revision."""
        self._revision = revision

    def priorities(self, unit: UnitOfWork, names: Iterable[str], now: float) -> dict[str, float]:
        """The effective priorities of some submitters, which are above 0, by name: sums of them are exactly
        the same in every process.
        """
        accounts = self._read(unit)
        return {name: max(self._account(accounts, name, now).effective, 1e-9) for name in sorted(names)}

    def _account(self, accounts: Mapping[str, Account], name: str, now: float) -> Account:
        """One of `accounts` as of `now`, or the one that a new submitter begins with."""
        known = accounts.get(name)
        if known is not None:
            return known.at(now, self._halflife)
        user = self._known.get(name)
        new = Account(name, updated_at=now, began_at=now)
        if user is None:
            return new._replace(factor=_NICE_FACTOR) if name.startswith(NICE) else new
        return new._replace(priority=user.priority, factor=user.priority_factor)

    def charge(self, unit: UnitOfWork, charges: Sequence[Charge]) -> None:
        """Submitters use more or fewer slots, in the order of time. A new revision has to `follow`."""
        accounts = self._read(unit)
        unit.if_undone(self._forget)
        charged = sorted({charge.submitter for charge in charges})
        new = [name for name in charged if name not in accounts]
        for charge in charges:
            account = self._account(accounts, charge.submitter, charge.time)
            accounts[account.name] = account._replace(in_use=max(0.0, account.in_use + charge.weight))
        unit.execute_many(_ADD, [accounts[name]._asdict() for name in new])
        unit.execute_many(_SAVE, [_renamed(accounts[name]) for name in charged if name not in new])


def _renamed(account: Account) -> dict[str, str | float]:
    values: dict[str, str | float] = {f"new_{column}": getattr(account, column) for column in _COLUMNS[1:]}
    return {"who": account.name, **values}


def _full_name(user: UserDescription, domain: str) -> str:
    return user.name if "@" in user.name else f"{user.name}@{domain}"
