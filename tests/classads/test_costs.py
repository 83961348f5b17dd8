"""What may take long is found out before it is evaluated, and what is usual is let through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import classad2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.classads import (
    Ad,
    AdRecord,
    Constraint,
    Costs,
    Expression,
    ExpressionLimits,
    are_affordable,
    evaluate,
    limit_expressions,
)
from birdbath.classads.constraints import TooManySeconds
from birdbath.classads.costs import TooCostly, shape
from birdbath.classads.expressions import Attribute, compile_ad
from birdbath.classads.limits import USUAL
from birdbath.classads.patterns import steps
from birdbath.errors import InvalidAd
from tests.classads.test_real_ads import NAMES, ad_of, read

DOUBLING: list[Attribute] = [(f"a{n}", "x", f"a{n + 1} + a{n + 1}") for n in range(60)]
IN_ONE = "[" + "; ".join(f"b{n} = b{n + 1} + b{n + 1}" for n in range(60)) + "]"
SUBSCRIPTS = "[" + "; ".join(f'b{n} = N["b{n + 1}"] + N["b{n + 1}"]' for n in range(60)) + "]"
CIRCLE: list[Attribute] = [(f"a{n}", "x", " + ".join(f"a{m}" for m in range(20))) for n in range(20)]
STRINGS: list[Attribute] = [(f"a{n}", "x", f"strcat(a{n + 1}, a{n + 1})") for n in range(40)]
LONG: Attribute = ("S", "s", "a" * 20_000)


@pytest.mark.parametrize(
    "attributes",
    [
        DOUBLING,
        CIRCLE,
        [*STRINGS, ("a40", "s", "x" * 1000)],
        [("a0", "x", 'regexp("a*a*b", S)'), LONG],
        [("a0", "x", 'regexp("a*a*b", strcat(T, T))'), ("T", "s", "a" * 10_000)],
        [("a0", "x", 'regexp("a?a?" + S, S)'), LONG],
        [("a0", "x", 'replaceall("a", S, S)'), LONG],
        [("a0", "x", 'join(S, split(S, "a"))'), LONG],
        [("a0", "x", "eval(S)"), LONG],
        [("a0", "x", 'eval("my.a1")'), *((n.replace("a0", "zz"), k, t) for n, k, t in DOUBLING)],
        [("a0", "x", f"{IN_ONE}.b0")],
        [("a0", "x", f"undefined is {IN_ONE}.b0")],
        [("a0", "x", "Nested.b0"), ("Nested", "x", IN_ONE)],
        [("a0", "x", "stringListsIntersect(S, S)"), LONG],
        [("a0", "x", 'N["b0"]'), ("N", "x", SUBSCRIPTS)],
        [("a0", "x", 'N[strcat("b", "0")]'), ("N", "x", SUBSCRIPTS)],
    ],
)
def test_an_attribute_that_may_take_long_is_an_error(attributes: list[Attribute]) -> None:
    assert Costs(attributes).of("a0") > USUAL.cost
    began = time.thread_time()
    assert evaluate(compile_ad(attributes), "a0") is None
    assert str(compile_ad(attributes).lookup("a0")) == "error"
    assert time.thread_time() - began < 1.0, "it was not evaluated"


def test_what_a_client_sends_is_refused_at_once() -> None:
    for text in (f"{IN_ONE}.b0", 'regexp("^(a+)+$", Name)', "eval(strcat(a, b))"):
        with pytest.raises(TooCostly):
            Constraint(text)
        with pytest.raises(TooCostly):
            Ad().set("Requirements", Expression(text))


@pytest.mark.parametrize(
    "attributes",
    [
        [("a", "x", "a"), ("b", "x", "b + b")],
        [("a", "x", "b + b"), ("b", "n", "1")],
        [("a", "x", 'regexp("^slot[0-9]+@.*", Name)'), ("Name", "s", "slot1@host.example.org")],
        [("a", "x", "ifThenElse(MemoryUsage =!= undefined, MemoryUsage, (ImageSize + 1023) / 1024)")],
        [("a", "x", 'stringListMember(User, "ann,bob") && size(S) > 3'), LONG],
    ],
)
def test_usual_attributes_stay(attributes: list[Attribute]) -> None:
    compiled = compile_ad(attributes)
    assert str(compiled.lookup("a")) != "error"
    assert compiled.eval("a") is not classad2.Value.Error


def test_no_attribute_of_real_ads_costs_much() -> None:
    for name in NAMES:
        assert not Costs(ad_of(read(name, "ad"))).too_costly()


def test_a_constraint_is_not_evaluated_in_an_ad_where_it_would_take_long() -> None:
    heavy = AdRecord.of(
        Ad([("Foo", "x", "sum({" + ",".join(["Bar"] * 5000) + "})"), ("Bar", "n", "1"), ("Id", "n", "1")])
    )
    light = AdRecord.of(Ad([("Foo", "n", "5000"), ("Id", "n", "2")]))
    assert Constraint("Foo == 5000").select([heavy, light], 0) == [heavy, light]
    often = " && ".join(["Foo == 5000"] * 100)
    assert Constraint(often).select([heavy, light], 0) == [light]
    assert Constraint(f"Id == 1 || {often}").select([heavy, light], 0) == [light]


def test_a_pattern_is_tried_on_short_texts_only_if_it_may_take_long_on_others() -> None:
    short, long = (AdRecord.of(Ad([("Name", "s", "a" * n + "b")])) for n in (20, 20_000))
    assert Constraint('regexp("a*a*b", Name)').select([short, long], 0) == [short]
    assert Constraint('regexp("^a*b", Name)').select([short, long], 0) == [short, long]


def test_matching_is_judged_by_both_ads() -> None:
    slot = Costs([("Requirements", "x", "Start"), ("Start", "x", " + ".join(["TARGET.Big"] * 100) + " > 0")])
    job = [("Requirements", "x", "TARGET.Memory > 1")]
    assert are_affordable(Costs(job), slot)
    big: Attribute = ("Big", "x", " + ".join(["Cpus"] * 5000))
    assert are_affordable(Costs([*job, ("Big", "n", "1")]), slot)
    assert not are_affordable(Costs([*job, big]), slot)
    bouncing = [("Requirements", "x", "TARGET.Start + TARGET.Start"), ("Big", "x", "TARGET.Start + 1")]
    assert not are_affordable(Costs(bouncing), slot)


@pytest.fixture
def lower_limits() -> Iterator[None]:
    limit_expressions(ExpressionLimits(length=2000, cost=1000))
    yield
    limit_expressions(USUAL)


SOME: Attribute = ("Some", "x", f"sum({{{', '.join(['Cpus'] * 500)}}})")


def let_through() -> list[bool]:
    """Whether what is neither short nor long passes everywhere."""
    ads = Costs([("Requirements", "x", "Some + Some + Some > 0"), SOME]), Costs([])
    return [
        evaluate(compile_ad([("a", "x", "Some + Some"), SOME, ("Cpus", "n", "1")]), "a") == 1000,
        accepted(lambda: Constraint(SOME[2] + " + " + SOME[2])),
        accepted(lambda: Ad().set("Other", Expression("1 + " + SOME[2]))),
        len(Constraint("Some + Some > 1").select([AdRecord.of(Ad([SOME, ("Cpus", "n", "1")]))], 0)) == 1,
        are_affordable(*ads),
    ]


def accepted(read: Callable[[], object]) -> bool:
    try:
        read()
    except InvalidAd:
        return False
    return True


def test_the_usual_limits() -> None:
    assert all(let_through())


def test_lower_limits_hold_for_what_was_let_through_before(lower_limits: None) -> None:
    assert not any(let_through())


def test_a_query_ends_when_its_time_is_over() -> None:
    records = [AdRecord.of(Ad([("Id", "n", str(n))])) for n in range(1000)]
    assert len(Constraint("Id >= 0", 60.0).select(records, 0)) == 1000
    with pytest.raises(TooManySeconds, match="longer than"):
        Constraint("Id >= 0", 1e-9).select(records, 0)


@pytest.mark.parametrize(
    ("pattern", "size", "most"),
    [
        ("abc", 1000, 1000),
        ("^abc", 1000, 1),
        ("^a*b", 1000, 1000),
        ("a*b", 1000, 10**6),
        (".*a", 1000, 1000),
        ("(?i)^node[0-9]{2,4}\\\\.example\\\\.org$", 100, 300),
        ("^(x|y)z*$", 100, 200),
        ("(a?b)?c", 10, 30),
    ],
)
def test_steps_of_patterns(pattern: str, size: float, most: float) -> None:
    assert steps(pattern, size) == most


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|b)*",
        "(a)\\\\1",
        "(?R)",
        "(?=a)b",
        "(*ANY)a",
        "a**",
        "*a",
        "(a",
        "a)",
        "[a",
        "\\\\",
        "(a?){2}",
        "(?1)",
        "\\\\Qa\\\\E",
        "a" * 3000,
        "(" * 50 + "a" + ")" * 50,
    ],
)
def test_patterns_that_are_not_understood_take_for_ever(pattern: str) -> None:
    assert steps(pattern, 1) == float("inf")


@given(st.text(alphabet="ab(|)*+?{2,}[]^$.\\", max_size=30))
def test_any_pattern_can_be_looked_at(pattern: str) -> None:
    assert steps(pattern, 10) >= 1


PIECES = [
    "a",
    "b",
    "regexp",
    "replaceall",
    "join",
    "eval",
    '"a*"',
    '"b"',
    "1",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
]
PIECES += [";", ",", ".", "+", "&&", "?", ":", "is", "my", "target", "'a'", "//", "\\", "\n", '"']


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
def test_the_cost_of_any_text_is_a_number_that_can_be_compared(text: str) -> None:
    costs = Costs([("a", "x", text), ("b", "x", "a + a"), ("c", "x", text)])
    for name in ("a", "b", "c"):
        assert costs.of(name) >= 0
    assert shape(text).cost(costs.of) >= 0
    assert all(cost >= 0 for side in costs.against(costs) for cost in map(side.of, ("a", "b", "c")))
