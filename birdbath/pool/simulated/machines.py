"""The machines of the pool, their slots, and what of them is claimed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from birdbath.classads import Ad, Expression
from birdbath.pool.simulated.description import MachineDescription, PoolDescription, PoolIdentity
from birdbath.pool.simulated.queued_job import Place
from birdbath.pool.simulated.templates import daemon_ad


class Resources(NamedTuple):
    """Cores, MiB of memory, KiB of disk and GPUs."""

    cpus: int
    memory: int
    disk: int
    gpus: int = 0

    def minus(self, other: Resources) -> Resources:
        return Resources(*(mine - its for mine, its in zip(self, other, strict=True)))

    def plus(self, other: Resources) -> Resources:
        return Resources(*(mine + its for mine, its in zip(self, other, strict=True)))

    def holds(self, other: Resources) -> bool:
        return all(mine >= its for mine, its in zip(self, other, strict=True))


@dataclass(frozen=True)
class Machine:
    """One machine; `number` is its place in the pool."""

    name: str
    number: int
    address: str
    pool: str
    description: MachineDescription


@dataclass(frozen=True)
class Slot:
    """One slot as it is configured, static or partitionable, and its ad as it is while nothing claims it.

    `kind` is the same for slots that differ in nothing but their names and addresses; `number` is the slot's
    place in the pool.
    """

    place: Place
    ad: Ad
    machine: Machine
    number: int
    kind: int
    resources: Resources

    @property
    def name(self) -> str:
        return self.place.slot

    @property
    def partitionable(self) -> bool:
        return self.machine.description.partitionable

    def part(self, name: str, resources: Resources) -> Place:
        """The place that an existing claim on this slot, or on a part of it, means."""
        return self.dynamic(part_number(name), resources) if self.partitionable else self.place

    def dynamic(self, number: int, resources: Resources) -> Place:
        """Where a job runs that got `resources` of this partitionable slot."""
        slot = f"slot{self.place.slot_id}_{number}@{self.machine.name}"
        cpus, memory, disk, gpus = resources
        return replace(self.place, slot=slot, cpus=cpus, memory=memory, disk=disk, gpus=gpus)


def part_number(slot: str) -> int:
    """The number of a dynamic slot; 0 for one that is none."""
    return int(slot.partition("@")[0].partition("_")[2] or 0)


def parent_name(slot: str) -> str:
    """The configured slot of which a (perhaps dynamic) slot is a part."""
    local, _, machine = slot.partition("@")
    return f"{local.partition('_')[0]}@{machine}"


def machine_address(index: int) -> str:
    """The address of the pool's machine of that number, from the range that is reserved for tests of
    networks.
    """
    return f"<198.18.{index // 250 % 256}.{index % 250 + 1}:9618>"


def placeholders(identity: PoolIdentity, machine: str, address: str, start: float) -> dict[str, str | int]:
    """The values of the placeholders in daemon ad templates."""
    host, _, port = address.strip("<>").rpartition(":")
    return {
        "MACHINE": machine,
        "ADDRESS": address,
        "HOST": host,
        "PORT": port or "0",
        "COLLECTOR": identity.address,
        "DOMAIN": identity.machine.partition(".")[2] or identity.machine,
        "VERSION": identity.version_string,
        "PLATFORM": identity.platform_string,
        "START": int(start),
    }


def build_machines(description: PoolDescription) -> list[Machine]:
    """All machines of the pool, in the description's order."""
    named = [(name, machine) for machine in description.machines for name in machine.names]
    return [
        Machine(name, number, machine_address(number), machine.pool or description.pools[0], machine)
        for number, (name, machine) in enumerate(named)
    ]


def build_slots(machines: list[Machine], identity: PoolIdentity, start: float) -> dict[str, Slot]:
    """All configured slots by name, in order; their daemons started at `start`."""
    slots: dict[str, Slot] = {}
    kinds: dict[int, int] = {}
    for machine in machines:
        kind = kinds.setdefault(id(machine.description), len(kinds))
        template = _machine_ad(machine, placeholders(identity, machine.name, machine.address, start))
        for number in range(1, machine.description.slots + 1):
            slot = _slot(machine, number, len(slots), kind, template)
            slots[slot.name] = slot
    return slots


_GPUS = "ifthenelse(TARGET.RequestGPUs =?= undefined,0,TARGET.RequestGPUs)"


def _machine_ad(machine: Machine, values: dict[str, str | int]) -> Ad:
    """What the ads of all slots of a machine have in common."""
    of = machine.description
    ad = daemon_ad("slot", "Machine", values, target_type="Job")
    ad.update({"TotalCpus": float(of.cpus), "DetectedCpus": of.cpus, "TotalSlots": of.slots})
    ad.update({"TotalMemory": of.memory, "DetectedMemory": of.memory})
    ad.update({"TotalDisk": of.disk, "DetectedDisk": of.disk})
    ad.update({"TotalVirtualMemory": of.memory * 1024})
    ad.update(
        {"OpSys": of.opsys, "Arch": of.arch, "Start": Expression(of.start), "Rank": Expression(of.rank)}
    )
    if of.preempt != "false":
        ad.set("Preempt", Expression(of.preempt))
    if of.suspend != "false":
        ad.update({"Suspend": Expression(of.suspend), "Continue": Expression(of.continue_)})
    within = ad.attribute("WithinResourceLimits")
    assert within is not None
    if of.gpus:
        ad.update(
            {"TotalGPUs": of.gpus, "DetectedGPUs": of.gpus, "MachineResources": "Cpus Memory Disk Swap GPUs"}
        )
        ad.set("WithinResourceLimits", Expression(f"{within[2]} && {_GPUS} <= MY.GPUs"))
    return ad


def _slot(machine: Machine, number: int, place: int, kind: int, template: Ad) -> Slot:
    of = machine.description
    name = f"slot{number}@{machine.name}"
    share = Resources(of.cpus // of.slots, of.memory // of.slots, of.disk // of.slots, of.gpus // of.slots)
    ad = Ad(template)
    ad.update({"Name": name, "SlotID": number})
    ad.update(
        {"TotalSlotCpus": share.cpus, "TotalSlotMemory": share.memory, "TotalSlotDisk": float(share.disk)}
    )
    ad.set("VirtualMemory", share.memory * 1024)
    set_resources(ad, share, of.gpus > 0)
    if of.partitionable:
        ad.update({"SlotType": "Partitionable", "PartitionableSlot": True, "NumDynamicSlots": 0})
    ad.update(dict(of.attributes))
    ad.update({name: Expression(text) for name, text in of.expressions.items()})
    where = Place(name, number, machine.name, machine.address, *share)
    return Slot(where, ad, machine, place, kind, share)


def set_resources(ad: Ad, resources: Resources, gpus: bool) -> None:
    """Put what a slot has into its ad."""
    ad.update({"Cpus": resources.cpus, "Memory": resources.memory, "Disk": resources.disk})
    if gpus:
        ad.set("GPUs", resources.gpus)
