"""Constraints: expressions that select ads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import classad2

from birdbath.classads.expressions import EVALUATION_ERRORS, CompiledAd, is_true, parse, printed
from birdbath.classads.syntax import conjuncts, prepared, replace_references

if TYPE_CHECKING:
    from birdbath.classads.records import AdRecord

_PIN = re.compile(
    r"\s*(?:MY\s*\.\s*)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?:==|=\?=)\s*"
    r'(?:(?P<number>[0-9]{1,18})|"(?P<string>[^"\\]*)")\s*\Z',
    re.IGNORECASE,
)
_TIME = frozenset({"servertime", "currenttime"})
_MENTIONS_TIME = re.compile("servertime|currenttime", re.IGNORECASE)


class Constraint:
    """A ClassAd expression that selects ads (reference sections 3.14 and 4.2).

    It is evaluated in the scope of each ad; `MY.` and `TARGET.` both mean that ad, ServerTime
    (CurrentTime, in old expressions) means now. `text` None or blank selects everything. Text that is no
    expression raises InvalidAd: whether that is an empty answer or a fault is the caller's decision.
    """

    def __init__(self, text: str | None) -> None:
        self.text = (text or "").strip()
        self.selects_all = not self.text or self.text.lower() == "true"
        self.mentions_time = _MENTIONS_TIME.search(self.text) is not None
        self._text = "" if self.selects_all else _in_one_scope(prepared(self.text))
        self._expression = None if self.selects_all else parse(self._text).lookup("x")

    def select(self, records: Sequence[AdRecord], now: float) -> list[AdRecord]:
        """Those of `records` that the constraint selects, in their order; `now` in seconds since the epoch.

        An ad in which the expression cannot be evaluated is not selected.
        """
        if self._expression is None:
            return list(records)
        evaluate = (self._at(now) if self.mentions_time else self._expression).eval
        try:
            return [
                record
                for record in records
                if (value := evaluate(steady if (steady := record.steady) is not None else record.scope(now)))
                is True
                or (value and is_true(value))
            ]
        except EVALUATION_ERRORS:
            safe = _safe(evaluate)
            return [record for record in records if is_true(safe(record.scope(now)))]

    def evaluator(self) -> Callable[[CompiledAd], object]:
        """A function from a parsed ad to the expression's value in its scope; an evaluation that fails
        gives error.

        ServerTime means what the ad says; `select` knows better.
        """
        return (lambda ad: True) if self._expression is None else _safe(self._expression.eval)

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


def _safe(evaluate: Callable[[CompiledAd], object]) -> Callable[[CompiledAd], object]:
    def evaluated(ad: CompiledAd) -> object:
        try:
            return evaluate(ad)
        except EVALUATION_ERRORS:
            return classad2.Value.Error

    return evaluated
