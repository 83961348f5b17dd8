"""Preemption: which running job makes room for a better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from birdbath.classads import Ad, Expression, is_true
from birdbath.classads.expressions import EVALUATION_ERRORS
from birdbath.pool.simulated.evaluation import compiled_at
from birdbath.pool.simulated.floor import Claim
from birdbath.pool.simulated.machines import Slot
from birdbath.pool.simulated.verdicts import Suitor, Verdict, Verdicts

Found = tuple[tuple[Claim, Slot], Verdict, str]


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
        self, suitor: Suitor | None, submitter: str, claims: list[tuple[Claim, Slot]], verdicts: Verdicts
    ) -> Found | None:
        """Whose place a job should take, and why; of several the one that lost least, the youngest."""
        found: list[tuple[tuple[float, float, float, int], Found]] = []
        for claim, slot in claims if suitor is not None else ():
            assert suitor is not None
            verdict = verdicts.judge(suitor, slot, claim.resources)
            if verdict is None or (slot.partitionable and not claim.resources.holds(verdict.request)):
                continue
            reason = self._reason(suitor, submitter, claim, verdict)
            if reason is not None:
                key = (-verdict.slot_rank, -verdict.job_rank, -claim.since, slot.number)
                found.append((key, ((claim, slot), verdict, reason)))
        return min(found, key=lambda entry: entry[0])[1] if found else None

    def _reason(self, suitor: Suitor, submitter: str, claim: Claim, verdict: Verdict) -> str | None:
        if verdict.slot_rank > claim.rank:
            return "Preempted by a job that the machine's RANK prefers"
        mine, its = self.priorities[submitter], self.priorities[claim.submitter]
        if self.requirements != "false" and its > mine and self._allowed(suitor, mine, its, claim):
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
