"""Section 5: ClassAds to and from their form on the wire, through both daemons."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import Door, Item, WireAd, expression, integer, string

Trip = Callable[..., WireAd]


def through_the_queue(door: Door) -> Trip:
    """Items into a job by submit, and out by getJobAd."""
    return lambda *items: door.committed(*items).ad


def through_the_collector(door: Door) -> Trip:
    """Items into an ad by insertAd, and out by queryAnyAds."""

    def trip(*items: Item) -> WireAd:
        door.ok("insertAd", type="GENERIC-AD-TYPE", ad=[string("Name", "trip"), *items])
        (ad,) = door.call("queryAnyAds", constraint='Name == "trip"').ads
        return ad

    return trip


def through_both(door: Door) -> Trip:
    def trip(*items: Item) -> WireAd:
        ad, other = through_the_queue(door)(*items), through_the_collector(door)(*items)
        for item in items:
            assert [i for i in ad if i.name == item.name] == [i for i in other if i.name == item.name]
        return ad

    return trip


@pytest.fixture
def trip(door: Door) -> Trip:
    return through_both(door)


# ---------------------------------------------------------------- 5.1 outgoing


VALUES = [
    # integers, 64 bits, negative ones as literals
    ("0", "INTEGER-ATTR", "0"),
    ("12", "INTEGER-ATTR", "12"),
    ("-1", "INTEGER-ATTR", "-1"),
    ("+7", "INTEGER-ATTR", "7"),
    ("010", "INTEGER-ATTR", "10"),
    ("2147483648", "INTEGER-ATTR", "2147483648"),
    ("9007199254740993", "INTEGER-ATTR", "9007199254740993"),
    ("9223372036854775807", "INTEGER-ATTR", "9223372036854775807"),
    ("-9223372036854775807", "INTEGER-ATTR", "-9223372036854775807"),
    # reals, of full precision
    ("0.0", "FLOAT-ATTR", "0.000000"),
    ("3.5", "FLOAT-ATTR", "3.500000"),
    ("-2.25", "FLOAT-ATTR", "-2.250000"),
    # booleans in upper case
    ("true", "BOOLEAN-ATTR", "TRUE"),
    ("TRUE", "BOOLEAN-ATTR", "TRUE"),
    ("False", "BOOLEAN-ATTR", "FALSE"),
    # string literals that come as expressions
    ('"quoted"', "STRING-ATTR", "quoted"),
    ('""', "STRING-ATTR", ""),
    ('"say \\"hi\\""', "STRING-ATTR", 'say "hi"'),
    ('"C:\\dir\\file"', "STRING-ATTR", "C:\\dir\\file"),
    # everything else is an expression in canonical form
    ("Memory>512", "EXPRESSION-ATTR", "Memory > 512"),
    ("a=?=b", "EXPRESSION-ATTR", "a =?= b"),
    ("a=!=undefined", "EXPRESSION-ATTR", "a =!= undefined"),
    ("a is b", "EXPRESSION-ATTR", "a =?= b"),
    ("A&&B||C", "EXPRESSION-ATTR", "A && B || C"),
    ("f(a,b)", "EXPRESSION-ATTR", "f(a,b)"),
    ("TARGET.Memory>=MY.RequestMemory", "EXPRESSION-ATTR", "TARGET.Memory >= MY.RequestMemory"),
    ("{1,2,3}", "EXPRESSION-ATTR", "{ 1,2,3 }"),
    ("{}", "EXPRESSION-ATTR", "{  }"),
    ('[a=1;b="x"]', "EXPRESSION-ATTR", '[ a = 1; b = "x" ]'),
    ("Name", "EXPRESSION-ATTR", "Name"),
    ("TRUE&&FALSE", "EXPRESSION-ATTR", "true && false"),
    ("UNDEFINED=?=x", "EXPRESSION-ATTR", "undefined =?= x"),
    ("a?b:c", "EXPRESSION-ATTR", "a ? b : c"),
    ("x*2+y", "EXPRESSION-ATTR", "x * 2 + y"),
]


def test_values(trip: Trip) -> None:
    """5.1: the type says what the value is; 5.3, 5.4: the tag that came only tells strings from the rest."""
    tags = ("EXPRESSION-ATTR", "INTEGER-ATTR", "BOOLEAN-ATTR", None)
    sent = {
        f"Value{row}_{number}": (Item(f"Value{row}_{number}", tag, text), kind, value)
        for row, (text, kind, value) in enumerate(VALUES)
        for number, tag in enumerate(tags)
    }
    ad = trip(*(item for item, _, _ in sent.values()))
    for name, (item, kind, value) in sent.items():
        back = ad.item(name)
        assert back.type == kind, item
        assert _blanks(back.value) == _blanks(value), item


def _blanks(text: str | None) -> str:
    """One blank where there are several: lists and records are printed with more or fewer."""
    return " ".join((text or "").split())


def test_undefined_and_error_are_omitted(trip: Trip) -> None:
    """5.1: UNDEFINED-ATTR and ERROR-ATTR are never sent."""
    texts = ("undefined", "UNDEFINED", "error", "Error")
    ad = trip(*(expression(f"Value{number}", text) for number, text in enumerate(texts)))
    assert not any(str(name).startswith("Value") for name in ad.names)


def test_parentheses_and_signs_stay(trip: Trip) -> None:
    """5.1: a minus before anything but a number, and parenthesised values, are expressions."""
    texts = ("(x)", "( x )", "((x))", "(1)", "-x", "- x")
    ad = trip(*(expression(f"Value{number}", text) for number, text in enumerate(texts)))
    for number, text in enumerate(texts):
        item = ad.item(f"Value{number}")
        assert item.type == "EXPRESSION-ATTR"
        assert (item.value or "").replace(" ", "") == text.replace(" ", "")


STRINGS = [
    "",
    " ",
    "  leading and trailing  ",
    "plain",
    "TRUE",
    "12",
    "undefined",
    'say "hi"',
    '"',
    '""',
    "'",
    "\\",
    '\\"',
    "C:\\dir",
    "C:\\dir\\",
    "ends with two \\\\",
    "tab\there",
    "<a href='x'>&amp;</a>",
    "]]>",
    "\u00e9\u00fc",
    "\u20ac",
    "\u65e5\u672c\u8a9e",
    "\U0001f41f",
    "x" * 100_000,
]


def test_strings(trip: Trip) -> None:
    """5.1, 5.3 to 5.5: raw characters, no quotes, no escapes; UTF-8."""
    sent = [string(f"Value{number}", text) for number, text in enumerate(STRINGS)]
    ad = trip(*sent)
    for item in sent:
        assert ad.item(str(item.name)) == item


def test_line_breaks_in_daemon_ads(door: Door) -> None:
    """1.4: as references, which come back as they were. (In a job they are refused, 3.6.)"""
    for text in ("two\nlines", "a\r\nb", "\n"):
        assert through_the_collector(door)(string("Value", text)).item("Value") == string("Value", text)


def test_strings_are_no_expressions(trip: Trip) -> None:
    """5.3: a quote in a value does not inject anything."""
    ad = trip(string("Value", 'x"; Evil = 1; y = "'), string("Other", '" || TRUE || "'))
    assert not ad.has("Evil")
    assert ad.value("Value") == 'x"; Evil = 1; y = "'


REALS = st.floats(allow_nan=False, allow_infinity=False)
ONE_DOOR = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONE_DOOR
@given(values=st.lists(REALS, min_size=1, max_size=20))
def test_reals_of_full_precision(door: Door, values: list[float]) -> None:
    """5.1, better to fix: the very same 64 bits come back."""
    items = [Item(f"V{number}", "FLOAT-ATTR", repr(value)) for number, value in enumerate(values)]
    ad = through_the_collector(door)(*items)
    for number, value in enumerate(values):
        back = ad.item(f"V{number}")
        assert back.type == "FLOAT-ATTR"
        assert float(back.value or "") == value
        if value:
            assert struct.pack("d", float(back.value or "")) == struct.pack("d", value)


@ONE_DOOR
@given(values=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=20))
def test_integers_of_64_bits(door: Door, values: list[int]) -> None:
    """5.1, better to fix: no truncation to 32 bits."""
    items = [integer(f"V{number}", value) for number, value in enumerate(values)]
    ad = through_the_collector(door)(*items)
    assert [ad.number(f"V{number}") for number in range(len(values))] == values


NOT_IN_XML = "".join(map(chr, {*range(32)} - {9, 10, 13})) + "\ufffe\uffff"
XML_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=NOT_IN_XML), max_size=50)


@ONE_DOOR
@given(values=st.lists(XML_TEXT, min_size=1, max_size=10))
def test_any_text(door: Door, values: list[str]) -> None:
    """5.1, 5.3."""
    items = [string(f"V{number}", value) for number, value in enumerate(values)]
    ad = through_the_collector(door)(*items)
    assert [ad.value(f"V{number}") for number in range(len(values))] == values


def test_infinite_reals(trip: Trip) -> None:
    """Beyond 5.1: they are no literals, so they come as the expressions that give them."""
    item = trip(expression("Value", "1e999")).item("Value")
    assert item.type == "EXPRESSION-ATTR"
    assert math.isinf(1e999)
    assert "INF" in (item.value or "").upper()


def test_the_first_three(door: Door) -> None:
    """5.1: MyType, TargetType, ServerTime, in this order, each once, whatever is stored under their names."""
    before = door.time()
    job = through_the_queue(door)(integer("ServerTime", 5), integer("servertime", 6), string("A", "x"))
    ad = through_the_collector(door)(
        integer("ServerTime", 5), string("MyType", "T"), string("TargetType", "")
    )
    for items, my_type, target in ((job, "Job", "Machine"), (ad, "T", "")):
        assert items[:2] == [string("MyType", my_type), string("TargetType", target)]
        assert (items[2].name, items[2].type) == ("ServerTime", "INTEGER-ATTR")
        assert before <= items.number("ServerTime") <= door.time()
        assert not {"mytype", "targettype", "servertime"} & {str(name).lower() for name in items.names[3:]}


def test_each_attribute_once(door: Door) -> None:
    """5.1, better to fix: the effective value once; names keep the spelling of their first definition."""
    for trip in (through_the_queue(door), through_the_collector(door)):
        ad = trip(integer("Twice", 1), integer("TWICE", 2), integer("twice", 3))
        assert [item for item in ad if str(item.name).lower() == "twice"] == [integer("Twice", 3)]
        names = [str(name).lower() for name in ad.names]
        assert len(names) == len(set(names))


def test_expressions_are_not_evaluated(trip: Trip) -> None:
    """5.1: only re-printed."""
    assert trip(expression("Value", "1+1"), integer("One", 1)).item("Value") == expression("Value", "1 + 1")
    assert trip(expression("Value", "One"), integer("One", 1)).item("Value") == expression("Value", "One")


# ---------------------------------------------------------------- 5.3, 5.4 incoming


def test_tags_are_not_checked(trip: Trip) -> None:
    """5.3, 5.4, 1.3: by name, by number, outside the enumeration, missing: all expression text."""
    names = "INTEGER-ATTR FLOAT-ATTR BOOLEAN-ATTR EXPRESSION-ATTR UNDEFINED-ATTR ERROR-ATTR"
    tags = [*names.split(), "110", "102", "98", "120", "117", "101", "99", "0", "", None]
    texts = [Item(f"Text{number}", tag, '"text"') for number, tag in enumerate(tags)]
    numbers = [Item(f"Number{number}", tag, "7") for number, tag in enumerate(tags)]
    ad = trip(*texts, *numbers)
    for number in range(len(tags)):
        assert ad.item(f"Text{number}") == string(f"Text{number}", "text")
        assert ad.item(f"Number{number}") == integer(f"Number{number}", 7)


def test_only_strings_are_literal(trip: Trip) -> None:
    """5.3, 5.4."""
    ad = trip(Item("One", "STRING-ATTR", "7"), Item("Two", "115", "7"))
    assert (ad.item("One"), ad.item("Two")) == (string("One", "7"), string("Two", "7"))


def test_a_missing_value_is_undefined(trip: Trip) -> None:
    """3.6, 5.3: so the attribute is not sent."""
    tags = ("STRING-ATTR", "INTEGER-ATTR", None)
    ad = trip(*(Item(f"Value{number}", tag, None) for number, tag in enumerate(tags)))
    assert not any(str(name).startswith("Value") for name in ad.names)


BAD = ["1 +", "a b", "(", '"open', "1; Evil = 2", "1]", "1 /* open", "\u20ac", "9223372036854775808", ""]


def test_what_does_not_parse(door: Door) -> None:
    """5.3: dropped silently, so an earlier value stays; 5.4: becomes UNDEFINED."""
    items = [
        item
        for number, text in enumerate(BAD)
        for item in (integer(f"Value{number}", 1), expression(f"Value{number}", text))
    ]
    daemon_ad, job_ad = through_the_collector(door)(*items), through_the_queue(door)(*items)
    for number, text in enumerate(BAD):
        assert daemon_ad.item(f"Value{number}") == integer(f"Value{number}", 1), text
        assert not job_ad.has(f"Value{number}"), text
    for ad in (daemon_ad, job_ad):
        assert not ad.has("Evil")


def test_names_that_are_none(door: Door) -> None:
    """5.3: dropped. (A job refuses them, 3.6.)"""
    names = ("a b", "1st", "a-b", "a.b", "", "\u00e9", "x" * 10 + ";")
    ad = through_the_collector(door)(integer("Good", 1), *(integer(name, 1) for name in names))
    assert ad.has("Good")
    assert not {*names} & {*ad.names}


def test_names_that_only_look_odd(trip: Trip) -> None:
    sent = [integer(n, 1) for n in ("true", "undefined", "error", "is", "parent", "_x", "A1", "x" * 200)]
    ad = trip(*sent)
    for item in sent:
        assert ad.item(str(item.name)) == item


def test_a_job_ad_round_trip(door: Door) -> None:
    """5.1 with 5.4: what getJobAd answers can be submitted again, but for the job's own ids."""
    first = door.committed(
        string("Quoted", 'C:\\x "y"'), expression("Rank", "Memory*2"), Item("Real", "FLOAT-ATTR", "0.1")
    ).ad
    ids = {"ClusterId", "ProcId", "GlobalJobId", "Iwd"}
    times = {"ServerTime", "EnteredCurrentStatus", "JobStatus", "StageInStart", "StageInFinish"}
    own = ids | times
    staged = door.staged()
    assert staged.submit(*(item for item in first if item.name not in own)) == "SUCCESS"
    second = staged.commit().ad
    for item in first:
        if item.name not in own:
            assert second.item(str(item.name)) == item


