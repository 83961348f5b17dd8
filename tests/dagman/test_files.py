"""What DAGMan writes, and its command line."""

from __future__ import annotations

import pytest

from birdbath.classads import python_value
from birdbath.dagman import DagError, Throttles, files, parse_options
from tests.dagman.test_engine import DIAMOND
from tests.dagman.world import run

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def test_the_rescue_dag() -> None:
    world = run(DIAMOND, {"B": [3]})
    assert files.rescue_text(world.engine, NOW) == (
        "# Rescue DAG file, created after running\n"
        "#   the test.dag DAG file\n"
        "# Created 1/15/2027 08:00:00 UTC\n"
        "# Rescue DAG version: 2.0.1 (partial)\n"
        "#\n"
        "# Total number of Nodes: 4\n"
        "# Nodes premarked DONE: 2\n"
        "# Nodes that failed: 1\n"
        "#   B,<ENDLIST>\n"
        "\n"
        "DONE A\n"
        "DONE C\n"
    )


def test_an_old_rescue_dag_runs_by_itself() -> None:
    text = files.rescue_text(run(DIAMOND, {"B": [3]}).engine, NOW, whole=True)
    assert run(text.replace("INCLUDE test.dag", "INCLUDE diamond.dag"), diamond_dag=DIAMOND).started == [
        "B",
        "D",
    ]


def test_rescue_dags_are_numbered() -> None:
    existing = ["x.dag", "x.dag.rescue001", "x.dag.rescue002.old", "x.dag.rescue010", "xx.dag.rescue011"]
    assert files.rescue_numbers(["x.dag"], existing) == [1, 10]
    assert files.rescue_name(["x.dag"], 11) == "x.dag.rescue011"
    assert files.rescue_name(["x.dag", "y.dag"], 1) == "x.dag_multi.rescue001"


def test_the_node_status_file_is_made_of_ads() -> None:
    import classad2

    text = files.status_text(run(DIAMOND, {"B": [3]}).engine, NOW, 60)
    ads = list(classad2.parseAds(text))
    assert [ad["Type"] for ad in ads] == ["DagStatus", *["NodeStatus"] * 4, "StatusEnd"]
    assert [ad["NodeStatus"] for ad in ads[1:5]] == [5, 6, 5, 7]
    assert (ads[0]["NodesDone"], ads[0]["NodesFailed"], ads[0]["DagStatus"]) == (2, 1, 6)
    assert python_value(ads[2]["StatusDetails"]) == "Job proc (2.0.0) failed with status 3."
    assert ads[5]["EndTime"] == NOW


def test_dagman_out_has_the_table_of_states() -> None:
    world = run(DIAMOND)
    lines = files.progress_lines(world.engine.counts(), world.engine.memory.status)
    assert files.out_lines(lines, NOW).splitlines()[4] == (
        "01/15/27 08:00:00     4       0        0       0       0          0        0        0"
    )


def test_the_command_line_of_the_2000s() -> None:
    line = (
        "-f -l . -Debug 3 -Lockfile diamond.dag.lock -Condorlog diamond.log -Dag diamond.dag "
        "-Rescue diamond.dag.rescue -MaxJobs 4"
    )
    options = parse_options(line.split())
    assert (options.files, options.old_rescue) == (("diamond.dag",), "diamond.dag.rescue")
    assert options.throttles({}) == Throttles(4, 1000)
    assert options.throttles({"DAGMAN_MAX_JOBS_IDLE": "7"}) == Throttles(4, 7)


def test_the_command_line_of_today() -> None:
    line = "-p 0 -f -l . -Lockfile x.dag.lock -AutoRescue 0 -DoRescueFrom 2 -Dag x.dag -Suppress_notification"
    further = ["-CsdVersion", "$CondorVersion: 25.14.1 $", "-Dagman", "/usr/bin/condor_dagman"]
    options = parse_options(line.split() + further)
    assert (options.auto_rescue, options.rescue_from, options.files) == (False, 2, ("x.dag",))


@pytest.mark.parametrize(
    "words", [["-Dag"], ["-f"], ["-Dag", "x", "-MaxJobs", "many"], ["-Dag", "x", "-What"]]
)
def test_bad_command_lines_are_refused(words: list[str]) -> None:
    with pytest.raises(DagError):
        parse_options(words)
