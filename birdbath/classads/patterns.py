"""Regular expressions that clients send in expressions: those that could take long are refused.

HTCondor's library matches with backtracking and holds the interpreter meanwhile: `^(a+)+$` takes half a
second for each ad that it is tried on. A pattern has to be written out, so that it can be looked at; it may
not repeat what repeats or branches within; and there may only be a few.
"""

from __future__ import annotations

import re
from typing import Final

from birdbath.errors import InvalidAd

MAX_PATTERNS: Final = 8
MAX_REPETITIONS: Final = 4
"""Unbounded repetitions in one pattern: each may multiply the time by the length of the text."""

_CALL = re.compile(r"\b(?:regexp\w*|replace(?:all)?)\s*\(\s*", re.IGNORECASE)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\\\?.|\[\^?\]?[^\]]*\]")
_GROUP = re.compile(r"\(([^()]*)\)([*+{]?)")
_REPEATS: Final = frozenset("*+{|")


class SlowPattern(InvalidAd):
    """A regular expression may take too long."""


def check_patterns(text: str) -> None:
    """Raise SlowPattern when an expression has regular expressions that may take long."""
    calls = list(_CALL.finditer(text))
    if len(calls) > MAX_PATTERNS:
        raise SlowPattern(f"an expression has more than {MAX_PATTERNS} regular expressions")
    for call in calls:
        literal = _LITERAL.match(text, call.end())
        if literal is None:
            raise SlowPattern("a regular expression has to be written out as a string")
        if is_slow(literal[1]):
            raise SlowPattern(f"a regular expression may take too long: {literal[1][:80]}")


def is_slow(pattern: str) -> bool:
    """Whether a pattern repeats what repeats or branches, or repeats too often."""
    left = _ESCAPED.sub("x", pattern)
    if sum(map(left.count, "*+{")) > MAX_REPETITIONS:
        return True
    while (group := _GROUP.search(left)) is not None:
        inner, repeated = group[1], bool(group[2])
        if repeated and _REPEATS & set(inner):
            return True
        # What repeats within is still seen from without.
        left = left[: group.start()] + ("*" if _REPEATS & set(inner) else "x") + left[group.start(2) :]
    return False
