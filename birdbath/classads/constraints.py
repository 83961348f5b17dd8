"""Constraints: expressions that select ads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, TypeVar

import classad2

from birdbath.classads.costs import LIGHT, Costs, TooCostly, check_cost
from birdbath.classads.expressions import EVALUATION_ERRORS, CompiledAd, is_true, parse, printed
from birdbath.classads.limits import limits
from birdbath.classads.syntax import conjuncts, prepared, replace_references
from birdbath.errors import RequestFault

if TYPE_CHECKING:
    from birdbath.classads.records import AdRecord

T = TypeVar("T")

_PIN = re.compile(
    r"\s*(?:MY\s*\.\s*)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?:==|=\?=)\s*"
    r'(?:(?P<number>[0-9]{1,18})|"(?P<string>[^"\\]*)")\s*\Z',
    re.IGNORECASE,
)
_TIME = frozenset({"servertime", "currenttime"})
_MENTIONS_TIME = re.compile("servertime|currenttime", re.IGNORECASE)

_FAILURES = (*EVALUATION_ERRORS, TooCostly)
_AT_ONCE = 64
"""Ads that are looked at between two looks at the clock."""


class TooManySeconds(RequestFault):
    """A query was given up because it took longer than a query may take."""


class Constraint:
    """A ClassAd expression that selects ads (reference sections 3.14 and 4.2).

    It is evaluated in the scope of each ad; `MY.` and `TARGET.` both mean that ad, ServerTime
    (CurrentTime, in old expressions) means now. `text` None or blank selects everything. Text that is no
    expression raises InvalidAd: whether that is an empty answer or a fault is the caller's decision. So does
    an expression that may take too long on any ad. `seconds` is how long a `select` may take; 0: no limit.
    """

    def __init__(self, text: str | None, seconds: float = 0.0) -> None:
        self.text = (text or "").strip()
        self.selects_all = not self.text or self.text.lower() == "true"
        self.mentions_time = _MENTIONS_TIME.search(self.text) is not None
        self._text = "" if self.selects_all else _in_one_scope(prepared(self.text))
        self._expression = None if self.selects_all else parse(self._text).lookup("x")
        self._seconds = seconds or inf
        self._most = limits().cost
        self._shape = check_cost(self._text)
        self._frugal = not self._shape.calls and self._shape.cost(lambda name: LIGHT) <= self._most

    def cost(self, costs: Costs) -> float:
        """What evaluating it in the ad that has these costs may cost."""
        return self._shape.cost(costs.of)

    def affords(self, costs: Costs) -> bool:
        """Whether it is evaluated within reasonable time in the ad that has these costs."""
        return (self._frugal and costs.light) or self.cost(costs) <= self._most

    def select(self, records: Sequence[AdRecord], now: float, begun: float | None = None) -> list[AdRecord]:
        """Those of `records` that the constraint selects, in their order; `now` in seconds since the epoch.
        The query began at `begun`, of time.monotonic, or begins now.

        An ad in which the expression cannot be evaluated, or not within reasonable time, is not selected.
        Raises TooManySeconds.
        """
        if self._expression is None:
            return list(records)
        evaluate = (self._at(now) if self.mentions_time else self._expression).eval
        found: list[AdRecord] = []
        deadline = (time.monotonic() if begun is None else begun) + self._seconds
        for start in range(0, len(records), _AT_ONCE):
            found += self._chosen(records[start : start + _AT_ONCE], evaluate, now)
            if time.monotonic() > deadline:
                raise TooManySeconds(f"The constraint takes longer than {self._seconds:g} seconds")
        return found

    def _chosen(
        self, records: Sequence[AdRecord], evaluate: Callable[[CompiledAd], object], now: float
    ) -> list[AdRecord]:
        def scoped(record: AdRecord) -> object:
            return evaluate(self._scope(record, now))

        if not self._frugal:
            safe = _safe(scoped)
            return [record for record in records if is_true(safe(record))]
        try:
            return [
                record
                for record in records
                if (
                    value := evaluate(
                        steady if (steady := record.steady) is not None else self._scope(record, now)
                    )
                )
                is True
                or (value and is_true(value))
            ]
        except _FAILURES:
            safe = _safe(scoped)
            return [record for record in records if is_true(safe(record))]

    def _scope(self, record: AdRecord, now: float) -> CompiledAd:
        """What to evaluate in for a record. Raises TooCostly."""
        scope = record.scope(now)
        if not (self._frugal and record.light) and self._shape.cost(record.costs().of) > self._most:
            raise TooCostly("evaluating a constraint may take too long")
        return scope

    def evaluator(self) -> Callable[[CompiledAd], object]:
        """A function from a parsed ad to the expression's value in its scope; an evaluation that fails
        gives error.

        ServerTime means what the ad says; `select` knows better.
        """
        return (lambda ad: True) if self._expression is None else _safe(self._expression.eval)

    def references(self) -> frozenset[str]:
        """The attributes of the ad that the expression looks at; of one in a nested ad, the outer one."""
        if self._expression is None:
            return frozenset()
        found = classad2.ClassAd().externalRefs(self._expression)
        return frozenset(name.partition(".")[0] for name in found if name)

    def pinned(self, *names: str) -> dict[str, int | str]:
        """Those of the attributes `names` (lower case) that the constraint requires to equal one literal.

        Only what must hold in every selected ad, so that an index may narrow the candidates; the whole
        expression is still to be evaluated on them. Strings compare without case, integers also with
        equal reals.
        """
        found: dict[str, int | str] = {}
        for match in map(_PIN.match, conjuncts(self._text)):
            if match and (name := match["name"].lower()) in names:
                found[name] = int(match["number"]) if match["number"] is not None else match["string"]
        return found

    def rewritten(self, replacement: Callable[[str], str | None]) -> str:
        """The constraint as old-syntax text for another evaluator, each reference to an attribute for which
        `replacement(name)` gives a text replaced by that.
        """
        if self.selects_all:
            return "true"
        text = replace_references(self._text, lambda scope, name: replacement(name))
        return printed(parse(text))

    def _at(self, now: float) -> classad2.ExprTree:
        text = replace_references(
            self._text, lambda scope, name: str(int(now)) if name.lower() in _TIME else None
        )
        return parse(text).lookup("x")


def _in_one_scope(text: str) -> str:
    """`text` without TARGET prefixes (reference section 4.2)."""
    if "target" not in text.lower():
        return text
    return replace_references(text, lambda scope, name: name if scope == "target" else None)


def _safe(evaluate: Callable[[T], object]) -> Callable[[T], object]:
    def evaluated(ad: T) -> object:
        try:
            return evaluate(ad)
        except _FAILURES:
            return classad2.Value.Error

    return evaluated
