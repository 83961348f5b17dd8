"""What DAGMan remembers between two calls, as one JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from birdbath.dagman import Dag, DagStatus, Memory, NodeState, NodeStatus, ProcStatus


@dataclass
class Remembered:
    """The engine's memory, and what DAGMan itself has to know.

    `rescue`: the rescue DAG that it began with; `out_size`, `log_size`: bytes of dagman.out and of the nodes'
    log that are valid, what is behind them is of an attempt that was undone; `status_at`: when the node
    status file may be written next, `status_due`: that it must be then; `paused`: clusters that were held
    because DAGMan was.
    """

    memory: Memory = field(default_factory=Memory)
    rescue: str | None = None
    out_size: int | None = None
    log_size: int | None = None
    status_at: float = 0.0
    status_due: bool = False
    paused: list[int] = field(default_factory=list)

    def to_json(self) -> str:
        """The text; nodes in the order of the DAG, most of them only a number."""
        memory = self.memory
        return orjson.dumps(
            {
                "nodes": [_packed(state) for state in memory.states.values()],
                "dag": [int(memory.status), memory.exit_code, memory.exited],
                "jobs": [memory.jobs_submitted, memory.jobs_completed],
                "rescue": self.rescue,
                "sizes": [self.out_size, self.log_size],
                "status": [self.status_at, self.status_due],
                "paused": self.paused,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str, dag: Dag) -> Remembered:
        """What `to_json` wrote for this DAG. Raises ValueError when the DAG is not the one it was."""
        data = orjson.loads(text)
        status, exit_code, exited = data["dag"]
        submitted, completed = data["jobs"]
        states = {name: _unpacked(state) for name, state in zip(dag.nodes, data["nodes"], strict=True)}
        memory = Memory(states, DagStatus(status), exit_code, exited, submitted, completed)
        out_size, log_size = data["sizes"]
        status_at, status_due = data["status"]
        return cls(memory, data["rescue"], out_size, log_size, status_at, status_due, data["paused"])


def rescue_of(text: str) -> str | None:
    """The rescue DAG that was remembered: needed to read the DAG before the rest can be."""
    rescue = orjson.loads(text)["rescue"]
    return None if rescue is None else str(rescue)


def _packed(state: NodeState) -> Any:
    if not (state.attempt or state.procs or state.details):
        return int(state.status)
    procs = {str(proc): status.value for proc, status in state.procs.items()}
    return [int(state.status), state.attempt, state.cluster, state.value, state.details, procs]


def _unpacked(packed: Any) -> NodeState:
    if isinstance(packed, int):
        return NodeState(NodeStatus(packed))
    status, attempt, cluster, value, details, procs = packed
    statuses: Mapping[str, str] = procs
    return NodeState(
        NodeStatus(status),
        attempt,
        cluster,
        value,
        details,
        {int(proc): ProcStatus(name) for proc, name in statuses.items()},
    )
