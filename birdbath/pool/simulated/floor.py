"""The floor: which slots are claimed by which jobs, kept in memory beside the database."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from birdbath.pool.base import JobId
from birdbath.pool.simulated.machines import Resources, Slot, parent_name, part_number
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.pool.simulated.state import read_revision, write_revision
from birdbath.store.tables import simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c
_CLAIMS = select(
    _s.slot,
    _s.cluster_id,
    _s.proc_id,
    _s.submitter,
    _s.cpus,
    _s.memory,
    _s.disk,
    _s.gpus,
    _s.claimed_at,
    _s.claim_rank,
).where(_s.slot > "")


@dataclass(frozen=True)
class Claim:
    """A slot's claim: whose job has how much of it since when; `weight` is what the accountant charges."""

    slot: str
    job: JobId
    submitter: str
    resources: Resources
    since: float
    rank: float

    @property
    def weight(self) -> int:
        return self.resources.cpus


class Floor:
    """What is claimed, as the unit of work sees it that has called `read` last.

    The database is the truth: what was undone, or what another process changed, is read anew. `kinds` has the
    claims by the kind of their slot.
    """

    def __init__(self, slots: Mapping[str, Slot]) -> None:
        self._slots = slots
        self._revision: int | None = None
        self.claims: dict[str, Claim] = {}
        self.jobs: dict[JobId, Claim] = {}
        self._used: dict[str, Resources] = {}
        self._parts: dict[str, set[int]] = {}
        self.weights: Counter[str] = Counter()
        self.kinds: dict[int, dict[JobId, Claim]] = {}
        self.piles: dict[str, dict[tuple[int, Resources], list[int]]] = {}
        self._clear()

    def read(self, unit: UnitOfWork) -> Floor:
        """Bring it up to date."""
        revision = read_revision(unit)
        if revision != self._revision:
            self._clear()
            for row in unit.execute(_CLAIMS):
                resources = Resources(row.cpus, row.memory, row.disk, row.gpus)
                job = JobId(row.cluster_id, row.proc_id)
                self._add(Claim(row.slot, job, row.submitter, resources, row.claimed_at, row.claim_rank))
            self._revision = revision
            unit.if_undone(self.forget)
        return self

    def forget(self) -> None:
        """Read all of it anew the next time."""
        self._revision = None

    def change(self, unit: UnitOfWork, jobs: Iterable[QueuedJob]) -> int:
        """Jobs got a slot or gave theirs back; it is written by the caller. Returns the revision from then
        on.
        """
        self.read(unit)
        changed = list(jobs)
        for job in changed:
            self._remove(job.id)
        for job in changed:
            if job.slot:
                resources = Resources(job.cpus, job.memory, job.disk, job.gpus)
                self._add(
                    Claim(job.slot, job.id, job.submitter, resources, job.claimed_at or 0.0, job.claim_rank)
                )
        assert self._revision is not None
        self._revision += 1
        write_revision(unit, self._revision)
        unit.if_undone(self.forget)
        return self._revision

    def _clear(self) -> None:
        for known in (self.claims, self.jobs, self._used, self._parts, self.weights, self.kinds):
            known.clear()
        self.piles = {slot.machine.pool: {} for slot in self._slots.values()}
        for slot in self._slots.values():
            self._pile(slot)

    def _add(self, claim: Claim) -> None:
        parent = parent_name(claim.slot)
        self._unpile(parent)
        self.claims[claim.slot] = self.jobs[claim.job] = claim
        used = self._used.get(parent)
        self._used[parent] = claim.resources if used is None else used.plus(claim.resources)
        self._parts.setdefault(parent, set()).add(part_number(claim.slot))
        self.weights[claim.submitter] += claim.weight
        self.kinds.setdefault(self._kind(parent), {})[claim.job] = claim
        self._repile(parent)

    def _remove(self, job: JobId) -> None:
        claim = self.jobs.pop(job, None)
        if claim is None:
            return
        parent = parent_name(claim.slot)
        self._unpile(parent)
        del self.claims[claim.slot]
        self._parts[parent].discard(part_number(claim.slot))
        if self._parts[parent]:
            self._used[parent] = self._used[parent].minus(claim.resources)
        else:
            del self._used[parent], self._parts[parent]
        self.weights[claim.submitter] -= claim.weight
        del self.kinds[self._kind(parent)][job]
        if not self.weights[claim.submitter]:
            del self.weights[claim.submitter]
        self._repile(parent)

    def _kind(self, name: str) -> int:
        return self._slots[name].kind if name in self._slots else -1

    def _pile(self, slot: Slot) -> None:
        left = self.free(slot)
        if left is not None and left.cpus > 0:
            insort(self.piles[slot.machine.pool].setdefault((slot.kind, left), []), slot.number)

    def _repile(self, name: str) -> None:
        slot = self._slots.get(name)  # one that is not in the description any more may still be claimed
        if slot is not None:
            self._pile(slot)

    def _unpile(self, name: str) -> None:
        slot = self._slots.get(name)
        left = None if slot is None else self.free(slot)
        if slot is None or left is None or left.cpus <= 0:
            return
        piles = self.piles[slot.machine.pool]
        numbers = piles[slot.kind, left]
        del numbers[bisect_left(numbers, slot.number)]
        if not numbers:
            del piles[slot.kind, left]

    def free(self, slot: Slot) -> Resources | None:
        """What can still be claimed of a configured slot; None for a static one that is claimed.

        In `piles` are those of which something can, by pool, then by kind and what it is, in order.
        """
        used = self._used.get(slot.name)
        if used is None:
            return slot.resources
        return slot.resources.minus(used) if slot.partitionable else None

    def claims_of(self, slot: Slot) -> list[Claim]:
        """The claims on a configured slot, by number of the dynamic slot."""
        if not slot.partitionable:
            claim = self.claims.get(slot.name)
            return [claim] if claim is not None else []
        local, _, machine = slot.name.partition("@")
        return [self.claims[f"{local}_{part}@{machine}"] for part in sorted(self._parts.get(slot.name, ()))]
