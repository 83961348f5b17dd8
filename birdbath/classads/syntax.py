"""The text of expressions, before `classad2` sees it: old and new syntax, tokens, depth.

The wire and the job queue carry *old* ClassAd syntax, in which a backslash is an ordinary character
except before a double quote (protocol reference section 5.5); `classad2` parses *new* syntax. The rest of
this module keeps from `classad2` what crashes or silently misleads it (pool reference sections 3 and 11).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from birdbath.classads.limits import limits
from birdbath.errors import InvalidAd

MAX_DEPTH = 300
"""`classad2` gives up at a depth of 400; the rest is left to the attributes that an expression refers to."""
MAX_NESTING = 160
"""`classad2` parses 165 brackets inside each other."""
_LEAF = 8
"""Operands of a chain that need no brackets: they are as deep as their tree with its brackets."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset({"true", "false", "undefined", "error", "is", "isnt", "parent"})

_LITERAL_BACKSLASH = re.compile(r'\\(?!"(?!\s*\Z))')
# All that is plain at once: to go by characters takes 160 bytes for each, as long as the end is looked for.
# What has no end, and so is no expression, goes to the end of the text: looked for again from each quotation
# mark within, the end would not be found for seconds.
_COMMENT = r"//[^\n]*|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)"
_NAME_IN_QUOTES = r"'[^'\\]*+(?:\\.[^'\\]*+)*+(?:'|\\?\Z)"
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)' + f"|{_NAME_IN_QUOTES}"
NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_IS = r"(?i:is|isnt)(?![A-Za-z0-9_])"
_SIGNS = r"&&|\|\||=\?=|=!=|[=!<>]=|<<|>>>?|\?:|."
TOKEN = re.compile(
    rf"(?P<comment>{_COMMENT})|(?P<operand>{_QUOTED}|{NUMBER}|{_WORD})|(?P<space>\s+)|{_SIGNS}", re.DOTALL
)
_OPERATORS = re.compile(
    rf"(?:{_COMMENT}|{_QUOTED}|{NUMBER}|(?!{_IS}){_WORD}|\s+)*+({_IS}|{_SIGNS}|\Z)", re.DOTALL
).findall
"""The tokens that are neither operands, blanks nor comments, and "" for the end; `is` and `isnt` count as
operators.
"""
_COMPLETE = re.compile(r"//|/\*.*\*/\Z", re.DOTALL).match
_OLD_QUOTED = r'"[^"\\]*+(?:(?:\\(?!")|\\"(?!\s*\Z)|\\(?="\s*\Z))[^"\\]*+)*+(?:"|\Z)' + f"|{_NAME_IN_QUOTES}"
_OLD_NUMBERS = re.compile(rf"{_OLD_QUOTED}|{_WORD}|({NUMBER})")
_NEW_NUMBERS = re.compile(rf"{_QUOTED}|{_WORD}|({NUMBER})")
_SCOPED = re.compile(
    rf"{_QUOTED}|\.\s*{_WORD}|(?<!\w)(?:(?P<scope>my|target)\s*\.\s*)?(?P<name>{_WORD})",
    re.DOTALL | re.IGNORECASE,
)

_MAX_INTEGER, _TWO_TO_63 = str(2**63 - 1), str(2**63)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_COMMAS = frozenset(",;")
_SEPARATORS = frozenset({",", ";", "=", "?", ":", "?:"})
"""What binds weaker than || and so bounds its operands."""


def valid_name(name: str) -> bool:
    """Whether `name` may name an attribute of a job or daemon ad: a letter or underscore, then those and
    digits.
    """
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


def attribute_name(name: str) -> str:
    """`name` as it stands before the `=` in new syntax."""
    return f"'{name}'" if name.lower() in _RESERVED else name


def to_new_syntax(text: str) -> str:
    """Old-syntax expression text as new syntax: backslashes that are ordinary characters are doubled.

    A backslash before the very last double quote is ordinary too, as HTCondor reads `"C:\\dir\\"`.
    """
    return _LITERAL_BACKSLASH.sub(r"\\\\", text) if "\\" in text else text


