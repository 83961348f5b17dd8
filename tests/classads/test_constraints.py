"""Constraints: what they select, what they pin, and what time they think it is."""

from collections.abc import Mapping

import classad2
import pytest

from birdbath.classads import Ad, AdMemory, AdRecord, Constraint, Expression, Scalar, is_true
from birdbath.errors import InvalidAd


def record(values: Mapping[str, Scalar | Expression]) -> AdRecord:
    ad = Ad()
    ad.update(values)
    return AdRecord.of(ad, AdMemory())


JOBS = [
    record({"ClusterId": cluster, "ProcId": proc, "Owner": owner, "Load": load})
    for cluster, proc, owner, load in ((1, 0, "ann", 0.5), (1, 1, "Bob", 0.0), (2, 0, "ann", 2.0))
]


def selected(text: str | None, now: float = 0) -> list[int]:
    chosen = Constraint(text).select(JOBS, now)
    return [number for number, job in enumerate(JOBS) if job in chosen]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (None, [0, 1, 2]),
        ("", [0, 1, 2]),
        (" \n", [0, 1, 2]),
        ("TRUE", [0, 1, 2]),
        ("true // all", [0, 1, 2]),
        ("1", [0, 1, 2]),
        ("-0.5", [0, 1, 2]),
        ("0", []),
        ("FALSE", []),
        ("undefined", []),
        ("error", []),
        ('"true"', []),
        ("{true}", []),
        ("[a=1]", []),
        ("Load", [0, 2]),
        ("ProcId", [1]),
        ("Missing", []),
        ("Missing == 1 || ClusterId == 2", [2]),
        ("clusterid == 1", [0, 1]),
        ("ClusterId == 1.0", [0, 1]),
        ('Owner == "bob"', [1]),
        ('Owner =?= "bob"', []),
        ('MY.Owner == "ann" && MY . Load > 1', [2]),
        ('TARGET.Owner == "ann"', [0, 2]),
        ("target . ClusterId =?= TARGET.ProcId + 2", [2]),
        ('Owner == "TARGET.x" || TARGET.ClusterId == 2', [2]),
        ("[TARGET = [ClusterId = 7]].TARGET.ClusterId == 7", [0, 1, 2]),
        ("member(ClusterId, {2, 3})", [2]),
        ('regexp("^B", Owner)', [1]),
        ('substr("é", 0, 1)', []),
        ("||".join(f"ClusterId == {n}" for n in range(2, 2000)), [2]),
    ],
)
def test_select(text: str | None, numbers: list[int]) -> None:
    assert selected(text) == numbers
    evaluate = Constraint(text).evaluator()
    assert [n for n, job in enumerate(JOBS) if is_true(evaluate(job.parsed))] == numbers


@pytest.mark.parametrize(
    "text", ["ClusterId ==", "1; true", "true]", "9223372036854775808", "a\0", "\udc80", "+" * 999]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidAd):
        Constraint(text)


def test_an_ad_that_cannot_be_evaluated_is_not_selected_and_spoils_no_other() -> None:
    endless = record({f"A{n}": Expression(f"A{n + 1} + 1") for n in range(600)})
    cut = record({"A0": Expression('substr("é", 0, 1)')})
    good = record({"A0": 5})
    constraint = Constraint("A0")
    assert constraint.select([endless, good, cut], 0) == [good]
    assert constraint.evaluator()(endless.parsed) is classad2.Value.Error


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    "name", ["ServerTime", "servertime", "MY.ServerTime", "TARGET.ServerTime", "CurrentTime"]
)
def test_time_in_a_constraint_means_now(name: str) -> None:
    old = record({"QDate": 100, "ServerTime": 1})
    constraint = Constraint(f"{name} - QDate > 50")
    assert constraint.mentions_time
    assert constraint.select([old], 150.9) == []
    assert constraint.select([old], 151.0) == [old]
    assert constraint.select([old], 150.0) == []
    assert old.ad().get("ServerTime") == 1


def test_time_is_not_replaced_in_strings_and_other_scopes() -> None:
    ad = record({"Name": "ServerTime", "Inner": Expression("[ServerTime = 7]")})
    assert Constraint('Name == "ServerTime" && ServerTime == 5').select([ad], 5) == [ad]
    assert Constraint("Inner.ServerTime == 7 && Inner . ServerTime == 7").select([ad], 5) == [ad]
    assert Constraint("[ServerTime = 9; a = 1].ServerTime == 9").select([ad], 5) == [ad]


@pytest.mark.parametrize("name", ["ServerTime", "CurrentTime"])
def test_time_in_an_attribute_means_now(name: str) -> None:
    ad = record({"QDate": 100, "Old": Expression(f"{name} - QDate > 50"), "Older": Expression("Old")})
    constraint = Constraint("Older")
    assert not constraint.mentions_time
    assert [constraint.select([ad], now) for now in (150, 151, 150)] == [[], [ad], []]
    assert Constraint("Old && ServerTime > 0").select([ad], 151) == [ad]


def test_ads_that_tell_no_time_are_left_alone() -> None:
    ad = record({"QDate": 100, "Note": "ServerTime", "Runtime": Expression("QDate + 1")})
    assert "ServerTime" not in ad.scope(5)


# ---------------------------------------------------------------- pins


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("ClusterId == 5", {"clusterid": 5}),
        ("ClusterId =?= 5", {"clusterid": 5}),
        ("(clusterid==5)&&(PROCID==3)", {"clusterid": 5, "procid": 3}),
        ("((ClusterId==5) && (ProcId==3)) && other", {"clusterid": 5, "procid": 3}),
        ("MY.ClusterId == 5 && TARGET.ProcId == 3", {"clusterid": 5, "procid": 3}),
        ('Owner == "a b" && (x || y)', {"owner": "a b"}),
        ('Owner == "&& ProcId == 3"', {"owner": "&& ProcId == 3"}),
        ('Owner == "ann" // && Owner == "bob"\n', {"owner": "ann"}),
        ("ClusterId == 5 /* || true */ && x", {"clusterid": 5}),
        ("x && f(a, b) && ClusterId == 5 && l[0]", {"clusterid": 5}),
        (None, {}),
        ("true", {}),
        ("ClusterId == 5 || ProcId == 3", {}),
        ("(ClusterId == 5) || (ProcId == 3)", {}),
        ("ClusterId == 5 && x || y", {}),
        ("ClusterId == 5 && x ? a : b", {}),
        ("ClusterId == 5 ?: x", {}),
        ("!(ClusterId == 5)", {}),
        ("ClusterId == 5.0", {}),
        ("ClusterId == 5 == false", {}),
        ("x.ClusterId == 5", {}),
        ("ClusterId != 5", {}),
        ('Owner == "a" "b"', {}),
        (r'Owner == "a\"b"', {}),
        ("Other == 5", {}),
        ("f(ClusterId == 5 && ProcId == 3)", {}),
        ("{ClusterId == 5 && ProcId == 3}[0]", {}),
    ],
)
def test_pinned(text: str | None, pins: dict[str, int | str]) -> None:
    assert Constraint(text).pinned("clusterid", "procid", "owner") == pins


def test_only_what_is_asked_for_is_pinned() -> None:
    assert Constraint("ClusterId == 5 && ProcId == 3").pinned("procid") == {"procid": 3}
