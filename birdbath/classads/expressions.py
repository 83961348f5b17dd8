"""ClassAd expressions: brought to canonical text, compiled and evaluated by HTCondor's own library,
`classad2`.

Every text that reaches `classad2` is prepared by `syntax` or was printed by this module before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

import classad2

from birdbath.classads.costs import Costs, affordable, check_cost
from birdbath.classads.limits import ExpressionLimits, set_limits
from birdbath.classads.syntax import (
    NUMBER,
    attribute_name,
    check_integers,
    check_text,
    prepared,
    quote,
    to_new_syntax,
    with_exact_reals,
)
from birdbath.errors import InvalidAd

Attribute = tuple[str, str, str]
"""(name, kind, text): one attribute of an ad; kind is the letter of ClassAdAttrType (reference section 2.1).

s: the raw characters; n: a decimal integer; f: a real; b: TRUE or FALSE; x: old-syntax expression text;
u, e: the literals undefined and error.
"""

Scalar = bool | int | float | str

CompiledAd: TypeAlias = classad2.ClassAd
"""An ad as `classad2` evaluates it."""

EVALUATION_ERRORS = (classad2.ClassAdException, ValueError, OverflowError)
"""What an evaluation may raise: too deep; a string cut inside a character; a time that Python cannot hold."""

_INTEGER = re.compile(r"\s*+([+-]?)\s*+([0-9]{1,18})\s*\Z")
_SIGNED_NUMBER = re.compile(rf"\s*(?:\+\s*|(-)\s+)({NUMBER})\s*\Z")
_MANY_DIGITS = re.compile(r"[0-9.]{16}")

# One parse by the library's own reader stops a leak of 144 bytes per ad in classad2 25.14 (pool reference
# 3.3).
classad2.parseOne("a = 1\n")


def attribute_in_new_syntax(attribute: Attribute) -> str:
    """`Name = value` in new syntax, as it stands inside `[ ... ]`."""
    name, kind, text = attribute
    value = quote(text) if kind == "s" else to_new_syntax(text) if kind == "x" else text
    return f"{attribute_name(name)}={value}"


def compile_ad(attributes: Iterable[Attribute], costs: Costs | None = None) -> CompiledAd:
    """The parsed form of an ad whose attributes were accepted by this module; what was not counts as error,
    and so does what may take too long with what it refers to; `costs` are the attributes' own, if at hand.
    """
    attributes = affordable(list(attributes), costs)
    try:
        return _compiled(attributes)
    except (classad2.ClassAdException, InvalidAd):
        # One bad attribute, from an older version perhaps, must not make every query of all jobs fail.
        return _compiled([a if _is_sound(a) else (a[0], "e", "error") for a in attributes])


def _compiled(attributes: Iterable[Attribute]) -> CompiledAd:
    text = "[" + ";".join(map(attribute_in_new_syntax, attributes)) + "]"
    check_text(text)
    return classad2.ClassAd(text)


def _is_sound(attribute: Attribute) -> bool:
    try:
        _compiled([attribute])
    except (classad2.ClassAdException, InvalidAd):
        return False
    return True


def parse(text: str) -> CompiledAd:
    """Parse one `prepared` expression into an ad that holds it as `x`. Raises InvalidAd.

    Neither `a; b = 3` nor `a]` nor `a) + (b` may pass: in brackets the first two would end the expression
    early, in parentheses the third would look whole; so the text has to parse both ways.
    """
    try:
        classad2.ClassAd(f"[x=({text}\n)]")
        ad = classad2.ClassAd(f"[x={text}\n]")
    except classad2.ClassAdException:
        raise InvalidAd(f"not a ClassAd expression: {text[:80]}") from None
    if _MANY_DIGITS.search(text):
        check_integers(text, str(ad.lookup("x")))
    return ad


def canonical_value(text: str) -> tuple[str, str]:
    """(kind, text) of an old-syntax value as the job queue stores it: literals typed, expressions re-printed.

    Re-printing gives HTCondor's canonical form (reference section 5.1): `f(a,b)`, `=?=`, lower-case
    literals, a blank before a minus; reals stay exact. Raises InvalidAd when `text` is not exactly one
    expression or cannot be kept.
    """
    return _kept_value(text) if len(text) <= 1024 else _canonical_value(text)


def _canonical_value(text: str) -> tuple[str, str]:
    integer = _INTEGER.match(text)
    if integer:
        return "n", str(int(integer[1] + integer[2]))
    text = prepared(text)
    check_cost(text)
    signed = _SIGNED_NUMBER.match(text)
    if signed:  # `- 1.5` would be printed as the literal `-1.5`, so it is one
        return canonical_value((signed[1] or "") + signed[2])
    ad = parse(text)
    value = ad["x"]
    if isinstance(value, classad2.Value):  # an int as well
        return ("u", "undefined") if value is classad2.Value.Undefined else ("e", "error")
    if isinstance(value, bool | int | str) or (isinstance(value, float) and "reltime" not in text.lower()):
        return literal(value)
    return _canonical_expression(text, ad)


_kept_value = lru_cache(maxsize=8192)(_canonical_value)
"""The same, remembered: jobs of one portal have the same expressions."""


def limit_expressions(limits: ExpressionLimits) -> None:
    """Let `limits` hold for what is read from now on, in the whole process: ads are made everywhere in it."""
    set_limits(limits)
    _kept_value.cache_clear()


def _canonical_expression(text: str, ad: CompiledAd) -> tuple[str, str]:
    old = printed(ad)
    if _MANY_DIGITS.search(text):
        old = with_exact_reals(text, old)
    # The library prints some expressions as others: `a.'b + c'` loses its quotes.
    if parse(to_new_syntax(old)).lookup("x") != ad.lookup("x"):
        raise InvalidAd(f"an expression that cannot be kept: {text[:80]}")
    return "x", old


def printed(ad: CompiledAd) -> str:
    """What `parse` read, in old syntax."""
    text: str = ad.printOld()
    return text[len("x = ") : -1]


def literal(value: Scalar) -> tuple[str, str]:
    """(kind, text) of a Python value. Infinite and NaN reals become the expressions that HTCondor writes
    for them.

    Raises InvalidAd for what a ClassAd cannot hold.
    """
    if type(value) is str and value.isascii() and "\0" not in value:
        return "s", value
    if type(value) is int and -(2**63) <= value < 2**63:
        return "n", str(value)
    if isinstance(value, bool):
        return "b", "TRUE" if value else "FALSE"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidAd("an integer does not fit into 64 bits")
        return "n", str(int(value))
    if isinstance(value, float):
        return real_literal(value)
    if not isinstance(value, str):
        raise InvalidAd(f"a ClassAd cannot hold a {type(value).__name__}")
    check_text(value)
    return "s", value


def real_literal(value: float) -> tuple[str, str]:
    """(kind, text) of a real: six decimals as the original wrote them where that is exact, else the
    shortest exact form.
    """
    if not math.isfinite(value):
        return "x", f'real("{str(value).upper()}")'
    text = f"{value:f}"
    return "f", text if len(text) < 20 and float(text) == value else repr(value)


def python_value(value: object) -> Scalar | None:
    """An evaluated `classad2` value as bool, int, float or str; None for undefined, error, lists and ads."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, classad2.Value):  # an int as well
        return None
    return value if isinstance(value, bool | int | float | str) else None


def evaluate(ad: CompiledAd, name: str) -> Scalar | None:
    """The value of attribute `name` in `ad`; None when it is missing, undefined or an error. Never raises."""
    try:
        return python_value(ad.eval(name))
    except (KeyError, *EVALUATION_ERRORS):
        return None


def matches(left: CompiledAd, right: CompiledAd) -> bool:
    """Whether the Requirements of each ad are true against the other; not when there are none. Never
    raises.
    """
    try:
        return bool(left.symmetricMatch(right))
    except EVALUATION_ERRORS:
        return False


def is_true(value: object) -> bool:
    """Whether a value selects: TRUE or a non-zero number (reference section 3.14)."""
    return value is True or (
        isinstance(value, int | float) and not isinstance(value, classad2.Value) and value != 0
    )