def prepared(text: str) -> str:
    """Old-syntax expression text from a client as new syntax that `classad2` can parse, print and
    evaluate safely.

    Comments are dropped. Chains of || and && that are too long for `classad2` are bracketed as balanced
    trees, which changes no value: both operators are associative, undefined and error included. Raises
    InvalidAd for text that is too long, cannot be in an ad, or stays too deep; text that passes may still
    be no expression.
    """
    if len(text) > limits().length:
        raise InvalidAd(f"an expression is longer than {limits().length} characters")
    check_text(text)
    text = to_new_syntax(text)
    if "//" in text or "/*" in text:
        text = _without_comments(text)
    if len(text) <= MAX_DEPTH:
        return text
    operators = _OPERATORS(text)
    if len(operators) > limits().operators:
        raise InvalidAd(f"an expression has more than {limits().operators} operators, brackets and commas")
    if _depth(operators) <= MAX_DEPTH:
        return text
    text = _balanced(text)
    if _depth(_OPERATORS(text)) > MAX_DEPTH:
        raise _too_deep()
    return text


def _too_deep() -> InvalidAd:
    return InvalidAd(f"an expression is more than {MAX_DEPTH} operators deep")


def _without_comments(text: str) -> str:
    """Raises InvalidAd when one has no end."""
    if any(match["comment"] and not _COMPLETE(match["comment"]) for match in TOKEN.finditer(text)):
        raise InvalidAd("a comment in an expression has no end")
    return "".join(" " if match["comment"] else match.group() for match in TOKEN.finditer(text))


def _depth(operators: list[str]) -> int:
    """An upper bound of the depth of the tree that a text with these operators parses to. Raises InvalidAd
    when brackets nest too deep.

    Every operator may stand above everything else between the same separators of the same brackets. More
    than MAX_DEPTH is not counted to its end.
    """
    # Of each open bracket: operators since the last comma, deepest operand since, deepest part before
    # that comma.
    levels = [[0, 1, 0]]
    for token in operators:
        level = levels[-1]
        if token in _OPENING:
            levels.append([0, 1, 0])
            if len(levels) > MAX_NESTING:
                raise InvalidAd(f"an expression nests more than {MAX_NESTING} brackets")
        elif token in _CLOSING:
            if len(levels) > 1:
                levels.pop()
                outer = levels[-1]
                outer[0] += token == "]"  # subscripts chain like operators
                outer[1] = max(outer[1], level[0] + level[1] + 1, level[2] + 1)
        elif token in _COMMAS:
            level[:] = 0, 1, max(level[2], level[0] + level[1])
        elif token:
            level[0] += 1
            if level[0] > MAX_DEPTH:
                return level[0]  # too deep already, whatever follows
    return sum(operators for operators, _, _ in levels) + max(max(inner, part) for _, inner, part in levels)


def _balanced(text: str) -> str:
    """`text` with every chain of || or && bracketed as a balanced tree, in brackets of any depth.

    Raises InvalidAd as soon as it is sure that this leaves something too deep, whatever follows.
    """
    levels: list[list[str]] = [[]]
    # Of each open bracket: the operators since its last comma that no tree has below it, and those since the
    # last || or && as well.
    above: list[list[int]] = [[0, 0]]
    for match in TOKEN.finditer(text):
        token = match.group()
        if token in _OPENING:
            levels.append([token])
            above.append([0, 0])
        elif token in _CLOSING and len(levels) > 1:
            opening, *inner = levels.pop()
            above.pop()
            levels[-1].append(f"{opening}{_balanced_level(inner)}{token}")
        else:
            levels[-1].append(token)
            if match.lastgroup is None:
                _count(token, above[-1])
    while len(levels) > 1:  # an unclosed bracket: no expression, as the parser will say
        inner = levels.pop()
        levels[-1].extend(inner)
    return _balanced_level(levels[0])


def _count(operator: str, above: list[int]) -> None:
    if operator in _COMMAS:
        above[:] = 0, 0
    elif operator in _SEPARATORS:
        above[:] = above[0] + 1, 0
    elif operator in ("||", "&&"):
        above[1] = 0
    else:
        above[1] += 1
    if sum(above) > MAX_DEPTH:
        raise _too_deep()


def _balanced_level(tokens: list[str]) -> str:
    parts: list[str] = []
    start = 0
    for index, token in enumerate(tokens):
        if token in _SEPARATORS:
            parts += _balanced_chain(tokens[start:index], "||"), token
            start = index + 1
    return "".join([*parts, _balanced_chain(tokens[start:], "||")])


