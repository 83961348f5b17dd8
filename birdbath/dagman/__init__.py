"""DAGMan without I/O: `reading` makes a graph of a DAG's text, `engine` says what runs when, `files` what it
leaves behind.
"""

from birdbath.dagman.engine import JOB_ABORTED, Engine, Memory
from birdbath.dagman.errors import DagError
from birdbath.dagman.graph import Dag, Node, NodeKind, Variable
from birdbath.dagman.options import PROGRAM, Options, parse_options
from birdbath.dagman.reading import read_dag
from birdbath.dagman.states import (
    Action,
    Counts,
    DagStatus,
    Exit,
    NodeState,
    NodeStatus,
    ProcStatus,
    Remove,
    Say,
    Submit,
    Throttles,
    WriteRescue,
)

__all__ = [
    "JOB_ABORTED",
    "PROGRAM",
    "Action",
    "Counts",
    "Dag",
    "DagError",
    "DagStatus",
    "Engine",
    "Exit",
    "Memory",
    "Node",
    "NodeKind",
    "NodeState",
    "NodeStatus",
    "Options",
    "ProcStatus",
    "Remove",
    "Say",
    "Submit",
    "Throttles",
    "Variable",
    "WriteRescue",
    "parse_options",
    "read_dag",
]