OF_THE_COLLECTOR = ("Update", "LastHeardFrom", "Authenticat", "ServerTime")
"""How attributes begin that a collector sets itself, or whoever asks it."""


def test_a_daemon_ad_round_trip(door: Door) -> None:
    """5.1 with 5.3: a slot's ad can be inserted again as it came."""
    slot = door.call("queryStartdAds").ads[0]
    renamed = [string("Name", "copy") if item.name == "Name" else item for item in slot]
    door.ok("insertAd", type="STARTD-AD-TYPE", ad=renamed)
    (copy,) = door.call("queryStartdAds", constraint='Name == "copy"').ads
    for item in renamed:
        if not str(item.name).startswith(OF_THE_COLLECTOR):
            assert copy.item(str(item.name)) == item


def test_constraints_see_exact_values(open_door: OpenDoor) -> None:
    """5.5: what is stored is what is compared."""
    door = open_door()
    through_the_queue(door)(string("Path", 'C:\\dir "x"'), integer("Big", 9007199254740993))
    for constraint, found in (
        ('Path == "C:\\dir \\"x\\""', 1),
        ('Path == "C:\\\\dir \\"x\\""', 0),
        ("Big == 9007199254740993", 1),
        ("Big == 9007199254740992", 0),
    ):
        assert len(door.ok("getJobAds", constraint=constraint).ads) == found, constraint
