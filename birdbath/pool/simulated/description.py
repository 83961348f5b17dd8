"""What a simulated pool consists of: its machines, users, names and habits. Plain values; times in seconds of
pool time, memory in MiB, disk in KiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from birdbath.classads import Scalar

_NOTHING_ELSE = {"extra": "forbid"}
"""For whoever reads these from a file: a name that is none of theirs is a mistake."""


@dataclass(frozen=True)
class MachineDescription:
    """`count` machines alike, each divided evenly into static `slots`, or one `partitionable` slot.

    With a `count` above 1 the `name` has `{}` where the number stands. `attributes` and `expressions`
    (ClassAd text) are put into each slot ad on top of the usual ones. `start`, `rank`, `preempt`, `suspend`
    and `continue_` (`continue` in a file) are START, RANK, PREEMPT, SUSPEND and CONTINUE. `pool` is the name
    of a pool, the first one if empty.
    """

    __pydantic_config__ = _NOTHING_ELSE

    name: str
    slots: int = 1
    cpus: int = 1
    memory: int = 1024
    disk: int = 200_000_000
    gpus: int = 0
    count: int = 1
    partitionable: bool = False
    pool: str = ""
    opsys: str = "LINUX"
    arch: str = "X86_64"
    start: str = "true"
    rank: str = "0.0"
    preempt: str = "false"
    suspend: str = "false"
    continue_: Annotated[str, Field(alias="continue")] = "true"
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The machines' names."""
        return [self.name] if self.count == 1 else [self.name.format(n) for n in range(1, self.count + 1)]


@dataclass(frozen=True)
class ScheddDescription:
    """A schedd: the pool that it belongs to (the first one if empty), and those it flocks to, in order.

    A job belongs to the schedd that its attribute SimSchedd names, else to the first one.
    """

    __pydantic_config__ = _NOTHING_ELSE

    name: str
    pool: str = ""
    flock_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserDescription:
    """A submitter as the negotiator knows him before his first job; `name` without @ is one of
    `uid_domain`.
    """

    __pydantic_config__ = _NOTHING_ELSE

    name: str
    priority_factor: float = 1000.0
    priority: float = 0.5


@dataclass(frozen=True)
class GroupDescription:
    """An accounting group: below 1 its quota is that part of the pool, else so many (weighted) slots."""

    __pydantic_config__ = _NOTHING_ELSE

    name: str
    quota: float
    accept_surplus: bool = True


@dataclass(frozen=True)
class Duration:
    """How long something takes: `mean` exactly, or distributed around it.

    `spread` is the standard deviation of a normal and of a lognormal distribution, half the width of a
    uniform one.
    """

    __pydantic_config__ = _NOTHING_ELSE

    mean: float
    distribution: Literal["fixed", "exponential", "uniform", "normal", "lognormal"] = "fixed"
    spread: float = 0.0


@dataclass(frozen=True)
class ProgramDescription:
    """Programs whose Cmd the shell pattern `cmd` matches: how long they take and what they return.

    SimRuntime in a job's ad wins over `runtime`; `memory` is how much of it they use at most.
    """

    __pydantic_config__ = _NOTHING_ELSE

    cmd: str = "*"
    runtime: Duration | None = None
    exit_code: int = 0
    memory: int | None = None


FaultKind = Literal[
    "machine dies",
    "negotiator stops",
    "eviction",
    "shadow exception",
    "exit code",
    "signal",
    "transfer failure",
]


@dataclass(frozen=True)
class FaultDescription:
    """Something that goes wrong.

    "machine dies" (`machine`: a shell pattern) and "negotiator stops" (so that the queue grows long) happen
    `at` so many seconds of the pool's life, or `every` so often, for `duration`. The others befall each run
    of a job whose Cmd the pattern `cmd` matches with `probability`, `after` it has run so long (none: at a
    random moment; an exit code or signal, `value`, comes at the end), at most `most` times a job.
    """

    __pydantic_config__ = _NOTHING_ELSE

    kind: FaultKind
    machine: str = "*"
    at: float | None = None
    every: Duration | None = None
    duration: float = 3600.0
    cmd: str = "*"
    probability: float = 1.0
    after: float | None = None
    value: int = 1
    most: int = 1_000_000


DEFAULT_MACHINES = (
    MachineDescription("exec-1.pool.example.org", slots=8, cpus=8, memory=16384),
    MachineDescription("exec-2.pool.example.org", slots=4, cpus=4, memory=32768),
    MachineDescription("exec-3.pool.example.org", slots=2, cpus=8, memory=65536),
    MachineDescription("exec-4.pool.example.org", slots=2, cpus=16, memory=131072),
)
"""Sixteen slots on four machines, from one core and 2 GiB to eight cores and 64 GiB."""


@dataclass(frozen=True)
class PoolDescription:
    """Machines, and how long things take.

    `cycle_interval`: between negotiation cycles when nothing asks for one; `cycle_delay`: from a submission
    to the cycle it asks for; `cycle_pause`: between two cycles at least; `claim_worklife`: so long a schedd
    keeps a slot for further jobs of the same user (0: each job is negotiated for); `policy_interval`: between
    evaluations of a job's periodic expressions; `default_runtime`: of programs that do not say how long they
    take; `image_update_after`: from a program's start to the first report of its size; `transfer_output`: how
    long output takes to come back. `max_local_jobs` run on the submit machine at a time. `priority_halflife`
    is PRIORITY_HALFLIFE, `preemption_requirements` PREEMPTION_REQUIREMENTS. Users are `owner@uid_domain`. All
    randomness comes from `seed`.
    """

    __pydantic_config__ = _NOTHING_ELSE

    machines: tuple[MachineDescription, ...] = DEFAULT_MACHINES
    pools: tuple[str, ...] = ("pool",)
    schedds: tuple[ScheddDescription, ...] = ()
    users: tuple[UserDescription, ...] = ()
    groups: tuple[GroupDescription, ...] = ()
    concurrency_limits: Mapping[str, int] = field(default_factory=dict)
    programs: tuple[ProgramDescription, ...] = ()
    faults: tuple[FaultDescription, ...] = ()
    seed: int = 0
    cycle_interval: float = 20.0
    cycle_delay: float = 0.1
    cycle_pause: float = 0.0
    claim_worklife: float = 0.0
    policy_interval: float = 60.0
    default_runtime: float = 1.0
    image_update_after: float = 2.0
    transfer_output: float = 0.0
    max_local_jobs: int = 200
    priority_halflife: float = 86400.0
    preemption_requirements: str = "false"
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
