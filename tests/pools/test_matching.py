"""Which pool suits: rules, matches, Rank, and the order where nothing else decides."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, AdRecord, Expression
from birdbath.federation.matching import NoPool, recommend
from birdbath.tables import RoutingRule


def machine(memory: int, state: str = "Unclaimed", **more: object) -> AdRecord:
    ad = Ad()
    ad.update({"MyType": "Machine", "Memory": memory, "State": state, "Requirements": True})
    for name, value in more.items():
        ad.set(name, value)  # type: ignore[arg-type]
    return AdRecord.of(ad)


def job(requirements: str = "TRUE", **more: object) -> Ad:
    ad = Ad()
    ad.set("Requirements", Expression(requirements))
    for name, value in more.items():
        ad.set(name, value)  # type: ignore[arg-type]
    return ad


def chosen(jobs: list[Ad], rules: tuple[RoutingRule, ...] = (), **machines: list[AdRecord] | str) -> str:
    return recommend(jobs, machines, rules, 0.0).pool


def test_a_free_match_comes_before_one_that_is_busy() -> None:
    busy, free = [machine(9000, "Claimed")] * 5, [machine(9000)]
    assert chosen([job(Rank=Expression("TARGET.Memory"))], a=busy, b=free) == "b"


def test_any_match_comes_before_none() -> None:
    assert chosen([job("TARGET.Memory > 5000")], a=[machine(100)], b=[machine(9000, "Claimed")]) == "b"


def test_the_first_pool_where_nothing_matches() -> None:
    assert chosen([job("FALSE")], a=[machine(1)], b=[machine(1)]) == "a"


def test_every_job_has_to_match() -> None:
    jobs = [job("TARGET.Memory > 5000"), job("TARGET.Memory < 200")]
    assert chosen(jobs, a=[machine(9000)], b=[machine(9000), machine(100)]) == "b"


def test_a_partitionable_slot_counts_as_a_whole_too() -> None:
    slot = machine(100, PartitionableSlot=True, TotalSlotMemory=9000)
    found = recommend([job(RequestMemory=5000)], {"a": [machine(200)], "b": [slot]}, (), 0.0)
    assert found.pool == "b"
    assert (found.pools[1].matching, found.pools[1].free) == (1, 0)


def test_the_first_rule_that_is_true_counts() -> None:
    rules = (
        RoutingRule(when='Owner == "guest"', pools=("b",)),
        RoutingRule(when="RequestGpus > 0", pools=("a",)),
    )
    both = {"a": [machine(1)] * 3, "b": [machine(1)]}
    assert chosen([job(Owner="guest", RequestGpus=1)], rules, **both) == "b"
    assert chosen([job(Owner="alice")], rules, **both) == "a"


def test_the_rules_order_decides_where_machines_are_alike() -> None:
    rules = (RoutingRule(pools=("b", "a")),)
    assert chosen([job()], rules, a=[machine(1)], b=[machine(1)]) == "b"


def test_rules_that_part_the_jobs_leave_no_pool() -> None:
    rules = (RoutingRule(when="Kind == 1", pools=("a",)), RoutingRule(when="Kind == 2", pools=("b",)))
    with pytest.raises(NoPool, match="the rules send these jobs elsewhere"):
        recommend([job(Kind=1), job(Kind=2)], {"a": [machine(1)], "b": [machine(1)]}, rules, 0.0)


def test_rules_look_at_every_job() -> None:
    rules = (RoutingRule(when='Cmd == "secret" || Kind == 99', pools=("b",)), RoutingRule(pools=("a", "b")))
    both = {"a": [machine(1)], "b": [machine(1)]}
    assert chosen([job(Cmd="open"), job(Cmd="open")], rules, **both) == "a"
    assert chosen([job(Cmd="open"), job(Cmd="secret")], rules, **both) == "b"
    assert chosen([job(Kind=kind) for kind in range(100)], rules, **both) == "b"


def test_pools_that_do_not_answer_are_passed_over() -> None:
    assert chosen([job()], a="no answer", b=[machine(1)]) == "b"
    with pytest.raises(NoPool, match="a: no answer"):
        recommend([job()], {"a": "no answer"}, (), 0.0)
