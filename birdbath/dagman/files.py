"""The files that DAGMan writes: rescue DAG, node status file, dagman.out. Their texts only, no I/O."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence

from birdbath.dagman.engine import Engine
from birdbath.dagman.graph import Dag
from birdbath.dagman.states import Counts, DagStatus, NodeState, NodeStatus

RESCUE_VERSION = "2.0.1"
MAX_RESCUE = 999
_RESCUE = re.compile(r"\.rescue([0-9]{3})\Z")


def rescue_base(files: Sequence[str]) -> str:
    """What the names of rescue DAGs begin with: the DAG's file, and `_multi` for several."""
    return files[0] + ("_multi" if len(files) > 1 else "")


def rescue_name(files: Sequence[str], number: int) -> str:
    """The rescue DAG's name."""
    return f"{rescue_base(files)}.rescue{number:03}"


def rescue_numbers(files: Sequence[str], existing: Iterable[str]) -> list[int]:
    """The numbers of the rescue DAGs among the existing files, ascending."""
    base = rescue_base(files)
    found = (_RESCUE.fullmatch(name, len(base)) for name in existing if name.startswith(base))
    return sorted(int(match[1]) for match in found if match)


def rescue_text(engine: Engine, now: float, whole: bool = False) -> str:
    """A rescue DAG: what is done, to be laid over the DAG. A `whole` one includes it and runs by itself."""
    dag, counts = engine.dag, engine.counts()
    moment = time.gmtime(now)
    created = f"{moment.tm_mon}/{moment.tm_mday}/{moment.tm_year} {time.strftime('%H:%M:%S', moment)} UTC"
    done = [name for name, state in engine.states.items() if state.status is NodeStatus.DONE]
    lines = [
        "# Rescue DAG file, created after running",
        f"#   the {' '.join(dag.files)} DAG file",
        f"# Created {created}",
        f"# Rescue DAG version: {RESCUE_VERSION} ({'full' if whole else 'partial'})",
        "#",
        f"# Total number of Nodes: {counts.total}",
        f"# Nodes premarked DONE: {counts.done}",
        f"# Nodes that failed: {counts.failed}",
        "#   " + "".join(f"{name}," for name in engine.failed()) + "<ENDLIST>",
        "",
        *([f"INCLUDE {file}" for file in dag.files] if whole else ()),
        *(f"DONE {name}" for name in done),
    ]
    return "\n".join(lines) + "\n"


def status_text(engine: Engine, now: float, interval: int) -> str:
    """The node status file: one ad for the DAG, one for each node, one that closes."""
    dag, counts, memory = engine.dag, engine.counts(), engine.memory
    whole = _whole_status(counts, memory.exited, memory.exit_code)
    ads = [_dag_ad(dag, counts, whole, memory.status, now)]
    ads += [_node_ad(name, state) for name, state in engine.states.items()]
    following = 0 if memory.exited else int(now) + interval
    moments = {"EndTime": _moment(now), "NextUpdate": _moment(following) if following else '0; /* "none" */'}
    ads.append(_ad("StatusEnd", moments))
    return "".join(ads)


def _whole_status(counts: Counts, exited: bool, exit_code: int) -> NodeStatus:
    if exited:
        return NodeStatus.DONE if exit_code == 0 else NodeStatus.ERROR
    return NodeStatus.SUBMITTED if counts.queued or counts.ready else NodeStatus.READY


def _ad(kind: str, attributes: Mapping[str, str]) -> str:
    lines = [f'  Type = "{kind}";', *(f"  {name} = {text}" for name, text in attributes.items())]
    return "\n".join(["[", *lines, "]", ""])


def _dag_ad(dag: Dag, counts: Counts, whole: NodeStatus, status: DagStatus, now: float) -> str:
    files = ",\n".join(f"    {_string(file)}" for file in dag.files)
    numbers = {
        "NodesTotal": counts.total,
        "NodesDone": counts.done,
        "NodesPre": 0,
        "NodesQueued": counts.queued,
        "NodesPost": 0,
        "NodesReady": counts.ready,
        "NodesUnready": counts.unready,
        "NodesFutile": counts.futile,
        "NodesFailed": counts.failed,
        "JobProcsHeld": counts.jobs_held,
    }
    attributes = {"DagFiles": f"{{\n{files}\n  }};", "Timestamp": _moment(now)}
    note = f" (DAG_STATUS_{status.name})" if status is not DagStatus.OK else ""
    attributes["DagStatus"] = f'{int(whole)}; /* "STATUS_{whole.name}{note}" */'
    attributes |= {name: f"{number};" for name, number in numbers.items()}
    attributes["JobProcsIdle"] = f"{counts.jobs_idle}; /* includes held */"
    return _ad("DagStatus", attributes)


def _node_ad(name: str, state: NodeState) -> str:
    details = state.details
    if state.status is NodeStatus.SUBMITTED:
        details = "not_idle" if state.idle < len(state.procs) else "idle"
    attributes = {
        "Node": f"{_string(name)};",
        "NodeStatus": f'{int(state.status)}; /* "STATUS_{state.status.name}" */',
        "StatusDetails": f"{_string(details)};",
        "RetryCount": f"{state.attempt};",
        "JobProcsQueued": f"{len(state.procs)};",
        "JobProcsHeld": f"{state.held};",
    }
    return _ad("NodeStatus", attributes)


def _moment(now: float) -> str:
    return f'{int(now)}; /* "{time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(now))}" */'


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def out_lines(lines: Iterable[str], now: float) -> str:
    """Lines of dagman.out, each with the time (UTC) before it."""
    stamp = time.strftime("%m/%d/%y %H:%M:%S", time.gmtime(now))
    return "".join(f"{stamp} {line}\n" for line in lines)


def progress_lines(counts: Counts, status: DagStatus) -> list[str]:
    """The table of node states that DAGMan prints after every change."""
    numbers = (counts.done, 0, counts.queued, 0, counts.ready, counts.unready, counts.failed, counts.futile)
    return [
        f"DAG status: {int(status)} (DAG_STATUS_{status.name})",
        f"Of {counts.total} nodes total:",
        " Done     Pre   Queued    Post   Ready   Un-Ready   Failed   Futile",
        "  ===     ===      ===     ===     ===        ===      ===      ===",
        "{:5d}   {:5d}    {:5d}   {:5d}   {:5d}      {:5d}    {:5d}    {:5d}".format(*numbers),
        f"{counts.jobs_held} job proc(s) currently held",
    ]
