"""What a DAG is: nodes, edges, limits. Plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from birdbath.dagman.errors import DagError


class NodeKind(enum.StrEnum):
    """What a node runs: a job, another DAG, or a job that comes when all others are through."""

    JOB = "JOB"
    SUBDAG = "SUBDAG"
    FINAL = "FINAL"


@dataclass(frozen=True)
class Variable:
    """A macro for the node's submit description; `append`: it wins over the description's own commands."""

    name: str
    value: str
    append: bool = False


@dataclass(frozen=True)
class Script:
    """A PRE, POST or HOLD script; recorded, never executed."""

    when: str
    command: str


@dataclass(frozen=True)
class Retry:
    """Run a failed node again, `most` times, unless it returned `unless_exit`."""

    most: int
    unless_exit: int | None = None


@dataclass(frozen=True)
class AbortOn:
    """Abort the whole DAG when the node's job returns `value`; DAGMan then exits with `exit_code`."""

    value: int
    exit_code: int


@dataclass(frozen=True)
class Node:
    """One node. `submit` names a submit description (of a SUBDAG: a DAG); or `description` is its text."""

    name: str
    kind: NodeKind
    submit: str
    description: str | None = None
    directory: str = ""
    noop: bool = False
    done: bool = False
    variables: tuple[Variable, ...] = ()
    scripts: tuple[Script, ...] = ()
    retry: Retry = field(default=Retry(0))
    priority: int = 0
    category: str | None = None
    abort_on: AbortOn | None = None


@dataclass(frozen=True)
class StatusFile:
    """NODE_STATUS_FILE: its name, and the least seconds between two writings of it."""

    name: str
    interval: int = 60
    always: bool = False


@dataclass(frozen=True)
class Dag:
    """A whole workflow, splices and included files resolved; nodes in the order of the files.

    `children` has an entry for every node. `category_limits` are MAXJOBS, `attributes` SET_JOB_ATTR, and
    `warnings` says what was read and has no effect here.
    """

    files: tuple[str, ...]
    nodes: Mapping[str, Node]
    children: Mapping[str, tuple[str, ...]]
    category_limits: Mapping[str, int] = field(default_factory=dict)
    status_file: StatusFile | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def final(self) -> Node | None:
        """The FINAL node, if there is one."""
        return next((node for node in self.nodes.values() if node.kind is NodeKind.FINAL), None)

    def parents(self) -> dict[str, list[str]]:
        """The parents of every node, in order."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, children in self.children.items():
            for child in children:
                found[child].append(name)
        return found

    def check_cycles(self) -> None:
        """Raises DagError when a node would wait for itself, directly or through others."""
        try:
            TopologicalSorter(self.parents()).prepare()
        except CycleError as error:
            path = " -> ".join(error.args[1])
            raise DagError(f"{self.files[0]}: the DAG has a cycle: {path}") from None