def _balanced_chain(tokens: list[str], operator: str) -> str:
    operands: list[list[str]] = [[]]
    for token in tokens:
        if token == operator:
            operands.append([])
        else:
            operands[-1].append(token)
    texts = [_balanced_chain(part, "&&") if operator == "||" else "".join(part) for part in operands]
    return _tree(texts, operator)


def _tree(operands: list[str], operator: str) -> str:
    if len(operands) <= _LEAF:
        return operator.join(operands)
    middle = len(operands) // 2
    left, right = _tree(operands[:middle], operator), _tree(operands[middle:], operator)
    return f"({left}){operator}({right})"


def conjuncts(text: str) -> list[str]:
    """The terms of which all must be true for a prepared `text` to be true; `text` itself when it is no
    conjunction.
    """
    if "&&" not in text and len(text) > MAX_DEPTH:  # whether there are brackets around it matters little
        return [text]
    tokens: list[str] = []
    starts: list[int] = []
    for match in TOKEN.finditer(text):
        if match.lastgroup != "space":
            tokens.append(match.group())
            starts.append(match.start())
    pairs = _pairs(tokens)
    found: list[str] = []
    ranges = [(0, len(tokens))]
    while ranges:
        first, end = ranges.pop()
        if parts := _terms(tokens, pairs, first, end):
            ranges += reversed(parts)
        elif first < end:
            found.append(text[starts[first] : starts[end - 1] + len(tokens[end - 1])])
    return found or [text]


def _pairs(tokens: list[str]) -> dict[int, int]:
    """Which token closes the bracket that one opens, by their numbers."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for number, token in enumerate(tokens):
        if token in _OPENING:
            opened.append(number)
        elif token in _CLOSING and opened:
            pairs[opened.pop()] = number
    return pairs


def _terms(tokens: list[str], pairs: dict[int, int], first: int, end: int) -> list[tuple[int, int]]:
    """The terms of tokens `first` to `end`, as such ranges, or what is in the parentheses around all of them;
    none when they are one term that cannot be taken apart.
    """
    if end - first > 2 and tokens[first] == "(" and pairs.get(first) == end - 1:
        return [(first + 1, end - 1)]
    parts: list[tuple[int, int]] = []
    begin = number = first
    while number < end:
        token = tokens[number]
        if token == "||" or token in _SEPARATORS:
            return []
        if token == "&&":
            parts.append((begin, number))
            begin = number + 1
        number = pairs.get(number, number) + 1
    return [*parts, (begin, end)] if parts else []


def replace_references(text: str, replacement: Callable[[str, str], str | None]) -> str:
    """Prepared `text` with each reference for which `replacement(scope, name)` gives a text replaced by that.

    `scope` is "my", "target" or ""; names after another dot, and the names of a nested ad's attributes,
    are left alone.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or _DEFINES.match(text, match.end()):
            return match.group()
        new = replacement((match["scope"] or "").lower(), name)
        return match.group() if new is None else new

    return _SCOPED.sub(replaced, text)


_DEFINES = re.compile(r"\s*=(?![=?!])")


def check_integers(text: str, printed: str) -> None:
    """Raise InvalidAd when `text` has an integer of more than 64 bits, which `classad2` takes for 0,
    silently.

    2**63 fits as -2**63 only: it has to be in `printed` as well, what `classad2` read. Both are in new
    syntax.
    """
    # Longer ones are compared as text: Python does not make integers of thousands of digits.
    large = [n for n in _NEW_NUMBERS.findall(text) if n.isdigit() and (len(n), n) > (19, _MAX_INTEGER)]
    if large and large != [n for n in _NEW_NUMBERS.findall(printed) if n == _TWO_TO_63]:
        raise InvalidAd("an integer does not fit into 64 bits")


def with_exact_reals(text: str, printed: str) -> str:
    """`printed`, in old syntax, with those reals of `text`, in new syntax, that printing cut to 16 digits
    in full.
    """
    exact: dict[float, list[float]] = {}
    for number in _NEW_NUMBERS.findall(text):
        if number and not number.isdigit():
            exact.setdefault(float(f"{float(number):.16G}"), []).append(float(number))

    def restored(match: re.Match[str]) -> str:
        number = match[1]
        if number is None or number.isdigit():
            return match.group()
        reals = exact.get(float(number))
        real = reals.pop(0) if reals else float(number)
        return number if real == float(number) else repr(real)

    return _OLD_NUMBERS.sub(restored, printed)
