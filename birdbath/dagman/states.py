"""How far a DAG and its nodes are: the states, and what tells the engine and is told by it. Plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class NodeStatus(enum.IntEnum):
    """NodeStatus of the node status file, and DagStatus there."""

    NOT_READY = 0
    READY = 1
    PRERUN = 2
    SUBMITTED = 3
    POSTRUN = 4
    DONE = 5
    ERROR = 6
    FUTILE = 7


class DagStatus(enum.IntEnum):
    """DAG_Status in DAGMan's ad."""

    OK = 0
    ERROR = 1
    NODE_FAILED = 2
    ABORT = 3
    RM = 4
    CYCLE = 5
    HALTED = 6


class ProcStatus(enum.StrEnum):
    """What a job of a node is at, as far as DAGMan cares."""

    IDLE = "I"
    RUNNING = "R"
    HELD = "H"


@dataclass
class NodeState:
    """One node: `attempt` counts its retries, `procs` are the jobs of `cluster` that have not ended.

    `value` is the return value of the attempt so far: 0, or that of the first job that failed (minus the
    signal's number for one that was killed). `details` says why a node failed.
    """

    status: NodeStatus = NodeStatus.NOT_READY
    attempt: int = 0
    cluster: int = 0
    value: int = 0
    details: str = ""
    procs: dict[int, ProcStatus] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many of its jobs are held."""
        return sum(status is ProcStatus.HELD for status in self.procs.values())

    @property
    def idle(self) -> int:
        """How many of its jobs do not run: idle or held."""
        return sum(status is not ProcStatus.RUNNING for status in self.procs.values())


@dataclass(frozen=True)
class Throttles:
    """Bounds, 0 for none: nodes with jobs in the queue, and jobs that are idle."""

    max_jobs: int = 0
    max_idle: int = 1000


@dataclass(frozen=True)
class Counts:
    """How many nodes are in each state, and how many jobs there are and were."""

    total: int
    done: int
    queued: int
    ready: int
    unready: int
    failed: int
    futile: int
    jobs_held: int
    jobs_idle: int
    jobs_running: int
    jobs_submitted: int
    jobs_completed: int

    def attributes(self) -> Mapping[str, int]:
        """The `DAG_*` progress attributes."""
        return {
            "DAG_NodesTotal": self.total,
            "DAG_NodesDone": self.done,
            "DAG_NodesPrerun": 0,
            "DAG_NodesQueued": self.queued,
            "DAG_NodesPostrun": 0,
            "DAG_NodesHoldrun": 0,
            "DAG_NodesReady": self.ready,
            "DAG_NodesUnready": self.unready,
            "DAG_NodesFailed": self.failed,
            "DAG_NodesFutile": self.futile,
            "DAG_JobsSubmitted": self.jobs_submitted,
            "DAG_JobsIdle": self.jobs_idle - self.jobs_held,
            "DAG_JobsHeld": self.jobs_held,
            "DAG_JobsRunning": self.jobs_running,
            "DAG_JobsCompleted": self.jobs_completed,
        }


# ---------------------------------------------------------------- what the engine asks for


@dataclass(frozen=True)
class Submit:
    """Queue the jobs of a node, then call `Engine.submitted` or `submit_failed`."""

    node: str


@dataclass(frozen=True)
class Remove:
    """Remove what is left of a cluster."""

    cluster: int
    reason: str


@dataclass(frozen=True)
class Say:
    """A line for dagman.out."""

    text: str


@dataclass(frozen=True)
class WriteRescue:
    """Write a rescue DAG."""


@dataclass(frozen=True)
class Exit:
    """DAGMan ends with this exit code; nothing comes after it."""

    code: int


Action = Submit | Remove | Say | WriteRescue | Exit
