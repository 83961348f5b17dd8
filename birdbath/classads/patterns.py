"""What a regular expression that a client sends may cost, found out without trying it.

HTCondor's library matches with backtracking: `a*a*b` takes two minutes on a text of 10,000 characters. The
number of ways in which a pattern can match a text of n characters bounds the steps; for the patterns that are
understood here it is at most `c * n**d`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Final

LONGEST_PATTERN: Final = 2048
_ESCAPES: Final = frozenset("dDwWsSbBAzZntrfvhHe")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_COUNTED = re.compile(r"\{([0-9]{1,5})(?:(,)([0-9]{0,5}))?\}")
_OPTIONS = re.compile(r"\?[ims]*:|\?[ims]+(?=\))")
_UNESCAPED = re.compile(r"\\([\\\"'])")


@dataclass(frozen=True)
class Ways:
    """At most `c * n**d` ways to match in a text of n characters."""

    c: float = 1.0
    d: int = 0

    @property
    def is_one(self) -> bool:
        """Whether there is no choice."""
        return self.c == 1.0 and self.d == 0

    def __mul__(self, other: Ways) -> Ways:
        return Ways(self.c * other.c, self.d + other.d)

    def __add__(self, other: Ways) -> Ways:
        return Ways(self.c + other.c, max(self.d, other.d))


ONE: Final = Ways()
ENDLESS: Final = Ways(inf)
"""Of what is not understood, or grows faster than any power."""


def steps(literal: str, size: float) -> float:
    """At most how many steps matching takes: of the pattern as it stands between the quotes of new syntax, in
    texts of `size` characters.
    """
    starts, ways = _analysed(_UNESCAPED.sub(r"\1", literal))
    return float((size if starts else 1.0) * ways.c * size**ways.d)


@lru_cache(maxsize=1024)
def _analysed(pattern: str) -> tuple[bool, Ways]:
    """Whether a match is tried from every place of the text, and the ways from each."""
    if len(pattern) > LONGEST_PATTERN:
        return False, ENDLESS
    reader = _Reader(pattern)
    ways = reader.alternatives()
    if reader.place < len(pattern):
        ways = ENDLESS
    return not (pattern.startswith(("^", ".*")) and not reader.branches), ways


class _Reader:
    """Reads the common part of the syntax by descent; everything else is ENDLESS."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._depth = 0
        self.place = 0
        self.branches = False

    def alternatives(self) -> Ways:
        ways = self._sequence()
        while self._take("|"):
            self.branches = self.branches or self._depth == 0
            ways += self._sequence()
        return ways

    def _sequence(self) -> Ways:
        ways = ONE
        while self.place < len(self._pattern) and self._pattern[self.place] not in "|)":
            ways *= self._repeated(self._atom())
        return ways

    def _atom(self) -> Ways:
        pattern, place = self._pattern, self.place
        if self._take("("):
            return self._group()
        if pattern[place] == "[":
            found = _CLASS.match(pattern, place)
            self.place = found.end() if found else len(pattern)
            return ONE if found else ENDLESS
        self.place += 1
        if pattern[place] == "\\":
            escaped = pattern[self.place : self.place + 1]
            self.place += 1
            return ONE if escaped in _ESCAPES or not (escaped.isalnum() or escaped == "") else ENDLESS
        return ENDLESS if pattern[place] in "*+?" else ONE

    def _group(self) -> Ways:
        if options := _OPTIONS.match(self._pattern, self.place):
            self.place = options.end()
        elif self._pattern[self.place : self.place + 1] in ("?", "*"):
            return ENDLESS
        self._depth += 1
        if self._depth > 20:
            return ENDLESS
        ways = self.alternatives()
        self._depth -= 1
        return ways if self._take(")") else ENDLESS

    def _repeated(self, ways: Ways) -> Ways:
        counted = _COUNTED.match(self._pattern, self.place)
        if counted is not None:
            self.place = counted.end()
            least = int(counted[1])
            most = float(counted[3]) if counted[3] else inf if counted[2] else float(least)
        elif self._take("*"):
            least, most = 0, inf
        elif self._take("+"):
            least, most = 1, inf
        elif self._take("?"):
            least, most = 0, 1.0
        else:
            return ways
        if not self._take("?"):  # lazy or possessive: no more ways than greedy
            self._take("+")
        if not ways.is_one:  # each round chooses anew
            few = most <= 1.0
            return ONE + ways if few else ENDLESS
        return Ways(1.0, 1) if most == inf else Ways(max(1.0, most - least + 1.0))

    def _take(self, character: str) -> bool:
        taken = self._pattern.startswith(character, self.place)
        self.place += taken
        return taken
