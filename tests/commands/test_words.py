"""Arguments, environments and quantities."""

from __future__ import annotations

import pytest

from birdbath.client import Expression
from birdbath.description import DescriptionError, words


@pytest.mark.parametrize(
    ("command", "ad"),
    [
        ("", ""),
        ("one two", "one two"),
        (r"say \"hi\" 'as it is'", "say \"hi\" '''as' it 'is'''"),
        ("\"one 'two three'\"", "one 'two three'"),
        ('"say ""hi"" it\'\'\'\'s"', "say \"hi\" it''''s"),
        ('""', ""),
    ],
)
def test_arguments_come_in_two_syntaxes(command: str, ad: str) -> None:
    assert words.arguments(command) == ad


@pytest.mark.parametrize("command", ['"open', '"', '"a" b"', '"it\'s"'])
def test_arguments_with_quotes_that_do_not_match_are_refused(command: str) -> None:
    with pytest.raises(DescriptionError):
        words.arguments(command)


@pytest.mark.parametrize(
    ("command", "inherited", "ad"),
    [
        ("A=1;B=x y", {}, "A=1 'B=x y'"),
        ("\"A=1 B='x y' C='it''s'\"", {}, "A=1 'B=x y' 'C=it''s'"),
        ("A=2", {"A": "1", "Z": "3"}, "A=2 Z=3"),
        ("A=b=c", {}, "A=b=c"),
        ("", {}, ""),
    ],
)
def test_an_environment(command: str, inherited: dict[str, str], ad: str) -> None:
    assert words.environment(command, inherited) == ad


@pytest.mark.parametrize("command", ["A", "=1", '"A=1 B"'])
def test_what_is_no_setting_is_refused(command: str) -> None:
    with pytest.raises(DescriptionError, match="is not NAME=VALUE"):
        words.environment(command, {})


@pytest.mark.parametrize(
    ("getenv", "names"),
    [
        ("", []),
        ("False", []),
        ("true", ["HOME", "HOST", "PATH"]),
        ("HOME, PA*", ["HOME", "PATH"]),
        ("HO* !HOST", ["HOME"]),
    ],
)
def test_what_is_taken_over_from_our_own_environment(getenv: str, names: list[str]) -> None:
    own = {"HOME": "h", "HOST": "t", "PATH": "p", "BROKEN": "a\nb"}

    assert sorted(words.inherited(getenv, own)) == names


@pytest.mark.parametrize(
    ("text", "base", "value"),
    [
        ("512", "M", 512),
        ("2GB", "M", 2048),
        ("1.5 G", "M", 1536),
        ("1025K", "M", 2),
        ("100M", "K", 102400),
        ("1TiB", "K", 2**30),
        ("7", "K", 7),
        ("MemoryUsage * 2", "M", Expression("MemoryUsage * 2")),
        ("2 GX", "M", Expression("2 GX")),
    ],
)
def test_quantities_have_units(text: str, base: str, value: int | Expression) -> None:
    assert words.quantity(text, base) == value


def test_what_is_no_pair_is_no_remap() -> None:
    assert words.remaps('" a = b = c ; nothing;; d="') == [("a", "b = c"), ("d", "")]
