"""Ads as Python values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.client import Ad, AdValue, Expression, InvalidValue, Universe, literal
from birdbath.client.values import from_item, to_item

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufffe\uffff").filter(str.isprintable)
)
VALUES = st.one_of(
    TEXT,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    TEXT.filter(bool).map(Expression),
)


@given(VALUES)
def test_a_value_survives_the_wire(value: str | int | float | bool | None) -> None:
    back = from_item(*to_item("Name", value)[1:])

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("a", "STRING-ATTR", "a"),
        (Expression("a + 1"), "EXPRESSION-ATTR", "a + 1"),
        (True, "BOOLEAN-ATTR", "TRUE"),
        (7, "INTEGER-ATTR", "7"),
        (Universe.JAVA, "INTEGER-ATTR", "10"),
        (0.1, "FLOAT-ATTR", "0.1"),
        (math.inf, "EXPRESSION-ATTR", 'real("INF")'),
        (-math.inf, "EXPRESSION-ATTR", 'real("-INF")'),
        (math.nan, "EXPRESSION-ATTR", 'real("NaN")'),
        (None, "UNDEFINED-ATTR", "UNDEFINED"),
    ],
)
def test_a_value_is_sent_with_its_type(value: str | int | float | bool | None, kind: str, text: str) -> None:
    assert to_item("Name", value) == ("Name", kind, text)


@pytest.mark.parametrize("name", ["", "two words", "1st", "a-b", "a\n"])
def test_what_is_no_name_is_not_sent(name: str) -> None:
    with pytest.raises(InvalidValue, match="is not the name"):
        to_item(name, 1)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "a\x00b", "\ud800", b"bytes", ["list"]])
def test_what_cannot_be_sent_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="Name"):
        to_item("Name", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("FLOAT-ATTR", '"ON_EXIT"'),
        ("INTEGER-ATTR", "MaxHosts"),
        ("BOOLEAN-ATTR", "1 < 2"),
        (None, "x"),
        ("115", "y"),
    ],
)
def test_a_text_that_is_not_of_its_type_is_an_expression(kind: str | None, text: str) -> None:
    value = from_item(kind, text)

    assert isinstance(value, Expression)
    assert value == text


def test_names_are_found_in_any_case_and_keep_their_first_spelling() -> None:
    ad = Ad({"JobStatus": 1})
    ad["JOBSTATUS"] = 2

    assert dict(ad) == {"JobStatus": 2}
    assert ad["jobstatus"] == 2
    assert "jobSTATUS" in ad
    del ad["jobstatus"]
    assert not ad
    ad["JOBSTATUS"] = 3
    assert list(ad) == ["JOBSTATUS"]


def test_a_missing_attribute_is_named_as_it_was_asked_for() -> None:
    with pytest.raises(KeyError, match="Nothing"):
        Ad({"A": 1})["Nothing"]
    with pytest.raises(KeyError, match="Nothing"):
        del Ad({"A": 1})["Nothing"]


def test_of_an_attribute_that_comes_twice_the_first_counts() -> None:
    ad = Ad.from_wire([("A", "INTEGER-ATTR", "1"), ("B", "STRING-ATTR", ""), ("A", "INTEGER-ATTR", "2")])

    assert ad == {"A": 1, "B": ""}


def test_a_copy_is_an_ad_of_its_own() -> None:
    ad = Ad({"A": 1})
    copy = ad.copy()
    copy["a"] = 2

    assert (ad["A"], copy["A"]) == (1, 2)


def test_typed_reading_takes_a_default_for_what_does_not_fit() -> None:
    values: dict[str, AdValue] = {"N": 3, "S": "text", "E": Expression("a"), "F": 2.5}
    ad = Ad(values)

    assert (ad.integer("n"), ad.integer("s", 7), ad.integer("missing")) == (3, 7, 0)
    assert (ad.real("F"), ad.real("N"), ad.real("S", 0.5)) == (2.5, 3.0, 0.5)
    assert (ad.string("s"), ad.string("E"), ad.string("N", "none")) == ("text", "", "none")


def test_the_long_form_is_that_of_condor_q() -> None:
    values: dict[str, AdValue] = {
        "A": 'say "hi" C:\\x',
        "B": True,
        "C": 1.5,
        "D": None,
        "E": Expression("a && b"),
        "F": -3,
    }

    assert (
        Ad(values).long() == 'A = "say \\"hi\\" C:\\x"\nB = true\nC = 1.5\nD = undefined\nE = a && b\nF = -3'
    )


def test_a_literal_of_infinity_is_what_htcondor_writes() -> None:
    assert literal(math.inf) == 'real("INF")'
