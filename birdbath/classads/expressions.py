"""ClassAd expressions: checked, brought to canonical text, compiled and evaluated by HTCondor's own library, `classad2`.

The wire and the job queue carry *old* ClassAd syntax, in which a backslash is an ordinary character except before a
double quote (protocol reference section 5.5); `classad2` parses *new* syntax. Everything that reaches `classad2` passes
through this module, which keeps from it what crashes or silently misleads it (pool reference sections 3 and 11).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import TypeVar, cast

import classad2

from birdbath.errors import InvalidAd

Attribute = tuple[str, str, str]
"""(name, kind, text): one attribute of an ad; kind is the letter of ClassAdAttrType (reference section 2.1).

s: the raw characters; n: a decimal integer; f: a real; b: TRUE or FALSE; x: old-syntax expression text; u, e: the
literals undefined and error.
"""

Scalar = bool | int | float | str

MAX_EXPRESSION_LENGTH = 64 * 1024
MAX_CHAIN = 300

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,18})\s*\Z")
_LITERAL_BACKSLASH = re.compile(r'\\(?!"(?!\s*\Z))')
_TOKEN = re.compile(
    r'''"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|&&|\|\||=\?=|=!=|[()\[\]{}?]|[-+*/%|^&]|[=!<>]=?''', re.DOTALL
)
_RESERVED = frozenset({"true", "false", "undefined", "error", "is", "isnt", "parent"})

# One parse by the library's own reader stops a leak of 144 bytes per ad in classad2 25.14 (pool reference 3.3).
classad2.parseOne("a = 1\n")


def valid_name(name: str) -> bool:
    """Whether `name` may name an attribute of a job or daemon ad: a letter or underscore, then those and digits."""
    return _NAME.match(name) is not None


def check_text(text: str) -> None:
    """Refuse text that `classad2` would cut (NUL) or crash on (lone surrogates). Raises InvalidAd."""
    if "\0" in text:
        raise InvalidAd("a NUL character cannot stand in a ClassAd")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidAd("a lone surrogate cannot stand in a ClassAd") from None


def quote(text: str) -> str:
    """`text` as a string literal in new syntax."""
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def to_new_syntax(text: str) -> str:
    """Old-syntax expression text as new syntax: backslashes that are ordinary characters are doubled.

    A backslash before the very last double quote is ordinary too, as HTCondor reads `"C:\\dir\\"`.
    """
    return _LITERAL_BACKSLASH.sub(r"\\\\", text) if "\\" in text else text


def attribute_in_new_syntax(attribute: Attribute) -> str:
    """`Name = value` in new syntax, as it stands inside `[ ... ]`."""
    name, kind, text = attribute
    if name.lower() in _RESERVED:
        name = f"'{name}'"
    if kind == "s":
        return f"{name}={quote(text)}"
    return f"{name}={to_new_syntax(text) if kind == 'x' else text}"


def compile_ad(attributes: Iterable[Attribute]) -> classad2.ClassAd:
    """The parsed form of an ad whose attributes were accepted by this module."""
    return classad2.ClassAd("[" + ";".join(map(attribute_in_new_syntax, attributes)) + "]")


def _parse(text: str) -> classad2.ClassAd:
    """Parse one expression into an ad that holds it as `x`; refuse text that is more, or less, than one expression.

    Neither `a; b = 3` nor `a]` nor `a) + (b` may pass: in brackets the first two would end the expression early, in
    parentheses the third would look whole; so the text has to parse both ways.
    """
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise InvalidAd(f"an expression is longer than {MAX_EXPRESSION_LENGTH} characters")
    check_text(text)
    text = _balanced(to_new_syntax(text))
    try:
        classad2.ClassAd(f"[x=({text}\n)]")
        return classad2.ClassAd(f"[x={text}\n]")
    except classad2.ClassAdException:
        raise InvalidAd(f"not a ClassAd expression: {text[:80]}") from None


def _balanced(text: str) -> str:
    """`text` with a long top-level chain of || or && bracketed as a balanced tree.

    `classad2` evaluates a chain of about 400 operators to an error, silently (pool reference 3.4); clients do send
    hundreds of OR-ed job ids. Other chains of that length raise InvalidAd.
    """
    if len(text) < 2 * MAX_CHAIN:
        return text
    for operator in ("||", "&&"):
        terms = _split_top_level(text, operator)
        if len(terms) > MAX_CHAIN:
            return _join_balanced([_balanced(term) for term in terms], operator)
    if _longest_chain(text) > MAX_CHAIN:
        raise InvalidAd(f"an expression chains more than {MAX_CHAIN} operators")
    return text


def _split_top_level(text: str, operator: str) -> list[str]:
    depth, start, terms = 0, 0, []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif depth == 0 and (token == "?" or (operator == "&&" and token == "||")):
            return [text]  # a lower-precedence operator: its operands are not ours to regroup
        elif depth == 0 and token == operator:
            terms.append(text[start : match.start()])
            start = match.end()
    return [*terms, text[start:]]


def _join_balanced(terms: list[str], operator: str) -> str:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    left, right = _join_balanced(terms[:middle], operator), _join_balanced(terms[middle:], operator)
    return f"({left}){operator}({right})"


def _longest_chain(text: str) -> int:
    counts, longest = [0], 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "([{":
            counts.append(0)
        elif token in ")]}":
            if len(counts) > 1:
                counts.pop()
        elif token[0] not in "\"'?":
            counts[-1] += 1
            longest = max(longest, counts[-1])
    return longest


@lru_cache(maxsize=8192)
def canonical_value(text: str) -> tuple[str, str]:
    """(kind, text) of an old-syntax value as the job queue stores it: literals typed, expressions re-printed.

    Re-printing gives HTCondor's canonical form (reference section 5.1): `f(a,b)`, `=?=`, lower-case literals. Raises
    InvalidAd when `text` is not exactly one expression.
    """
    integer = _INTEGER.match(text)
    if integer:
        return "n", str(int(integer[1]))
    ad = _parse(text)
    value = ad["x"]
    if isinstance(value, bool | int | float | str):
        return literal(value)
    if isinstance(value, classad2.Value):
        return ("u", "undefined") if value == classad2.Value.Undefined else ("e", "error")
    return "x", ad.printOld().partition("=")[2].strip()


def literal(value: Scalar) -> tuple[str, str]:
    """(kind, text) of a Python value. Infinite and NaN reals become the expressions that HTCondor writes for them."""
    if isinstance(value, bool):
        return "b", "TRUE" if value else "FALSE"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidAd(f"{value} does not fit into 64 bits")
        return "n", str(value)
    if isinstance(value, float):
        return real_literal(value)
    check_text(value)
    return "s", value


def real_literal(value: float) -> tuple[str, str]:
    """(kind, text) of a real: six decimals as the original wrote them where that is exact, else the shortest exact form."""
    if not math.isfinite(value):
        return "x", f'real("{str(value).upper()}")'
    text = f"{value:f}"
    return "f", text if len(text) < 20 and float(text) == value else repr(value)


def python_value(value: object) -> Scalar | None:
    """An evaluated `classad2` value as bool, int, float or str; None for undefined, error, lists and ads."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    return value if isinstance(value, bool | int | float | str) else None


