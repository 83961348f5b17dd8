"""Fair shares: whose turn it is, from priorities, slots in use, group quotas and concurrency limits. No I/O.

As HTCondor's negotiator: groups below their quota come first, the most starved before the others; then those
that may have a surplus. Within a group each submitter has a slice of the group's pie in the inverse ratio of
their effective priorities. Submitters below their slice come first, the best priority before the others;
what is left over goes to whoever exceeds his slice least. All of it depends on what is in use at the moment
alone: a cycle that was cut short goes on as if it had not been.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from birdbath.classads import Ad
from birdbath.pool.simulated.description import GroupDescription
from birdbath.pool.simulated.evaluation import evaluate_at

NO_GROUP = "<none>"
Turn = tuple[bool, float, str, bool, float, str]


@dataclass
class Shares:
    """One pool's shares: `total` is the weight of its slots, `weights` what each submitter uses now.

    `priorities` are the effective ones of all who take part.
    """

    total: float
    groups: tuple[GroupDescription, ...]
    priorities: Mapping[str, float]
    weights: Counter[str]
    _group_of: dict[str, str] = field(default_factory=dict)
    _quotas: dict[str, float] = field(default_factory=dict)
    _used: Counter[str] = field(default_factory=Counter)
    _claims: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._surplus = {group.name: group.accept_surplus for group in self.groups} | {NO_GROUP: True}
        self._set_quotas()
        for submitter, weight in self.weights.items():
            self._use(submitter, weight)
        for submitter, priority in self.priorities.items():
            self._claims[self.group(submitter)] += 1 / priority  # type: ignore[assignment]  # a sum of reals

    def _set_quotas(self) -> None:
        for group in sorted(self.groups, key=lambda group: group.name.count(".")):
            above = self._quotas.get(group.name.rpartition(".")[0], self.total)
            self._quotas[group.name] = group.quota if group.quota >= 1 else group.quota * above
        given = sum(
            quota for name, quota in self._quotas.items() if name.rpartition(".")[0] not in self._quotas
        )
        self._quotas[NO_GROUP] = max(0.0, self.total - given)

    def group(self, submitter: str) -> str:
        """The group that a submitter belongs to, by name: `physics` for `physics.alice@domain`."""
        known = self._group_of.get(submitter)
        if known is None:
            name = submitter.partition("@")[0].rpartition(".")[0]
            while name and name not in self._quotas:
                name = name.rpartition(".")[0]
            known = self._group_of[submitter] = name or NO_GROUP
        return known

    def _use(self, submitter: str, weight: float) -> None:
        for group in self._lineage(self.group(submitter)):
            self._used[group] += weight  # type: ignore[assignment]  # a sum of reals

    def _lineage(self, group: str) -> Iterable[str]:
        while group:
            if group in self._quotas:
                yield group
            group = group.rpartition(".")[0]

    def take(self, submitter: str, weight: float) -> None:
        """The submitter got a slot of that weight (below 0: lost one)."""
        self.weights[submitter] += weight  # type: ignore[assignment]  # a sum of reals
        self._use(submitter, weight)

    def turn(self, submitter: str) -> Turn | None:
        """Whose is least, it is his turn; None: no more for him."""
        group = self.group(submitter)
        over = any(self._used[above] + 1 > self._quotas[above] for above in self._lineage(group))
        if over and not self._surplus[group]:
            return None
        quota = self._quotas[group]
        starved = self._used[group] / quota if quota > 0 else float("inf")
        priority = self.priorities[submitter]
        pie = self.total if over else quota
        share = pie / priority / max(self._claims[group], 1e-300)
        used = self.weights[submitter]
        if used < share:
            return over, starved, group, False, priority, submitter
        return over, starved, group, True, used / share if share > 0 else float("inf"), submitter

    def may_take(self, submitter: str, weight: float) -> bool:
        """Whether a slot of that weight keeps the submitter's group within what it may have."""
        group = self.group(submitter)
        if self._surplus[group]:
            return True
        return all(self._used[above] + weight <= self._quotas[above] for above in self._lineage(group))


def limits_text(ad: Ad, now: float) -> str:
    """A job's ConcurrencyLimits, evaluated without a machine where it is an expression."""
    value = evaluate_at(ad, "ConcurrencyLimits", now)
    return value if isinstance(value, str) else ""


def limits_of(text: str) -> dict[str, float]:
    """The concurrency limits that a job's ConcurrencyLimits names, with how much of each it takes: 1 where
    no number above 0 is given.
    """
    found: dict[str, float] = {}
    for word in text.lower().replace(",", " ").split():
        name, _, number = word.partition(":")
        try:
            taken = float(number)
        except ValueError:
            taken = 1.0
        found[name] = taken if taken > 0 else 1.0
    return found
