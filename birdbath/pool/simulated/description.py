"""What a simulated pool consists of: its machines, its names and its habits. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.classads import Scalar


@dataclass(frozen=True)
class MachineDescription:
    """One machine divided evenly into static slots. Memory in MiB and disk in KiB are the whole machine's.

    `attributes` are put into each slot ad on top of the usual ones.
    """

    name: str
    slots: int
    cpus: int
    memory: int
    disk: int = 200_000_000
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


DEFAULT_MACHINES = (
    MachineDescription("exec-1.pool.example.org", slots=8, cpus=8, memory=16384),
    MachineDescription("exec-2.pool.example.org", slots=4, cpus=4, memory=32768),
    MachineDescription("exec-3.pool.example.org", slots=2, cpus=8, memory=65536),
    MachineDescription("exec-4.pool.example.org", slots=2, cpus=16, memory=131072),
)
"""Sixteen slots on four machines, from one core and 2 GiB to eight cores and 64 GiB."""


@dataclass(frozen=True)
class PoolDescription:
    """Machines, and how long things take, in seconds of pool time.

    `cycle_interval`: between negotiation cycles when nothing asks for one; `cycle_delay`: from a submission
    to the cycle it asks for; `policy_interval`: between evaluations of a job's periodic expressions;
    `default_runtime`: of programs that do not say how long they take; `image_update_after`: from a program's
    start to the first report of its size. `max_local_jobs` run on the submit machine at a time. Users are
    `owner@uid_domain`.
    """

    machines: tuple[MachineDescription, ...] = DEFAULT_MACHINES
    cycle_interval: float = 20.0
    cycle_delay: float = 0.1
    policy_interval: float = 60.0
    default_runtime: float = 1.0
    image_update_after: float = 2.0
    max_local_jobs: int = 200
    uid_domain: str = "birdbath.example.org"


@dataclass(frozen=True)
class PoolIdentity:
    """Who the pool says it is. `address` is the `host:port` of the server that speaks for it."""

    name: str = "schedd@birdbath.example.org"
    address: str = "127.0.0.1:8080"
    version_string: str = "$CondorVersion: 8.4.12 $"
    platform_string: str = "$CondorPlatform: x86_64_Linux $"

    @property
    def sinful(self) -> str:
        """The address as HTCondor writes it, `<host:port>`."""
        return f"<{self.address}>"

    @property
    def machine(self) -> str:
        """The submit machine's name."""
        return self.name.partition("@")[2] or self.name
