"""DAGMan: which nodes run when. A state machine without I/O.

It is told what became of the jobs of nodes and says what to do: submit a node, remove a cluster, write a
rescue DAG, exit. Everything it has to remember is in `states`, `status`, `exit_code`, `jobs_submitted` and
`jobs_completed`; an engine that is given them goes on where the former one was. The order of its actions
depends on nothing else.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.dagman.graph import Dag, Node, NodeKind
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

SUBMIT_FAILED = -1001
JOB_ABORTED = -1004
"""Return values of nodes whose jobs could not be submitted, or were removed by somebody else."""
_UNFINISHED = (NodeStatus.NOT_READY, NodeStatus.READY)


@dataclass
class Memory:
    """What an engine has to remember besides its DAG."""

    states: dict[str, NodeState] = field(default_factory=dict)
    status: DagStatus = DagStatus.OK
    exit_code: int = 0
    exited: bool = False
    jobs_submitted: int = 0
    jobs_completed: int = 0


class Engine:
    """One DAG in execution. `memory.states` must have every node, or none for a DAG that begins."""

    def __init__(self, dag: Dag, throttles: Throttles, memory: Memory | None = None) -> None:
        self.dag = dag
        self.memory = memory or Memory()
        self.parents = dag.parents()
        self._throttles = throttles
        self._final = dag.final
        self._order = {name: number for number, name in enumerate(dag.nodes)}
        self._actions: list[Action] = []
        if not self.memory.states:
            self._begin()
        self._rebuild()

    @property
    def states(self) -> Mapping[str, NodeState]:
        """Every node's state, in the order of the DAG."""
        return self.memory.states

    def _begin(self) -> None:
        for node in self.dag.nodes.values():
            done = node.done and node.kind is not NodeKind.FINAL
            self.memory.states[node.name] = NodeState(NodeStatus.DONE if done else NodeStatus.NOT_READY)

    def _rebuild(self) -> None:
        """What follows from the states, and is kept only for speed."""
        states = self.memory.states
        self._waiting = {
            name: sum(states[parent].status is not NodeStatus.DONE for parent in parents)
            for name, parents in self.parents.items()
        }
        self._tally = Counter(state.status for state in states.values())
        self._nodes_of = {state.cluster: name for name, state in states.items() if state.procs}
        self._busy = Counter(
            self.dag.nodes[name].category
            for name, state in states.items()
            if state.status is NodeStatus.SUBMITTED
        )
        self._idle = sum(state.idle for state in states.values())
        self._held = sum(state.held for state in states.values())
        self._jobs = sum(len(state.procs) for state in states.values())
        self._ready: list[tuple[int, int, str]] = []
        for name, state in states.items():
            waits_in_vain = self._abandoned and not self._is_final(name)
            if state.status is NodeStatus.READY or (
                state.status is NodeStatus.NOT_READY and self._waiting[name] == 0 and not waits_in_vain
            ):
                self._make_ready(name)

    def counts(self) -> Counts:
        """How far everything is."""
        tally = self._tally
        return Counts(
            total=len(self.dag.nodes),
            done=tally[NodeStatus.DONE],
            queued=tally[NodeStatus.SUBMITTED],
            ready=tally[NodeStatus.READY],
            unready=tally[NodeStatus.NOT_READY],
            failed=tally[NodeStatus.ERROR],
            futile=tally[NodeStatus.FUTILE],
            jobs_held=self._held,
            jobs_idle=self._idle,
            jobs_running=self._jobs - self._idle,
            jobs_submitted=self.memory.jobs_submitted,
            jobs_completed=self.memory.jobs_completed,
        )

    # ------------------------------------------------------------ what it is told

    def advance(self) -> list[Action]:
        """What is to be done now, with at most one node to submit. Call it again until there is nothing."""
        if not self.memory.exited:
            self._submit_ready()
            self._finish()
        actions, self._actions = self._actions, []
        return actions

    def submitted(self, name: str, cluster: int, procs: int) -> None:
        """The jobs of a node were queued, `procs` of them."""
        state = self.memory.states[name]
        self._drop_procs(name)
        state.cluster = cluster
        self._nodes_of[cluster] = name
        for proc in range(procs):
            self._set_proc(name, proc, ProcStatus.IDLE)
        self.memory.jobs_submitted += procs
        self._say(f"\tassigned HTCondor ID ({cluster}.0.0)")

    def submit_failed(self, name: str, why: str) -> None:
        """A node's jobs could not be queued: as if they had failed."""
        self._say(f"ERROR: submit of node {name} failed: {why}")
        self._drop_procs(name)
        state = self.memory.states[name]
        state.value = SUBMIT_FAILED
        self._ended(name, f"Job submit failed: {why}")

    def proc_is(self, cluster: int, proc: int, status: ProcStatus) -> None:
        """A job of a node is idle, running or held now."""
        name = self._nodes_of.get(cluster)
        if name is None or self.memory.states[name].procs.get(proc) in (None, status):
            return
        self._say(f"Node {name} job proc ({cluster}.{proc}.0) is {status.name.lower()}")
        self._set_proc(name, proc, status)

    def proc_ended(self, cluster: int, proc: int, value: int) -> None:
        """A job of a node left the queue for good, with this return value."""
        name = self._nodes_of.get(cluster)
        if name is None or proc not in self.memory.states[name].procs:
            return
        state = self.memory.states[name]
        self._forget_proc(name, proc)
        self.memory.jobs_completed += value != JOB_ABORTED
        self._say(f"Node {name} job proc ({cluster}.{proc}.0) {_ending(value)}")
        if value != 0 and state.value == 0:
            state.value = value
            if state.procs:
                self._actions.append(Remove(cluster, f"DAGMan: another job of node {name} failed"))
        if not state.procs:
            self._ended(name, f"Job proc ({cluster}.{proc}.0) {_ending(state.value)}")

    def removed(self) -> list[Action]:
        """DAGMan itself was removed: its jobs go, a rescue DAG stays. A FINAL node runs before: go on with
        `advance`.
        """
        if self.memory.exited:
            return []
        self.memory.status, self.memory.exit_code = DagStatus.RM, 2
        self._say("Received SIGUSR1: the DAG is removed")
        self._abandon("DAGMan was removed")
        return self.advance()

    @property
    def _abandoned(self) -> bool:
        """Whether no node but the FINAL one may begin any more."""
        return self.memory.status in (DagStatus.ABORT, DagStatus.RM)

    # ------------------------------------------------------------ nodes

    def _submit_ready(self) -> None:
        deferred: list[tuple[int, int, str]] = []
        submitting = False  # one at a time: how many jobs a node has is not known before
        while self._ready and not submitting and not self._throttled():
            entry = heapq.heappop(self._ready)
            name = entry[2]
            if self.memory.states[name].status is not NodeStatus.READY:
                continue
            if self._category_full(self.dag.nodes[name]):
                deferred.append(entry)
            else:
                submitting = self._start(name)
        for entry in deferred:
            heapq.heappush(self._ready, entry)

    def _throttled(self) -> bool:
        most = self._throttles
        full = 0 < most.max_jobs <= self._tally[NodeStatus.SUBMITTED]
        return full or 0 < most.max_idle <= self._idle

    def _category_full(self, node: Node) -> bool:
        limit = self.dag.category_limits.get(node.category) if node.category else None
        return limit is not None and self._busy[node.category] >= limit

    def _start(self, name: str) -> bool:
        """Begin an attempt; whether its jobs are to be submitted now."""
        node, state = self.dag.nodes[name], self.memory.states[name]
        self._record_scripts(node, "PRE")
        state.value, state.details = 0, ""
        if node.noop:
            self._say(f"Node {name} is a NOOP: its jobs are not run")
            self._ended(name, "")
            return False
        self._enter(name, NodeStatus.SUBMITTED)
        # Until its jobs are queued and counted the node has one that is idle.
        self._set_proc(name, -1, ProcStatus.IDLE)
        self._say(f"Submitting HTCondor Node {name} job(s)...")
        self._actions.append(Submit(name))
        return True

    def _record_scripts(self, node: Node, when: str) -> None:
        for script in node.scripts:
            if script.when == when:
                self._say(f"{when} script of node {node.name} is recorded, not executed: {script.command}")

    def _ended(self, name: str, why: str) -> None:
        """All jobs of a node's attempt have ended."""
        node, state = self.dag.nodes[name], self.memory.states[name]
        self._record_scripts(node, "POST")
        if node.abort_on is not None and node.abort_on.value == state.value:
            self._settle(name, why)
            self._abort(node)
        elif state.value != 0 and self._may_retry(node, state):
            state.attempt += 1
            self._say(f"Retrying node {name} (retry #{state.attempt} of {node.retry.most})...")
            self._make_ready(name)
        else:
            self._settle(name, why)

    @staticmethod
    def _may_retry(node: Node, state: NodeState) -> bool:
        return state.attempt < node.retry.most and state.value != node.retry.unless_exit

    def _settle(self, name: str, why: str) -> None:
        state = self.memory.states[name]
        if state.value == 0:
            self._say(f"Node {name} completed successfully.")
            self._enter(name, NodeStatus.DONE)
            for child in self.dag.children[name]:
                self._waiting[child] -= 1
                if self._waiting[child] == 0 and self.memory.states[child].status is NodeStatus.NOT_READY:
                    self._make_ready(child)
            return
        self._fail(name, why)
        if self.memory.status is DagStatus.OK:
            self.memory.status = DagStatus.NODE_FAILED
        pending = list(self.dag.children[name])
        while pending:
            child = pending.pop()
            if self.memory.states[child].status in _UNFINISHED:
                self._enter(child, NodeStatus.FUTILE)
                pending.extend(self.dag.children[child])

    def _fail(self, name: str, why: str) -> None:
        self.memory.states[name].details = why
        self._say(f"Node {name} failed: {why}")
        self._enter(name, NodeStatus.ERROR)

    def _make_ready(self, name: str) -> None:
        node = self.dag.nodes[name]
        if node.kind is NodeKind.FINAL and not self._only_final_left():
            return
        if self.memory.states[name].status is not NodeStatus.READY:
            self._enter(name, NodeStatus.READY)
        heapq.heappush(self._ready, (-node.priority, self._order[name], name))

    # ------------------------------------------------------------ the end

    def _abort(self, node: Node) -> None:
        assert node.abort_on is not None
        self._say(f"Aborting DAG because node {node.name} returned {node.abort_on.value}")
        self.memory.status = DagStatus.ABORT
        self.memory.exit_code = node.abort_on.exit_code
        self._abandon("The DAG was aborted")

    def _abandon(self, why: str) -> None:
        """Remove the jobs of all nodes, and let none begin."""
        for name, state in self.memory.states.items():
            if state.status is NodeStatus.SUBMITTED:
                if state.cluster in self._nodes_of:
                    self._actions.append(Remove(state.cluster, why))
                self._drop_procs(name)
                state.value = state.value or JOB_ABORTED
                self._fail(name, "Was STATUS_SUBMITTED")
            elif state.status is NodeStatus.READY:
                self._enter(name, NodeStatus.NOT_READY)

    def _only_final_left(self) -> bool:
        unfinished = () if self._abandoned else _UNFINISHED
        others = (state.status for name, state in self.memory.states.items() if not self._is_final(name))
        return all(status not in (NodeStatus.SUBMITTED, *unfinished) for status in others)

    def _is_final(self, name: str) -> bool:
        return self._final is not None and self._final.name == name

    def _finish(self) -> None:
        """Run the FINAL node when all others are through, and exit after it."""
        if self._tally[NodeStatus.SUBMITTED] or self._tally[NodeStatus.READY]:
            return
        if self._final is not None and self.states[self._final.name].status is NodeStatus.NOT_READY:
            self._make_ready(self._final.name)
            self._submit_ready()
            if self._tally[NodeStatus.SUBMITTED]:
                return
        final = None if self._final is None else self.states[self._final.name].status
        if self._abandoned:
            if self.memory.exit_code == 0:
                self.memory.status = DagStatus.OK
            self._exit(self.memory.exit_code)
        elif self._tally[NodeStatus.DONE] == len(self.dag.nodes):
            self._say("All jobs Completed!")
            self.memory.status = DagStatus.OK
            self._exit(0)
        else:
            self._say("ERROR: the following node(s) failed: " + ", ".join(self.failed()))
            if final is NodeStatus.DONE:  # what it makes of that counts, but the rest is still to be done
                self._actions.append(WriteRescue())
            self._exit(int(final is not NodeStatus.DONE))

    def failed(self) -> list[str]:
        """The nodes that failed."""
        return [name for name, state in self.memory.states.items() if state.status is NodeStatus.ERROR]

    def _exit(self, code: int) -> None:
        if code != 0:
            self._actions.append(WriteRescue())
        self._actions.append(Exit(code))
        self.memory.exited, self.memory.exit_code = True, code

    # ------------------------------------------------------------ counting

    def _say(self, text: str) -> None:
        self._actions.append(Say(text))

    def _enter(self, name: str, status: NodeStatus) -> None:
        state, node = self.memory.states[name], self.dag.nodes[name]
        self._busy[node.category] += (status is NodeStatus.SUBMITTED) - (state.status is NodeStatus.SUBMITTED)
        self._tally[state.status] -= 1
        self._tally[status] += 1
        state.status = status

    def _set_proc(self, name: str, proc: int, status: ProcStatus) -> None:
        state = self.memory.states[name]
        if proc in state.procs:
            self._forget_proc(name, proc, keep=True)
        state.procs[proc] = status
        self._jobs += 1
        self._idle += status is not ProcStatus.RUNNING
        self._held += status is ProcStatus.HELD

    def _forget_proc(self, name: str, proc: int, keep: bool = False) -> None:
        state = self.memory.states[name]
        former = state.procs.pop(proc)
        self._jobs -= 1
        self._idle -= former is not ProcStatus.RUNNING
        self._held -= former is ProcStatus.HELD
        if not state.procs and not keep:
            self._nodes_of.pop(state.cluster, None)

    def _drop_procs(self, name: str) -> None:
        for proc in list(self.memory.states[name].procs):
            self._forget_proc(name, proc)


def _ending(value: int) -> str:
    if value == JOB_ABORTED:
        return "was removed."
    if value < 0:
        return f"failed with signal {-value}."
    return "completed successfully." if value == 0 else f"failed with status {value}."
