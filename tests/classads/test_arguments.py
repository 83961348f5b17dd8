"""Arguments in V2 raw syntax (reference section 3.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.classads.arguments import UnbalancedQuotes, join, parse


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", []),
        (" \t\r\n ", []),
        ("30", ["30"]),
        ("one two", ["one", "two"]),
        ("  one \t two\n", ["one", "two"]),
        ("'one two' three", ["one two", "three"]),
        ("''", [""]),
        ("'' x ''", ["", "x", ""]),
        ("''''", ["'"]),
        ("'it''s' here", ["it's", "here"]),
        ("a'b c'd", ["ab cd"]),
        ("a''b", ["ab"]),
        ("'a''b'", ["a'b"]),
        ('"quoted" \\back', ['"quoted"', "\\back"]),
        ("-x '--name=a b' \u20ac", ["-x", "--name=a b", "\u20ac"]),
    ],
)
def test_parsing(text: str, arguments: list[str]) -> None:
    assert parse(text) == arguments


@pytest.mark.parametrize("text", ["'", "one 'two", "'a''", "a'b''", "'''"])
def test_unbalanced_quotes(text: str) -> None:
    with pytest.raises(UnbalancedQuotes):
        parse(text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], ""),
        (["one", "two"], "one two"),
        (["one two"], "'one two'"),
        ([""], "''"),
        (["it's"], "'it''s'"),
        (["a\tb", '"'], "'a\tb' \""),
    ],
)
def test_the_normal_form_quotes_only_where_needed(arguments: list[str], text: str) -> None:
    assert join(arguments) == text


@given(st.lists(st.text(max_size=20), max_size=8))
def test_what_is_joined_can_be_parsed(arguments: list[str]) -> None:
    assert parse(join(arguments)) == arguments


@given(st.text(alphabet=" '\ta", max_size=25))
def test_the_normal_form_is_stable(text: str) -> None:
    try:
        arguments = parse(text)
    except UnbalancedQuotes:
        return
    assert parse(join(arguments)) == arguments
    assert join(parse(join(arguments))) == join(arguments)
