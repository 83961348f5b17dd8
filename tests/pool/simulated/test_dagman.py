"""DAGMan in the pool: from a DAG in a spool folder to jobs, attributes and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import htcondor2
import pytest

from birdbath.classads import Scalar
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from tests.pool.harness import ad_of, becomes, event_types, events_of, selected, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

DIAMOND = """
JOB A node.sub
JOB B node.sub
JOB C node.sub
JOB D node.sub
PARENT A CHILD B C
PARENT B C CHILD D
VARS ALL_NODES seconds="10"
VARS B seconds="20"
"""
NODE = """
executable = /bin/sh
arguments = "-c 'sleep $(seconds); echo $(JOB) $(RETRY) >> order.txt'"
output = $(JOB).out
log = nodes.log
queue
"""


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[SimulatedHarness]:
    from birdbath.pool.simulated.dagman import dagman_programs

    harness = SimulatedHarness(tmp_path, programs=dagman_programs)
    yield harness
    harness.close()


def submit_dag(
    pool: SimulatedHarness, dag: str, more: str = "", name: str = "test.dag", **files: str
) -> JobId:
    """DAGMan as the SOAP clients of the 2000s submitted it; other files by name, `_` for the dot."""
    uploaded = {name: dag.encode(), "node.sub": NODE.encode()}
    uploaded |= {file.replace("_", "."): text.encode() for file, text in files.items()}
    words = f"-f -l . -Debug 3 -Lockfile {name}.lock -Condorlog x.log -Dag {name} {more}"
    attributes: dict[str, Scalar] = {"JobUniverse": 7, "LeaveJobInQueue": True}
    return submit(pool, "/opt/condor/bin/condor_dagman", words, uploaded, **attributes)


def text_of(pool: SimulatedHarness, job: JobId, name: str) -> str:
    return pool.queue.sandbox(job).read(name).decode()


def test_a_diamond(pool: SimulatedHarness) -> None:
    job = submit_dag(pool, DIAMOND + "NODE_STATUS_FILE status.txt 15\n")
    pool.pass_time(12)
    ad = ad_of(pool, job)
    assert {name: ad.integer(f"DAG_Nodes{name}") for name in ("Total", "Done", "Queued", "Unready")} == {
        "Total": 4,
        "Done": 1,
        "Queued": 2,
        "Unready": 1,
    }
    assert (ad.integer("DAG_JobsRunning"), ad.integer("DAG_JobsSubmitted")) == (2, 3)
    b = ad_of(pool, JobId(job.cluster + 2, 0))
    assert (b.string("DAGNodeName"), b.integer("DAGManJobId")) == ("B", job.cluster)
    assert (b.string("DAGParentNodeNames"), b.string("Owner")) == ("A", "alice")
    assert 'NodeStatus = 0; /* "STATUS_NOT_READY" */' in text_of(pool, job, "status.txt")
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert pool.clock.time() == pytest.approx(1_800_000_000 + 40, abs=2)
    ad = ad_of(pool, job)
    assert (ad.integer("ExitCode"), ad.integer("DAG_Status"), ad.integer("DAG_NodesDone")) == (0, 0, 4)
    assert text_of(pool, job, "order.txt").split("\n") == ["A 0", "C 0", "B 0", "D 0", ""]
    out = text_of(pool, job, "test.dag.dagman.out")
    assert "Submitting HTCondor Node D job(s)..." in out
    assert "All jobs Completed!" in out
    assert out.splitlines()[-1].endswith("(condor_DAGMAN) EXITING WITH STATUS 0")
    assert "DagStatus = 5;" in text_of(pool, job, "status.txt")
    assert "test.dag.rescue001" not in [entry.name for entry in pool.queue.sandbox(job).entries()]
    assert event_types(pool, JobId(job.cluster + 4, 0)) == [
        EventType.SUBMIT,
        EventType.EXECUTE,
        EventType.JOB_TERMINATED,
    ]


def test_the_nodes_log_is_htcondors(pool: SimulatedHarness) -> None:
    import htcondor2

    job = submit_dag(pool, DIAMOND)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    log = pool.queue.sandbox(job).path / "test.dag.nodes.log"
    events = list(htcondor2.JobEventLog(str(log)).events(stop_after=0))
    ends = [
        event.cluster - job.cluster for event in events if event.type == htcondor2.JobEventType.JOB_TERMINATED
    ]
    assert ends == [1, 3, 2, 4]


def test_a_failing_node_and_its_rescue_run(pool: SimulatedHarness) -> None:
    broken = DIAMOND + 'VARS B seconds="1; false"\nRETRY B 1\n'
    sub = NODE.replace("; echo", " && echo")
    job = submit_dag(pool, broken, node_sub=sub)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert (ad.integer("ExitCode"), ad.integer("DAG_Status")) == (1, 2)
    assert (ad.integer("DAG_NodesFailed"), ad.integer("DAG_NodesFutile")) == (1, 1)
    assert text_of(pool, job, "order.txt").split() == ["A", "0", "C", "0"]
    rescue = text_of(pool, job, "test.dag.rescue001")
    assert rescue.endswith("# Nodes that failed: 1\n#   B,<ENDLIST>\n\nDONE A\nDONE C\n")

    # The user mends the DAG and submits it with what came back.
    files = {"test.dag.rescue001": rescue}
    second = submit_dag(pool, DIAMOND, **files)
    pool.wait_for(becomes(pool, second, JobStatus.COMPLETED))
    assert ad_of(pool, second).integer("ExitCode") == 0
    assert text_of(pool, second, "order.txt").split() == ["B", "0", "D", "0"]
    assert "Running the rescue DAG test.dag.rescue001" in text_of(pool, second, "test.dag.dagman.out")


def test_the_rescue_dag_of_old(pool: SimulatedHarness) -> None:
    job = submit_dag(
        pool, 'JOB A bad.sub\nJOB B node.sub\nVARS B seconds="1"\n', "-Rescue test.dag.rescue", bad_sub="x"
    )
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    rescue = text_of(pool, job, "test.dag.rescue")
    assert "INCLUDE test.dag\nDONE B\n" in rescue


def test_a_nested_and_spliced_dag_of_a_thousand_nodes(pool: SimulatedHarness) -> None:
    leaf = "".join(f"JOB N{number} tiny.sub\n" for number in range(10)) + "PARENT N0 CHILD N1 N2 N3\n"
    middle = "".join(f"SPLICE M{number} leaf.dag\n" for number in range(10)) + "PARENT M0 CHILD M1\n"
    inner = "".join(f"SPLICE T{number} middle.dag\n" for number in range(5)) + "PARENT T0 CHILD T4\n"
    top = (
        "SUBDAG EXTERNAL first one.dag\nSUBDAG EXTERNAL second two.dag\nPARENT first CHILD second\n"
        "NODE_STATUS_FILE status.txt 60\n"
    )
    tiny = "executable = /bin/true\nqueue\n"
    files = {"leaf_dag": leaf, "middle_dag": middle, "one_dag": inner, "two_dag": inner, "tiny_sub": tiny}
    job = submit_dag(pool, top, **files)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED), within=100_000)
    assert ad_of(pool, job).integer("ExitCode") == 0
    sandbox = pool.queue.sandbox(job)
    names = {entry.name for entry in sandbox.entries()}
    assert {"one.dag.dagman.out", "two.dag.dagman.out", "test.dag.dagman.out", "status.txt"} <= names
    assert not [name for name in names if "rescue" in name]
    outs = [text_of(pool, job, f"{name}.dag.dagman.out").splitlines() for name in ("one", "two")]
    for lines in outs:
        done = [line for line in lines if line.endswith("completed successfully.") and " Node " in line]
        nodes = [line.split()[3] for line in done if "job proc" not in line]
        assert len(nodes) == len(set(nodes)) == 500
        assert nodes.index("T0+M0+N9") < nodes.index("T0+M1+N0")
        assert max(map(nodes.index, [f"T0+M{m}+N{n}" for m in range(10) for n in range(10)])) < min(
            map(nodes.index, [f"T4+M{m}+N{n}" for m in range(10) for n in range(10)])
        )
    assert outs[0][-1][:17] <= outs[1][0][:17]


def test_holding_releasing_and_removing_dagman_acts_on_its_nodes(pool: SimulatedHarness) -> None:
    job = submit_dag(pool, DIAMOND)
    pool.pass_time(12)
    b, c = JobId(job.cluster + 2, 0), JobId(job.cluster + 3, 0)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, job, ActionDetails("wait")))
    pool.step()
    assert [status_of(pool, node) for node in (b, c)] == [JobStatus.HELD, JobStatus.HELD]
    pool.pass_time(100)
    assert selected(pool, "JobStatus =?= 2") == []
    pool.write(lambda unit: pool.queue.act(unit, JobAction.RELEASE, job, ActionDetails()))
    pool.pass_time(5)
    assert [status_of(pool, node) for node in (b, c)] == [JobStatus.RUNNING, JobStatus.RUNNING]
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails("enough")))
    pool.step()
    assert status_of(pool, job) is JobStatus.REMOVED
    assert [status_of(pool, node) for node in (b, c)] == [None, None]
    assert text_of(pool, job, "test.dag.rescue001").endswith("DONE A\n")
    assert ad_of(pool, job).integer("DAG_Status") == 4


def test_a_node_that_was_removed_while_dagman_was_held_is_noticed(pool: SimulatedHarness) -> None:
    job = submit_dag(pool, 'JOB A node.sub\nVARS A seconds="50"\n')
    pool.pass_time(5)
    node = JobId(job.cluster + 1, 0)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, job, ActionDetails("wait")))
    pool.step()
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, node, ActionDetails("away")))
    pool.write(lambda unit: pool.queue.act(unit, JobAction.RELEASE, job, ActionDetails()))
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("ExitCode") == 1
    assert "was removed." in text_of(pool, job, "test.dag.dagman.out")


def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    from birdbath.pool.simulated.dagman import dagman_programs

    outs = []
    for number, restarts in enumerate((0, 7)):
        (tmp_path / str(number)).mkdir()
        harness = SimulatedHarness(tmp_path / str(number), programs=dagman_programs)
        job = submit_dag(harness, DIAMOND + "NODE_STATUS_FILE status.txt 7\nRETRY B 1\n")
        for _ in range(restarts):
            harness.pass_time(6)
            harness.restart()
        harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
        outs.append([text_of(harness, job, name) for name in ("test.dag.dagman.out", "test.dag.nodes.log")])
        harness.close()
    assert outs[0] == outs[1]


def test_final_nodes_throttles_and_multi_job_nodes(pool: SimulatedHarness) -> None:
    dag = 'JOB A many.sub\nJOB B many.sub\nFINAL F node.sub\nVARS F seconds="1"\n'
    job = submit_dag(pool, dag, "-MaxJobs 1", many_sub="executable = /bin/sleep\narguments = 10\nqueue 3\n")
    pool.pass_time(5)
    assert selected(pool, f"DAGManJobId =?= {job.cluster}") == [
        JobId(job.cluster + 1, proc) for proc in range(3)
    ]
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("DAG_JobsCompleted") == 7
    assert text_of(pool, job, "order.txt") == "F 0\n"


def test_one_node_cannot_pass_for_another_owner_or_an_earlier_time(pool: SimulatedHarness) -> None:
    sub = 'executable = /bin/sleep\narguments = 30\n+Owner = "bob"\n+QDate = 1\n+DAGManJobId = 7\n+Mine = "x"'
    job = submit_dag(pool, "JOB A a.sub\n", a_sub=sub)
    pool.pass_time(5)
    ad = ad_of(pool, JobId(job.cluster + 1, 0))
    assert (ad.string("Owner"), ad.string("User"), ad.integer("DAGManJobId")) == (
        "alice",
        "alice@example.org",
        job.cluster,
    )
    assert ad.integer("QDate") >= 1_800_000_000
    assert ad.string("Mine") == "x"


def test_files_of_somebody_elses_dag_are_out_of_reach(pool: SimulatedHarness) -> None:
    job = submit_dag(pool, DIAMOND)
    thief = submit(
        pool,
        "/bin/cat",
        "test.dag",
        Owner="eve",
        User="eve@x",
        Out="o",
        DAGManJobId=job.cluster,
        LeaveJobInQueue=True,
    )
    pool.wait_for(becomes(pool, thief, JobStatus.COMPLETED))
    assert text_of(pool, thief, "o") == ""


@pytest.mark.parametrize(
    ("dag", "why"),
    [
        ("PROVISIONER P node.sub\n", "PROVISIONER: provisioner nodes are not supported"),
        ("JOB A node.sub\nPARENT A CHILD A\n", "the DAG has a cycle: A -> A"),
        ("SPLICE S missing.dag\n", "missing.dag is not among DAGMan's files"),
    ],
)
def test_a_dag_that_cannot_run_says_why(pool: SimulatedHarness, dag: str, why: str) -> None:
    job = submit_dag(pool, dag)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("ExitCode") == 1
    assert why in text_of(pool, job, "test.dag.dagman.out")


@pytest.mark.parametrize(
    ("sub", "why"),
    [
        ("include : id |\nqueue\n", "include is not allowed"),
        ("executable = /bin/true\nqueue a from id |\n", "only a file may follow"),
        ("arguments = 1\nqueue\n", "there is no executable"),
        ("executable = /bin/true\nqueue 0\n", "the queue statements come to no jobs"),
    ],
)
def test_a_node_that_cannot_be_submitted_fails(pool: SimulatedHarness, sub: str, why: str) -> None:
    job = submit_dag(pool, "JOB A a.sub\n", a_sub=sub)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("DAG_NodesFailed") == 1
    assert why in text_of(pool, job, "test.dag.dagman.out")


def test_nodes_that_name_the_same_log_share_it(pool: SimulatedHarness) -> None:
    dag = "JOB A a.sub\nJOB B b.sub\nJOB C a.sub\nPARENT A B CHILD C\n"
    sub = "executable = /bin/sleep\narguments = {}\nlog = nodes/all.log\nqueue 3\n"
    job = submit_dag(pool, dag, a_sub=sub.format(30), b_sub=sub.format(45))
    pool.pass_time(40)
    pool.restart()
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    log = pool.queue.sandbox(job).path / "all.log"
    read = [
        (event.cluster, event.proc, int(event.type))
        for event in htcondor2.JobEventLog(str(log)).events(stop_after=0)
    ]
    nodes = sorted({cluster for cluster, _, _ in read})
    assert len(nodes) == 3
    for node in nodes:
        for proc in range(3):
            own = [kind for cluster, number, kind in read if (cluster, number) == (node, proc)]
            assert own == [int(kind) for kind, _ in events_of(pool, JobId(node, proc))]
            assert own[-1] == EventType.JOB_TERMINATED


def test_the_final_node_runs_when_dagman_was_removed(pool: SimulatedHarness) -> None:
    dag = DIAMOND + 'FINAL F node.sub\nVARS F seconds="30"\n'
    job = submit_dag(pool, dag)
    pool.pass_time(12)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails("enough")))
    pool.pass_time(5)
    assert status_of(pool, job) is JobStatus.REMOVED
    (final,) = selected(pool, f"DAGManJobId =?= {job.cluster}")
    assert (ad_of(pool, final).string("DAGNodeName"), status_of(pool, final)) == ("F", JobStatus.RUNNING)
    pool.restart()
    pool.wait_for(lambda: selected(pool, f"DAGManJobId =?= {job.cluster}") == [])
    pool.pass_time(1)
    assert text_of(pool, job, "order.txt") == "A 0\nF 0\n"
    assert "DONE A\n" in text_of(pool, job, "test.dag.rescue001")
    assert "EXITING WITH STATUS 2" in text_of(pool, job, "test.dag.dagman.out")
    assert ad_of(pool, job).integer("DAG_Status") == 4


def test_the_final_node_is_not_among_the_other_jobs_that_go(pool: SimulatedHarness) -> None:
    dag = 'JOB A node.sub\nVARS A seconds="500"\nFINAL F node.sub\nVARS F seconds="30"\n'
    files = {"test.dag": dag.encode(), "node.sub": NODE.encode()}
    attributes: dict[str, Scalar] = {"JobUniverse": 7, "OtherJobRemoveRequirements": "DAGManJobId =?= 1"}
    job = submit(pool, "/opt/condor/bin/condor_dagman", "-f -l . -Dag test.dag", files, **attributes)
    pool.pass_time(5)
    (node,) = selected(pool, f"DAGManJobId =?= {job.cluster}")
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails("enough")))
    pool.pass_time(40)
    reason = (
        f"removed because <OtherJobRemoveRequirements = DAGManJobId =?= 1> fired when job ({job}) was removed"
    )
    assert events_of(pool, node)[-1][1].string("Reason") == reason
    assert text_of(pool, job, "order.txt") == "F 0\n"
    assert "EXITING WITH STATUS 2" in text_of(pool, job, "test.dag.dagman.out")


def test_a_removed_dagman_stays_until_its_final_node_is_through(pool: SimulatedHarness) -> None:
    dag = 'JOB A node.sub\nVARS A seconds="500"\nFINAL F node.sub\nVARS F seconds="30"\n'
    words = "-f -l . -Dag test.dag"
    files = {"test.dag": dag.encode(), "node.sub": NODE.encode()}
    attributes: dict[str, Scalar] = {"JobUniverse": 7, "LeaveJobInQueue": False}
    job = submit(pool, "/opt/condor/bin/condor_dagman", words, files, **attributes)
    pool.pass_time(5)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails("enough")))
    pool.pass_time(20)
    assert status_of(pool, job) is JobStatus.REMOVED
    pool.wait_for(becomes(pool, job, None))
    assert selected(pool, None) == []


def test_nodes_of_a_sub_dag_have_its_priority_on_top_of_their_own(pool: SimulatedHarness) -> None:
    inner = 'JOB I node.sub\nVARS I seconds="50"\nPRIORITY I 3\n'
    outer = "SUBDAG EXTERNAL S inner.dag\nPRIORITY S 10\n"
    submit_dag(pool, outer, "-Priority 100", inner_dag=inner)
    pool.pass_time(10)
    (sub,) = selected(pool, 'DAGNodeName =?= "S"')
    (node,) = selected(pool, 'DAGNodeName =?= "I"')
    assert (ad_of(pool, sub).integer("JobPrio"), ad_of(pool, node).integer("JobPrio")) == (110, 113)


@pytest.mark.parametrize("line", ["SERVICE X node.sub", "PROVISIONER X node.sub"])
def test_service_and_provisioner_nodes_are_refused_by_name(pool: SimulatedHarness, line: str) -> None:
    job = submit_dag(pool, f"JOB A node.sub\n{line}\n")
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("ExitCode") == 1
    assert line.partition(" ")[0] in text_of(pool, job, "test.dag.dagman.out")