def is_true(value: object) -> bool:
    """Whether a value selects: TRUE or a non-zero number (reference section 3.14)."""
    return value is True or (isinstance(value, int | float) and not isinstance(value, classad2.Value) and value != 0)


T = TypeVar("T")


class Constraint:
    """A ClassAd expression that selects ads (reference sections 3.14 and 4.2).

    `text` None or blank selects everything. Text that is no expression raises InvalidAd: whether that is an empty
    answer or a fault is the caller's decision.
    """

    def __init__(self, text: str | None) -> None:
        self.text = (text or "").strip()
        self.selects_all = not self.text or self.text.lower() == "true"
        self.mentions_time = "servertime" in self.text.lower()
        self._ad = None if self.selects_all else _parse(self.text)
        self._expression = None if self._ad is None else self._ad.lookup("x")

    def evaluator(self) -> Callable[[classad2.ClassAd], object]:
        """A function from a parsed ad to the expression's value in its scope."""
        if self._expression is None:
            return lambda ad: True
        return cast("Callable[[classad2.ClassAd], object]", self._expression.eval)

    def pinned(self, *names: str) -> dict[str, int | str]:
        """Those of the attributes `names` (lower case) that the constraint requires to equal one literal.

        Found in its top-level `&&` terms only, so that an index may narrow the candidates; the whole expression is still
        to be evaluated on them.
        """
        found: dict[str, int | str] = {}
        for term in _split_top_level(self.text, "&&"):
            match = _PIN.match(_unwrapped(term))
            if match and match["name"].lower() in names:
                found[match["name"].lower()] = (
                    int(match["number"]) if match["number"] is not None else match["string"]
                )
        return found


_PIN = re.compile(r'\s*(?P<name>[A-Za-z_]\w*)\s*(?:==|=\?=)\s*(?:(?P<number>[0-9]{1,18})|"(?P<string>[^"\\]*)")\s*\Z')


def _unwrapped(term: str) -> str:
    term = term.strip()
    while term.startswith("(") and term.endswith(")") and "(" not in term[1:-1] and ")" not in term[1:-1]:
        term = term[1:-1].strip()
    return term
