"""Commits that are decided at the same time share a call of the schedd, and its fate."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from birdbath.pool.htcondor.connection import PoolUnreachable
from birdbath.pool.htcondor.decisions import Decisions


class Schedd:
    """Notes what it is asked; each answer is given by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def ask(self, constraint: str) -> Future[Any]:
        call: Future[Any] = Future()
        self.asked.append((constraint, call))
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


def test_a_failure_is_told_to_all_of_its_commits_and_to_no_other() -> None:
    schedd = Schedd()
    decisions = Decisions(schedd.ask)
    first, second = decisions.take_off("a"), decisions.take_off("b")
    schedd.asked[0][1].set_exception(PoolUnreachable("gone"))
    with pytest.raises(PoolUnreachable, match="gone"):
        first.result(0)
    schedd.asked[1][1].set_result(None)
    assert second.result(0) is None


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
