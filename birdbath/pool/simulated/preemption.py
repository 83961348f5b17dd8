"""Preemption: which running job makes room for a better one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from birdbath.classads import Ad, Expression, is_true
from birdbath.classads.expressions import EVALUATION_ERRORS
from birdbath.pool.base import JobId
from birdbath.pool.simulated.evaluation import compiled_at, words
from birdbath.pool.simulated.floor import Claim
from birdbath.pool.simulated.machines import Resources, Slot
from birdbath.pool.simulated.verdicts import Suitor, Verdict, Verdicts

Pair = tuple[Claim, Slot]
Found = tuple[Pair, Verdict, str]


class Running:
    """What is claimed in a pool: claims that differ in nothing but their slots and times are together, first
    the one that lost least, the youngest.
    """

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._alike: dict[tuple[int, Resources, float, str], list[Pair]] = {}
        for pair in sorted(pairs, key=_loss):
            self._alike.setdefault(self._key(pair), []).append(pair)

    @staticmethod
    def _key(pair: Pair) -> tuple[int, Resources, float, str]:
        claim, slot = pair
        return slot.kind, claim.resources, claim.rank, claim.submitter

    def __iter__(self) -> Iterator[list[Pair]]:
        return iter(self._alike.values())

    def remove(self, pair: Pair) -> None:
        """The claim is given up."""
        key = self._key(pair)
        self._alike[key].remove(pair)
        if not self._alike[key]:
            del self._alike[key]

    @property
    def submitters(self) -> set[str]:
        """Whose jobs run."""
        return {submitter for _, _, _, submitter in self._alike}


def _loss(pair: Pair) -> tuple[float, int, JobId]:
    # The job last: parts of one slot may have been claimed at once, and the order must not depend on that in
    # which the claims were read.
    return -pair[0].since, pair[1].number, pair[0].job


def yielding(slots: Iterable[Slot], requirements: str) -> list[int]:
    """The kinds of slots that may take a running job off for a better one."""
    found = {
        slot.kind
        for slot in slots
        if requirements != "false" or slot.machine.description.rank not in ("0", "0.0")
    }
    return sorted(found)


@dataclass(frozen=True)
class Preemption:
    """The rules: a machine's RANK of the new job is above that of the running one; or the running one's user
    has the worse priority, and `requirements` (PREEMPTION_REQUIREMENTS, which may speak of RemoteUserPrio,
    SubmitterUserPrio and TotalJobRunTime, and of the job as TARGET) is true.
    """

    requirements: str
    priorities: Mapping[str, float]
    now: float

    def best(
        self, suitor: Suitor | None, submitter: str, running: Running, verdicts: Verdicts
    ) -> Found | None:
        """Whose place a job should take, and why; of several the one that lost least, the youngest."""
        found: list[tuple[tuple[float, float, float, int, JobId], Found]] = []
        for alike in running if suitor is not None else ():
            assert suitor is not None
            one_by_one = self._tells_time or verdicts.is_particular(suitor, alike[0][1].kind)
            for claim, slot in alike if one_by_one else alike[:1]:
                verdict = verdicts.judge(suitor, slot, claim.resources)
                reason = None if verdict is None else self._reason(suitor, submitter, claim, verdict)
                if verdict is None or reason is None:
                    continue
                if not slot.partitionable or claim.resources.holds(verdict.request):
                    key = (-verdict.slot_rank, -verdict.job_rank, *_loss((claim, slot)))
                    found.append((key, ((claim, slot), verdict, reason)))
        return min(found, key=lambda entry: entry[0])[1] if found else None

    @property
    def by_rank_only(self) -> bool:
        """Whether it is all the same whose jobs they are."""
        return self.requirements == "false"

    @property
    def _tells_time(self) -> bool:
        return "totaljobruntime" in words(self.requirements)

    def _reason(self, suitor: Suitor, submitter: str, claim: Claim, verdict: Verdict) -> str | None:
        if verdict.slot_rank > claim.rank:
            return "Preempted by a job that the machine's RANK prefers"
        if self.by_rank_only:
            return None
        mine, its = self.priorities[submitter], self.priorities[claim.submitter]
        if its > mine and self._allowed(suitor, mine, its, claim):
            return "Preempted by a job of a user with a better priority"
        return None

    def _allowed(self, suitor: Suitor, mine: float, its: float, claim: Claim) -> bool:
        ad = Ad()
        ad.update({"RemoteUserPrio": its, "SubmitterUserPrio": mine, "RemoteUser": claim.submitter})
        ad.update({"TotalJobRunTime": int(self.now - claim.since), "Rule": Expression(self.requirements)})
        compiled = compiled_at(ad, self.now)
        try:
            return is_true(compiled.lookup("Rule").eval(compiled, suitor.ad))
        except EVALUATION_ERRORS:
            return False
