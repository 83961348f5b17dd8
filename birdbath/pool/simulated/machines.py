"""The machines of the pool and their slots."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.classads import Ad, CompiledAd
from birdbath.pool.simulated.description import MachineDescription, PoolDescription, PoolIdentity
from birdbath.pool.simulated.evaluation import compiled_at
from birdbath.pool.simulated.lifecycle import Place
from birdbath.pool.simulated.templates import daemon_ad


@dataclass(frozen=True)
class Slot:
    """One static slot: where jobs run, and its ad as it is while unclaimed."""

    place: Place
    ad: Ad

    @property
    def name(self) -> str:
        return self.place.slot

    def parsed_at(self, now: float) -> CompiledAd:
        """The unclaimed slot's ad as matchmaking evaluates it at pool time `now`."""
        return compiled_at(self.ad, now)


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


def build_slots(description: PoolDescription, identity: PoolIdentity, start: float) -> dict[str, Slot]:
    """All slots of the pool by name, in the description's order; their daemons started at `start`."""
    slots: dict[str, Slot] = {}
    for index, machine in enumerate(description.machines):
        address = machine_address(index)
        template = _machine_ad(machine, placeholders(identity, machine.name, address, start))
        for number in range(1, machine.slots + 1):
            slot = _slot(machine, number, address, template)
            slots[slot.name] = slot
    return slots


def _machine_ad(machine: MachineDescription, values: dict[str, str | int]) -> Ad:
    """What the ads of all slots of a machine have in common."""
    ad = daemon_ad("slot", "Machine", values, target_type="Job")
    ad.update({"TotalCpus": float(machine.cpus), "DetectedCpus": machine.cpus, "TotalSlots": machine.slots})
    ad.update({"TotalMemory": machine.memory, "DetectedMemory": machine.memory})
    ad.update({"TotalDisk": machine.disk, "DetectedDisk": machine.disk})
    ad.update({"TotalVirtualMemory": machine.memory * 1024})
    return ad


def _slot(machine: MachineDescription, number: int, address: str, template: Ad) -> Slot:
    name = f"slot{number}@{machine.name}"
    cpus, memory = machine.cpus // machine.slots, machine.memory // machine.slots
    disk = machine.disk // machine.slots
    ad = Ad(template)
    ad.update({"Name": name, "SlotID": number, "Cpus": cpus, "Memory": memory, "Disk": disk})
    ad.update({"TotalSlotCpus": cpus, "TotalSlotMemory": memory, "TotalSlotDisk": float(disk)})
    ad.set("VirtualMemory", memory * 1024)
    ad.update(dict(machine.attributes))
    return Slot(Place(name, number, machine.name, address, cpus, memory, disk), ad)
