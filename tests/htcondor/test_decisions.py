"""Commits that are decided at the same time share a call of the schedd, and its fate."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from birdbath.pool.htcondor.connection import Connection, PoolUnreachable
from birdbath.pool.htcondor.decisions import Decisions
from birdbath.pool.htcondor.names import COMMITTED
from birdbath.pool.htcondor.workers import Call, Workers
from tests.htcondor_pool import HTCondorPool


class Schedd:
    """Notes what it is asked; each answer is given by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def ask(self, constraint: str, jobs: Sequence[str]) -> Future[Any]:
        call: Future[Any] = Future()
        self.asked.append((constraint, call))
        self.jobs = jobs
        return call


def test_those_that_come_during_a_call_share_the_next() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    first, second, third = (decisions.take_off(name) for name in "abc")
    assert [constraint for constraint, _ in schedd.asked] == ["(a)"]
    schedd.asked[0][1].set_result(None)
    assert [constraint for constraint, _ in schedd.asked] == ["(a)", "(b) || (c)"]
    assert (first.done(), second.done(), third.done()) == (True, False, False)
    schedd.asked[1][1].set_result(None)
    assert (second.result(0), third.result(0)) == (None, None)
    decisions.take_off("d")
    assert schedd.asked[2][0] == "(d)"


def test_jobs_are_named_if_all_are_known() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    decisions.take_off("a", ["1.0"])
    assert schedd.jobs == ["1.0"]
    decisions.take_off("b", ["2.0", "2.1"])
    decisions.take_off("c", ["3.0"])
    schedd.asked[0][1].set_result(None)
    assert schedd.jobs == ["2.0", "2.1", "3.0"]
    decisions.take_off("d", ["4.0"])
    decisions.take_off("e")
    schedd.asked[1][1].set_result(None)
    assert (schedd.asked[2][0], schedd.jobs) == ("(d) || (e)", [])


def test_a_failure_is_told_to_all_of_its_commits_and_to_no_other() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    first, second = decisions.take_off("a"), decisions.take_off("b")
    schedd.asked[0][1].set_exception(PoolUnreachable("gone"))
    with pytest.raises(PoolUnreachable, match="gone"):
        first.result(0)
    schedd.asked[1][1].set_result(None)
    assert second.result(0) is None


@pytest.mark.toolkit
def test_a_job_that_is_gone_keeps_no_other_from_being_let_run(htcondor_pool: HTCondorPool) -> None:
    commands = {"executable": "/bin/true", "hold": "true", "MY.TestMark": '"decided"'}
    there = [htcondor_pool.submit(**commands) for _ in range(2)]
    workers = Workers(Connection(str(htcondor_pool.configuration)), "nobody", 1)
    jobs = [f"{there[0]}.0", "2000000000.0", f"{there[1]}.0"]
    try:
        workers.ask(Call("decide", ('TestMark == "decided"', jobs), 60)).result()
    finally:
        workers.close()
    constraint = ("-constraint", 'TestMark == "decided"')
    assert htcondor_pool.run("condor_q", "-all", *constraint, "-af", COMMITTED).split() == ["true", "true"]
    htcondor_pool.run("condor_rm", *constraint)


def test_who_gave_up_or_comes_at_the_end_stops_nobody() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    decisions.take_off("a")
    given_up, waits = decisions.take_off("b"), decisions.take_off("c")
    assert given_up.cancel()
    schedd.asked[0][1].set_result(None)
    assert schedd.asked[1][0] == "(c)"
    schedd.asked[1][1].cancel()
    with pytest.raises(PoolUnreachable):
        waits.result(0)


def test_no_call_has_more_terms_than_a_schedd_takes() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    for number in range(151):
        decisions.take_off(str(number))
    schedd.asked[0][1].set_result(None)
    assert schedd.asked[1][0].count("||") == 99
    schedd.asked[1][1].set_result(None)
    assert schedd.asked[2][0].count("||") == 49
