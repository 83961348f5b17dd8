"""Traces in the Standard Workload Format, and what is reported of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.traces import JobRecord, TraceError, TraceJob, summarize
from birdbath.traces.event_log import read_event_log
from birdbath.traces.picture import draw
from birdbath.traces.statistics import busy, lanes, queued
from birdbath.traces.workload import read_workload

DATA = Path(__file__).parent / "data"


def test_a_trace_is_read() -> None:
    trace = read_workload((DATA / "small.swf").read_text().splitlines(), "small.swf")
    assert trace.processors == 4
    assert [job.number for job in trace.jobs] == [1, 2, 3, 4, 5, 7]
    assert trace.jobs[0] == TraceJob(1, 0.0, 100.0, 2, "user1", None, 0.0)
    assert trace.jobs[4] == TraceJob(5, 40.0, 100.0, 3, "user3", 3, 110.0)
    assert trace.skipped == {
        "cancelled before they started": 1,
        "parts of jobs that another line tells of": 1,
        "no run time or submit time": 1,
        "no number of processors": 1,
    }


def test_the_recorded_run_by_hand() -> None:
    # Ends: 100, 70, 150, 170, 250, 210. Responses: 100, 60, 130, 140, 210, 10; work: 200+120+200+20+300+10.
    trace = read_workload((DATA / "small.swf").read_text().splitlines(), "small.swf")
    records = [record for job in trace.jobs if (record := job.recorded()) is not None]
    summary = summarize(records, 4)
    assert (summary.jobs, summary.makespan, summary.work) == (6, 250.0, 850.0)
    assert summary.utilisation == 0.85
    assert summary.mean_wait == pytest.approx((0 + 0 + 80 + 120 + 110 + 0) / 6)
    assert (summary.median_wait, summary.max_wait, summary.p95_wait) == (40.0, 120.0, 120.0)
    assert summary.mean_response == pytest.approx(650 / 6)
    assert summary.mean_slowdown == pytest.approx((1 + 1 + 130 / 50 + 140 / 20 + 2.1 + 1) / 6)
    assert summary.mean_bounded_slowdown == pytest.approx((1 + 1 + 2.6 + 7 + 2.1 + 1) / 6)
    assert summary.jobs_per_hour == pytest.approx(6 * 3600 / 250)


def test_short_jobs_do_not_spoil_the_bounded_slowdown() -> None:
    summary = summarize([JobRecord(1, 0.0, 9.0, 10.0, 1, "u")], 1)
    assert (summary.mean_slowdown, summary.mean_bounded_slowdown) == (10.0, 1.0)


def test_nothing_ran() -> None:
    assert summarize([], 4).jobs == 0


def test_curves_and_lanes() -> None:
    records = [
        JobRecord(1, 0, 0, 10, 2, "a", "m"),
        JobRecord(2, 0, 5, 15, 1, "b", "m"),
        JobRecord(3, 4, 10, 12, 2, "a", "m"),
    ]
    assert busy(records) == ([0, 5, 10, 12, 15], [2, 3, 3, 1, 0])
    assert queued(records) == ([0, 4, 5, 10], [1, 2, 1, 0])
    assert [(record.number, mine) for record, mine in lanes(records)] == [(1, [0, 1]), (2, [2]), (3, [0, 1])]


@pytest.mark.parametrize(
    "line", ["1 2 3", "a b c d e f g h i j k l m n o p q r", " ".join(["nan"] * 18), " ".join(["1e999"] * 18)]
)
def test_a_wrong_line_is_named(line: str) -> None:
    with pytest.raises(TraceError, match=r"x\.swf, line 2"):
        read_workload(["; comment", line], "x.swf")


def test_an_event_log_is_a_trace(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(
        "000 (7.000.000) 2027-01-15 08:00:00 Job submitted from host: <127.0.0.1:1>\n...\n"
        "001 (7.000.000) 2027-01-15 08:00:30 Job executing on host: <127.0.0.1:2>\n...\n"
        "005 (7.000.000) 2027-01-15 08:02:00 Job terminated.\n"
        "\t(1) Normal termination (return value 0)\n"
        "\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage\n"
        "\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Local Usage\n"
        "\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Remote Usage\n"
        "\t\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Local Usage\n"
        "\t0  -  Run Bytes Sent By Job\n\t0  -  Run Bytes Received By Job\n"
        "\t0  -  Total Bytes Sent By Job\n\t0  -  Total Bytes Received By Job\n"
        "\tPartitionable Resources :    Usage  Request Allocated\n"
        "\t   Cpus                 :                 2         2\n"
        "\t   Disk (KB)            :        1        1         1\n"
        "\t   Memory (MB)          :        0      128       128\n...\n"
        "000 (8.000.000) 2027-01-15 08:00:01 Job submitted from host: <127.0.0.1:1>\n...\n"
    )
    trace = read_event_log(log)
    assert [(job.runtime, job.cpus, job.memory, job.wait) for job in trace.jobs] == [(90.0, 2, 128, 30.0)]
    assert trace.skipped == {"did not run to their end": 1}


@pytest.mark.parametrize("name", ["run.svg", "run.png"])
def test_a_picture_is_drawn_and_the_same_each_time(tmp_path: Path, name: str) -> None:
    trace = read_workload((DATA / "small.swf").read_text().splitlines(), "small.swf")
    records = [record for job in trace.jobs if (record := job.recorded()) is not None]
    draw(records, 4, "small.swf", tmp_path / name)
    draw(records, 4, "small.swf", tmp_path / f"again{Path(name).suffix}")
    first = (tmp_path / name).read_bytes()
    assert first[:5] in (b"<?xml", b"\x89PNG\r")
    assert first == (tmp_path / f"again{Path(name).suffix}").read_bytes()


def test_a_picture_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"run\.gif: a picture is one of"):
        draw([], 1, "t", tmp_path / "run.gif")
