"""Ads and the conversions from clients' items."""

import pytest

from birdbath.classads import Ad, Expression, Item, Scalar, ad_from_items, attribute_from_item
from birdbath.errors import InvalidAd


def test_names_compare_without_case_and_keep_their_first_spelling_and_place() -> None:
    ad = Ad()
    ad.set("JobStatus", 1)
    ad.set("Owner", "ann")
    ad.set("JOBSTATUS", 2)
    assert list(ad) == [("JobStatus", "n", "2"), ("Owner", "s", "ann")]
    assert "jobstatus" in ad
    assert "Job" not in ad
    assert ad.attribute("OWNER") == ("Owner", "s", "ann")
    assert ad.attribute("Job") is None
    assert len(ad) == 2
    ad.delete("owner")
    ad.delete("owner")
    assert list(ad) == [("JobStatus", "n", "2")]


def test_rename() -> None:
    ad = Ad()
    ad.update({"HoldReason": "x", "LastHoldReason": "y"})
    ad.rename("holdreason", "LastHoldReason")
    ad.rename("HoldReason", "LastHoldReason")
    assert list(ad) == [("LastHoldReason", "s", "x")]


def test_set_tells_expressions_from_strings() -> None:
    ad = Ad()
    ad.update({"a": "1 + 1", "b": Expression("1+1"), "c": Expression("TRUE"), "d": Expression("undefined")})
    assert list(ad) == [("a", "s", "1 + 1"), ("b", "x", "1 + 1"), ("c", "b", "TRUE"), ("d", "u", "undefined")]


@pytest.mark.parametrize("name", ["", "a b", "a=1;b", "é"])
def test_set_refuses_what_is_no_name(name: str) -> None:
    ad = Ad()
    with pytest.raises(InvalidAd):
        ad.set(name, 1)
    assert len(ad) == 0


@pytest.mark.parametrize("value", [2**63, "\0", "\udc80", Expression("1 +"), Expression("\udc80")])
def test_set_refuses_what_no_ad_can_hold(value: int | str) -> None:
    ad = Ad()
    with pytest.raises(InvalidAd):
        ad.set("a", value)
    assert len(ad) == 0


def test_to_json_refuses_what_was_put_unchecked() -> None:
    ad = Ad()
    ad.put("a", "s", "\udc80")
    with pytest.raises(InvalidAd):
        ad.to_json()


def test_get_gives_literals_only() -> None:
    ad = Ad()
    values: dict[str, Scalar] = {"s": "x", "n": -3, "f": 1e-7, "t": True, "u": False}
    ad.update(values)
    ad.update({"x": Expression("1 + 1"), "inf": float("inf"), "gone": Expression("undefined")})
    assert {name: ad.get(name.upper()) for name in values} == values
    assert [ad.get(name) for name in ("x", "inf", "gone", "none")] == [None] * 4


def test_integer_and_string_have_defaults() -> None:
    ad = Ad()
    ad.update({"n": 3, "f": 3.9, "t": True, "s": "4", "x": Expression("1 + 1")})
    assert [ad.integer(name) for name in ("n", "f", "t", "s", "x", "none")] == [3, 3, 1, 0, 0, 0]
    assert ad.integer("none", -1) == -1
    assert [ad.string(name) for name in ("s", "n", "none")] == ["4", "", ""]
    assert ad.string("none", "d") == "d"


def test_evaluate_uses_the_whole_ad_and_what_is_put_on_top() -> None:
    ad = Ad()
    ad.update({"QDate": 100, "Age": Expression("ServerTime - QDate"), "servertime": 0, "Cmd": "/bin/true"})
    assert ad.evaluate("Age", ServerTime=150) == 50
    assert ad.evaluate("age") == -100
    assert ad.evaluate("cmd") == "/bin/true"
    assert ad.evaluate("Nothing") is None
    assert ad.get("ServerTime") == 0


def test_two_spellings_of_a_name_do_not_both_reach_the_library() -> None:
    ad = Ad()
    ad.update({"SERVERTIME": 1})
    assert len(ad.compiled(ServerTime=5)) == 1
    assert ad.compiled(ServerTime=5).eval("ServerTime") == 5


@pytest.mark.parametrize(
    ("kind", "text", "stored"),
    [
        ("s", 'a "quoted" C:\\dir\\', ("s", 'a "quoted" C:\\dir\\')),
        ("s", "", ("s", "")),
        ("s", "TRUE", ("s", "TRUE")),
        ("s", 'x"; Owner = "root', ("s", 'x"; Owner = "root')),
        # every other tag means expression text, whatever it says
        ("n", "5", ("n", "5")),
        ("n", "007", ("n", "7")),
        ("f", '"text"', ("s", "text")),
        ("x", "TRUE", ("b", "TRUE")),
        ("b", "TRUE", ("b", "TRUE")),
        ("b", "a||b", ("x", "a || b")),
        ("", "1.5", ("f", "1.500000")),
        ("u", "5", ("n", "5")),
        ("e", "error", ("e", "error")),
        ("s", None, ("u", "undefined")),
        ("n", None, ("u", "undefined")),
    ],
)
def test_attributes_from_items(kind: str, text: str | None, stored: tuple[str, str]) -> None:
    assert attribute_from_item("Name", kind, text) == ("Name", *stored)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("1a", "n", "1"),
        ("a b", "s", None),
        ("a;b", "x", "1"),
        ("a", "x", "1; b = 2"),
        ("a", "n", "1]"),
        ("a", "n", ""),
        ("a", "n", "9223372036854775808"),
        ("a", "s", "nul \0"),
        ("a", "s", "\udc80"),
        ("a", "x", "+".join(["1"] * 1000)),
    ],
)
def test_items_that_are_no_attributes(name: str, kind: str, text: str | None) -> None:
    with pytest.raises(InvalidAd):
        attribute_from_item(name, kind, text)


ITEMS: list[Item] = [
    ("MyType", "x", "Machine"),
    ("TargetType", "", "Job"),
    (None, "n", "1"),
    ("", "n", "1"),
    ("Good", "n", "1"),
    ("Bad", "x", "1 +"),
    ("bad name", "n", "1"),
    ("Good", "s", "first"),
    ("GOOD", "s", "last"),
    ("Missing", "s", None),
    ("mytype2", "x", "Machine"),
]


def test_ad_from_items_drops_what_does_not_parse() -> None:
    assert list(ad_from_items(ITEMS, "drop")) == [
        ("MyType", "s", "Machine"),
        ("TargetType", "s", "Job"),
        ("Good", "s", "last"),
        ("Missing", "u", "undefined"),
        ("mytype2", "x", "Machine"),
    ]


def test_ad_from_items_keeps_what_does_not_parse_as_undefined() -> None:
    assert list(ad_from_items(ITEMS, "undefined")) == [
        ("MyType", "s", "Machine"),
        ("TargetType", "s", "Job"),
        ("Good", "s", "last"),
        ("Bad", "u", "undefined"),
        ("Missing", "u", "undefined"),
        ("mytype2", "x", "Machine"),
    ]


def test_the_empty_ad() -> None:
    ad = ad_from_items([], "drop")
    assert ad.to_json() == "[]"
    assert list(Ad.from_json("[]")) == []
    assert len(ad.compiled()) == 0
