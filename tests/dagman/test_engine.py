"""Which nodes run when."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from birdbath.dagman import (
    DagStatus,
    Engine,
    Memory,
    NodeState,
    NodeStatus,
    ProcStatus,
    Throttles,
)
from tests.dagman.world import World, dag_of, run

DIAMOND = """
JOB A a.sub
JOB B b.sub
JOB C c.sub
JOB D d.sub
PARENT A CHILD B C
PARENT B C CHILD D
"""


def test_a_diamond_runs_in_order() -> None:
    world = run(DIAMOND)
    assert world.started == ["A", "B", "C", "D"]
    assert world.exit_code == 0
    assert world.engine.counts().attributes() == {
        "DAG_NodesTotal": 4,
        "DAG_NodesDone": 4,
        "DAG_NodesPrerun": 0,
        "DAG_NodesQueued": 0,
        "DAG_NodesPostrun": 0,
        "DAG_NodesHoldrun": 0,
        "DAG_NodesReady": 0,
        "DAG_NodesUnready": 0,
        "DAG_NodesFailed": 0,
        "DAG_NodesFutile": 0,
        "DAG_JobsSubmitted": 4,
        "DAG_JobsIdle": 0,
        "DAG_JobsHeld": 0,
        "DAG_JobsRunning": 0,
        "DAG_JobsCompleted": 4,
    }


def test_a_failed_node_makes_its_descendants_futile_and_leaves_a_rescue_dag() -> None:
    world = run(DIAMOND, {"B": [3]})
    assert world.started == ["A", "B", "C"]
    assert (world.exit_code, world.rescues) == (1, 1)
    assert world.engine.memory.status is DagStatus.NODE_FAILED
    assert [state.status for state in world.engine.states.values()] == [
        NodeStatus.DONE,
        NodeStatus.ERROR,
        NodeStatus.DONE,
        NodeStatus.FUTILE,
    ]


def test_the_rescue_run_does_the_rest() -> None:
    world = run(DIAMOND, rescue="DONE A\nDONE C\n")
    assert world.started == ["B", "D"]
    assert world.exit_code == 0


def test_retries() -> None:
    assert run("JOB A a\nRETRY A 2\n", {"A": [1, 1, 0]}).started == ["A", "A", "A"]
    world = run("JOB A a\nRETRY A 2\n", {"A": [1]})
    assert (world.started, world.exit_code) == (["A", "A", "A"], 1)
    assert run("JOB A a\nRETRY A 5 UNLESS-EXIT 7\n", {"A": [1, 7]}).started == ["A", "A"]


def test_priority_then_the_order_of_the_file() -> None:
    text = "".join(f"JOB {name} x\n" for name in "ABCD") + "PRIORITY C 5\nPRIORITY B -1\n"
    assert run(text, throttles=Throttles(max_jobs=1)).started == ["C", "A", "D", "B"]


def test_throttles() -> None:
    text = "".join(f"JOB N{number} x\n" for number in range(20))
    assert run(text, throttles=Throttles(max_jobs=3)).busiest == 3
    assert run(text, throttles=Throttles(max_idle=4)).busiest == 4
    assert run(text, throttles=Throttles(max_idle=4), procs=4).busiest == 2  # when one has ended
    limited = run(text + "CATEGORY ALL_NODES big\nCATEGORY N19 small\nMAXJOBS big 2\n")
    assert limited.busiest == 3
    assert limited.started[:3] == ["N0", "N1", "N19"]


def test_one_failed_job_of_a_cluster_removes_the_others() -> None:
    world = run("JOB A a\nJOB B b\n", {"A": [4]}, procs=3)
    assert world.ended.count("A") == 1
    assert world.engine.states["A"].value == 4


def test_noop_and_done_nodes_start_no_jobs() -> None:
    text = DIAMOND.replace("JOB A a.sub", "JOB A a.sub NOOP").replace("JOB B b.sub", "JOB B b.sub DONE")
    world = run(text)
    assert world.started == ["C", "D"]
    assert world.exit_code == 0


def test_abort_dag_on_removes_the_rest_and_chooses_the_exit_code() -> None:
    world = run(DIAMOND + "ABORT-DAG-ON B 9 RETURN 4\nRETRY B 3\n", {"B": [9]})
    assert world.started == ["A", "B", "C"]
    assert world.ended == ["A", "B"]
    assert (world.exit_code, world.rescues) == (4, 1)
    assert world.engine.memory.status is DagStatus.ABORT
    assert world.engine.states["C"].details == "Was STATUS_SUBMITTED"
    success = run(DIAMOND + "ABORT-DAG-ON A 0 RETURN 0\n")
    assert (success.exit_code, success.rescues) == (0, 0)
    assert success.engine.memory.status is DagStatus.OK


@pytest.mark.parametrize(("final", "code"), [([0], 0), ([1], 1)])
def test_the_final_node_runs_last_and_decides(final: list[int], code: int) -> None:
    world = run(DIAMOND + "FINAL F f.sub\n", {"B": [3], "F": final})
    assert world.started == ["A", "B", "C", "F"]
    assert (world.exit_code, world.rescues) == (code, 1)
    assert world.engine.memory.status is DagStatus.NODE_FAILED


def test_the_final_node_runs_after_an_abort_and_may_be_retried() -> None:
    world = run(DIAMOND + "FINAL F f.sub\nRETRY F 1\nABORT-DAG-ON A 1\n", {"A": [1], "F": [1, 0]})
    assert world.started == ["A", "F", "F"]
    assert world.exit_code == 1


def test_scripts_are_recorded_not_executed() -> None:
    world = run("JOB A a\nSCRIPT PRE A touch /tmp/x\nSCRIPT POST A check $RETURN\n")
    assert "PRE script of node A is recorded, not executed: touch /tmp/x" in world.said
    assert "POST script of node A is recorded, not executed: check $RETURN" in world.said


def test_jobs_are_counted_by_state() -> None:
    world = World(Engine(dag_of("JOB A a\n"), Throttles(), Memory()), procs=3)
    world.settle()
    world.engine.proc_is(1, 0, ProcStatus.RUNNING)
    world.engine.proc_is(1, 1, ProcStatus.HELD)
    counts = world.engine.counts()
    assert (counts.jobs_running, counts.jobs_held, counts.jobs_idle) == (1, 1, 2)


def test_removal_leaves_a_rescue_dag() -> None:
    world = World(Engine(dag_of(DIAMOND), Throttles(), Memory()))
    world.settle()
    for action in world.engine.removed():
        world._do(action)
    assert (world.rescues, world.queue, world.exit_code) == (1, [], 2)
    assert world.engine.memory.status is DagStatus.RM


def test_the_final_node_runs_after_removal_and_nothing_else_does() -> None:
    world = World(Engine(dag_of(DIAMOND + "FINAL F f.sub\n"), Throttles(), Memory()))
    world.settle()
    for action in world.engine.removed():
        world._do(action)
    world.settle()
    assert (world.started, world.exit_code) == (["A", "F"], None)
    again = World(Engine(dag_of(DIAMOND + "FINAL F f.sub\n"), Throttles(), world.engine.memory))
    again.queue, again.clusters = world.queue, world.clusters
    again.run()
    assert (again.started, again.ended, again.exit_code, again.rescues) == ([], ["F"], 2, 1)


def test_a_restart_after_an_abort_starts_no_other_nodes() -> None:
    text = DIAMOND + "JOB E e.sub\nJOB X x.sub\nFINAL F f.sub\nABORT-DAG-ON E 1\n"
    first = World(
        Engine(dag_of(text), Throttles(max_jobs=2), Memory()), lambda node, attempt: int(node == "E")
    )
    first.settle()
    first.step(1)
    assert first.started == ["A", "E", "F"]
    again = World(Engine(dag_of(text), Throttles(max_jobs=2), first.engine.memory))
    again.queue, again.clusters = first.queue, first.clusters
    again.run()
    assert (again.started, again.exit_code) == ([], 1)


# ---------------------------------------------------------------- any DAG, any order

OUTCOMES = st.dictionaries(st.integers(0, 11), st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3))


@st.composite
def dags(draw: st.DrawFn) -> str:
    """A random DAG of up to twelve nodes, edges from lower to higher numbers."""
    count = draw(st.integers(1, 12))
    lines = [
        f"JOB N{number} x {draw(st.sampled_from(['', '', '', 'NOOP', 'DONE']))}" for number in range(count)
    ]
    for child in range(1, count):
        for parent in draw(st.sets(st.integers(0, child - 1), max_size=3)):
            lines.append(f"PARENT N{parent} CHILD N{child}")
    for number in draw(st.sets(st.integers(0, count - 1), max_size=3)):
        lines.append(f"RETRY N{number} {draw(st.integers(0, 2))}")
        lines.append(f"PRIORITY N{number} {draw(st.integers(-2, 2))}")
        lines.append(f"CATEGORY N{number} c")
    if draw(st.booleans()):
        lines.append(f"MAXJOBS c {draw(st.integers(1, 2))}")
    if draw(st.booleans()):
        lines.append("FINAL F x")
    return "\n".join(lines)


@settings(deadline=None, max_examples=200)
@given(dags(), OUTCOMES, st.integers(1, 3), st.integers(0, 3), st.data())
def test_every_dag_ends_and_keeps_the_order(
    text: str, outcomes: dict[int, list[int]], procs: int, max_jobs: int, data: st.DataObject
) -> None:
    def outcome(node: str, attempt: int) -> int:
        values = outcomes.get(int(node[1:] or -1) if node != "F" else -1, [0])
        return values[min(attempt, len(values) - 1)]

    dag = dag_of(text)
    world = World(Engine(dag, Throttles(max_jobs), Memory()), outcome, procs)
    world.settle()
    while world.queue and world.exit_code is None:
        world.step(data.draw(st.integers(0, len(world.queue) - 1)))
        if data.draw(st.booleans()):  # a restart forgets nothing
            memory = world.engine.memory
            before = world.engine.counts()
            world.engine = Engine(dag, Throttles(max_jobs), memory)
            assert world.engine.counts() == before
    states = world.engine.states
    assert world.exit_code is not None
    parents = dag.parents()
    for node in set(world.started):
        done_before = [states[parent].status is NodeStatus.DONE for parent in parents[node]]
        assert all(done_before), "a node ran although a parent was not done"
    for name, state in states.items():
        assert state.attempt <= dag.nodes[name].retry.most
        assert not state.procs
        if state.status is NodeStatus.FUTILE:
            assert any(
                states[parent].status in (NodeStatus.ERROR, NodeStatus.FUTILE) for parent in parents[name]
            )
    if max_jobs:
        assert world.busiest <= max_jobs
    ended_well = all(state.status is NodeStatus.DONE for state in states.values())
    final_decides = states.get("F", NodeState()).status is NodeStatus.DONE
    assert (world.exit_code == 0) == (ended_well or final_decides)
    assert world.rescues == (world.exit_code != 0 or not ended_well)


@settings(deadline=None, max_examples=100)
@given(dags(), OUTCOMES)
def test_a_rescue_run_finishes_what_a_failure_left(text: str, outcomes: dict[int, list[int]]) -> None:
    first = run(text, {f"N{number}": values for number, values in outcomes.items()})
    done = [
        name for name, state in first.engine.states.items() if state.status is NodeStatus.DONE and name != "F"
    ]
    second = run(text, rescue="".join(f"DONE {name}\n" for name in done))
    assert second.exit_code == 0
    assert not set(done).intersection(second.started)
