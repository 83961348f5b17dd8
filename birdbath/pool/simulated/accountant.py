"""The accountant: what each submitter has used, and the priority that follows from it.

As HTCondor's: the real priority approaches the number of (weighted) slots in use with a half-life of
PRIORITY_HALFLIFE, and never falls below 0.5; the effective one is that times the priority factor. Fewer is
better. It is brought up to date whenever a submitter's usage changes, so it is exact at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, insert, select, update

from birdbath.pool.simulated.description import PoolDescription, UserDescription
from birdbath.pool.simulated.job_table import Charge
from birdbath.store.tables import simulated_submitters
from birdbath.store.unit_of_work import UnitOfWork

MIN_PRIORITY = 0.5
_c = simulated_submitters.c
_COLUMNS = ("name", "priority", "factor", "accumulated", "began_at", "used_at", "updated_at", "in_use")
ALL_ACCOUNTS = select(*(_c[name] for name in _COLUMNS)).order_by(_c.name)
_ONE = select(*(_c[name] for name in _COLUMNS)).where(_c.name == bindparam("who"))
_ADD = insert(simulated_submitters)
_SAVE = (
    update(simulated_submitters)
    .where(_c.name == bindparam("who"))
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS[1:]})
)


@dataclass(frozen=True)
class Account:
    """A submitter's account as of `updated_at`: `priority` is the real one, `accumulated` weighted slot
    seconds,
    `in_use` the weight of the slots in use since.
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
        # Not `replace`: each cycle does this for every submitter there ever was.
        return Account(self.name, priority, self.factor, accumulated, self.began_at, used, now, self.in_use)


class Accountant:
    """The accounts of one pool's submitters."""

    def __init__(self, description: PoolDescription) -> None:
        self._halflife = description.priority_halflife
        self._known = {_full_name(user, description.uid_domain): user for user in description.users}

    def accounts(self, unit: UnitOfWork, now: float) -> dict[str, Account]:
        """All accounts as of `now`."""
        found = (Account(*row) for row in unit.execute(ALL_ACCOUNTS))
        return {account.name: account.at(now, self._halflife) for account in found}

    def priorities(self, unit: UnitOfWork, names: Iterable[str], now: float) -> dict[str, float]:
        """The effective priorities of some submitters, which are above 0."""
        kept = {row.name: row for row in unit.execute(ALL_ACCOUNTS)}
        found = {}
        for name in names:
            row = kept.get(name)
            account = self.account({}, name, now) if row is None else Account(*row).at(now, self._halflife)
            found[name] = max(account.effective, 1e-9)
        return found

    def account(self, accounts: dict[str, Account], name: str, now: float) -> Account:
        """One of `accounts`, or the one that a new submitter begins with."""
        known = accounts.get(name)
        if known is None:
            user = self._known.get(name)
            known = Account(name, updated_at=now, began_at=now)
            if user is not None:
                known = replace(known, priority=user.priority, factor=user.priority_factor)
        return known

    def charge(self, unit: UnitOfWork, charges: Sequence[Charge]) -> None:
        """Submitters use more or fewer slots, in the order of time."""
        before: dict[str, Account] = {}
        for name in sorted({charge.submitter for charge in charges}):
            row = unit.first(_ONE, {"who": name})
            if row is not None:
                before[name] = Account(*row)
        after: dict[str, Account] = {}
        for charge in charges:
            account = after.get(charge.submitter) or self.account(before, charge.submitter, charge.time)
            account = account.at(charge.time, self._halflife)
            after[charge.submitter] = replace(account, in_use=max(0.0, account.in_use + charge.weight))
        self._save(unit, before, after)

    @staticmethod
    def _save(unit: UnitOfWork, before: dict[str, Account], after: dict[str, Account]) -> None:
        for name, account in sorted(after.items()):
            values = {column: getattr(account, column) for column in _COLUMNS}
            if name in before:
                renamed = {f"new_{column}": values[column] for column in _COLUMNS[1:]}
                unit.execute(_SAVE, {"who": name, **renamed})
            else:
                unit.execute(_ADD, values)


def _full_name(user: UserDescription, domain: str) -> str:
    return user.name if "@" in user.name else f"{user.name}@{domain}"
