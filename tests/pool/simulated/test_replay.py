"""Replays: totals computed by hand, and waits that queueing theory foretells."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest

from birdbath.pool.simulated.replay import one_machine, replay
from birdbath.traces import TraceJob, summarize
from birdbath.traces.workload import read_workload


def erlang_c(servers: int, load: float) -> float:
    """The probability that a job of an M/M/c queue has to wait; `load` = arrival rate / service rate."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.6), (4, 0.7)])
def test_waits_are_those_of_queueing_theory(servers: int, utilisation: float, tmp_path: Path) -> None:
    service, runs = 100.0, 6
    arrival = service / servers / utilisation
    means = []
    for run in range(runs):
        random, now, jobs = Random(1000 * servers + run), 0.0, []
        for number in range(600):
            now += random.expovariate(1 / arrival)
            jobs.append(TraceJob(number, now, random.expovariate(1 / service), 1))
        (tmp_path / str(run)).mkdir()
        outcome = replay(jobs, one_machine(servers), tmp_path / str(run))
        assert outcome.unfinished == 0
        waits = [record.wait for record in sorted(outcome.records, key=lambda record: record.number)]
        means.append(fmean(waits[100:]))  # without the beginning, when the queue was empty
    load = servers * utilisation
    expected = erlang_c(servers, load) * service / (servers - load)
    # 99 % confidence for the mean of the runs, by Student's t with 5 degrees of freedom.
    assert abs(fmean(means) - expected) < 4.032 * stdev(means) / math.sqrt(runs)


def test_first_come_first_served(tmp_path: Path) -> None:
    jobs = [TraceJob(number, number * 10.0, 25.0, 1) for number in range(4)]
    outcome = replay(jobs, one_machine(1), tmp_path)
    assert [(record.number, record.start, record.end) for record in outcome.records] == [
        (0, 0.0, 25.0),
        (1, 25.0, 50.0),
        (2, 50.0, 75.0),
        (3, 75.0, 100.0),
    ]
    assert summarize(outcome.records, 1).utilisation == 1.0


def test_jobs_that_follow_others_come_when_those_have_ended(tmp_path: Path) -> None:
    # One processor. 1 runs 0-100, 2 (came at 10) 100-150; 3 comes 30 s after the end of 2, at 180; 4 came at
    # 50 and may not come before 1 has ended, at 100; 5 follows a job that there is not, and comes at 60.
    lines = [
        "1  0 -1 100 1 -1 -1 1 -1 -1 1 1 1 1 1 1 -1 -1",
        "2 10 -1  50 1 -1 -1 1 -1 -1 1 1 1 1 1 1 -1 -1",
        "3 20 -1  10 1 -1 -1 1 -1 -1 1 1 1 1 1 1  2 30",
        "4 50 -1  10 1 -1 -1 1 -1 -1 1 1 1 1 1 1  1 -1",
        "5 60 -1  10 1 -1 -1 1 -1 -1 1 1 1 1 1 1 99 10",
    ]
    trace = read_workload(lines, "feedback.swf")
    assert [(job.preceding, job.think) for job in trace.jobs[2:]] == [(2, 30.0), (1, None), (99, 10.0)]
    outcome = replay(trace.jobs, one_machine(1), tmp_path)
    found = {record.number: (record.submit, record.start, record.end) for record in outcome.records}
    assert found == {
        1: (0.0, 0.0, 100.0),
        2: (10.0, 100.0, 150.0),
        5: (60.0, 150.0, 160.0),
        4: (100.0, 160.0, 170.0),
        3: (180.0, 180.0, 190.0),
    }
    assert outcome.unfinished == 0


def test_jobs_that_follow_one_that_never_runs_stay_out(tmp_path: Path) -> None:
    jobs = [TraceJob(1, 0.0, 10.0, 8), TraceJob(2, 5.0, 10.0, 1, preceding=1, think=1.0)]
    outcome = replay(jobs, one_machine(1), tmp_path)
    assert (outcome.records, outcome.unfinished) == ((), 2)
