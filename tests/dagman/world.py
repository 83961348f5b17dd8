"""A DAG from text, and a world in which its nodes' jobs run: one queue, first come first served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from birdbath.dagman import (
    JOB_ABORTED,
    Dag,
    DagError,
    Engine,
    Exit,
    Memory,
    Remove,
    Say,
    Submit,
    Throttles,
    WriteRescue,
    read_dag,
)

Outcome = Callable[[str, int], int]
"""What the jobs of a node return at an attempt."""


def dag_of(text: str, rescue: str | None = None, **files: str) -> Dag:
    """The DAG in `text`; other files by name, with `_` for the dot."""
    texts = {"test.dag": text} | {name.replace("_", "."): content for name, content in files.items()}
    if rescue is not None:
        texts["rescue"] = rescue

    def read(name: str) -> str:
        if name not in texts:
            raise DagError(f"{name} is not there")
        return texts[name]

    return read_dag(["test.dag"], read, "rescue" if rescue is not None else None)


@dataclass
class World:
    """Runs an engine to its end; `started` and `ended` are nodes in order, an attempt each."""

    engine: Engine
    outcome: Outcome = lambda node, attempt: 0
    procs: int = 1
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    queue: list[tuple[int, int, str, int]] = field(default_factory=list)
    busiest: int = 0
    rescues: int = 0
    exit_code: int | None = None
    clusters: int = 0

    def run(self) -> World:
        self.settle()
        while self.queue and self.exit_code is None:
            self.step()
        return self

    def step(self, index: int = 0) -> None:
        """Let one job end."""
        cluster, proc, node, attempt = self.queue.pop(index)
        self.ended.append(node)
        self.engine.proc_ended(cluster, proc, self.outcome(node, attempt))
        self.settle()

    def settle(self) -> None:
        """Do what the engine wants."""
        while actions := self.engine.advance():
            for action in actions:
                self._do(action)
        self.busiest = max(self.busiest, len({cluster for cluster, *_ in self.queue}))

    def _do(self, action: object) -> None:
        assert self.exit_code is None, "nothing comes after the exit"
        match action:
            case Submit(node):
                self.clusters += 1
                self.started.append(node)
                attempt = self.engine.states[node].attempt
                self.queue += [(self.clusters, proc, node, attempt) for proc in range(self.procs)]
                self.engine.submitted(node, self.clusters, self.procs)
            case Remove(cluster):
                gone = [job for job in self.queue if job[0] == cluster]
                self.queue = [job for job in self.queue if job[0] != cluster]
                for _, proc, _, _ in gone:
                    self.engine.proc_ended(cluster, proc, JOB_ABORTED)
            case Say(text):
                self.said.append(text)
            case WriteRescue():
                self.rescues += 1
            case Exit(code):
                self.exit_code = code


def run(
    text: str,
    outcome: Mapping[str, list[int]] | None = None,
    throttles: Throttles | None = None,
    procs: int = 1,
    rescue: str | None = None,
    **files: str,
) -> World:
    """Run a DAG; `outcome` has the return values of a node's attempts, the last one for all further ones."""
    values = outcome or {}

    def returns(node: str, attempt: int) -> int:
        listed = values.get(node, [0])
        return listed[min(attempt, len(listed) - 1)]

    engine = Engine(dag_of(text, rescue, **files), throttles or Throttles(), Memory())
    return World(engine, returns, procs).run()
