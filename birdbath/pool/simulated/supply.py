"""What is free in a pool while one step of a negotiation cycle gives it away."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from birdbath.pool.simulated.floor import Floor
from birdbath.pool.simulated.machines import Resources, Slot, part_number
from birdbath.pool.simulated.queued_job import Place


class Supply:
    """What is free in a pool: slots that differ in nothing are together, the first of the pool first."""

    def __init__(self, slots: list[Slot], floor: Floor, pool: str, unusable: Sequence[int]) -> None:
        self._slots = slots
        self._floor = floor
        self._parts: dict[int, set[int]] = {}
        self.piles = {pile: list(numbers) for pile, numbers in floor.piles[pool].items()}
        for number in unusable:
            slot = slots[number]
            left = floor.free(slot)
            if slot.machine.pool == pool and left is not None and left.cpus > 0:
                self._drop((slot.kind, left), number)

    def slot(self, number: int) -> Slot:
        return self._slots[number]

    def take(self, pile: tuple[int, Resources], number: int, request: Resources) -> None:
        """A slot of a pile is claimed, if it is a partitionable one that much of it."""
        self._drop(pile, number)
        slot = self._slots[number]
        left = pile[1].minus(request)
        if slot.partitionable and left.cpus > 0:
            insort(self.piles.setdefault((slot.kind, left), []), number)

    def _drop(self, pile: tuple[int, Resources], number: int) -> None:
        self.piles[pile].remove(number)
        if not self.piles[pile]:
            del self.piles[pile]

    def place(self, slot: Slot, request: Resources) -> Place:
        """Where a job goes that gets `request` of a slot."""
        if not slot.partitionable:
            return slot.place
        used = self._parts.setdefault(
            slot.number, {part_number(claim.slot) for claim in self._floor.claims_of(slot)}
        )
        part = next(number for number in range(1, len(used) + 2) if number not in used)
        used.add(part)
        return slot.dynamic(part, request)
