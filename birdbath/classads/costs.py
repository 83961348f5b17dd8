"""What evaluating an expression may cost, found out without evaluating it.

`classad2` has no deadline and cannot be interrupted: twenty attributes that each add the next to itself take
2**20 steps, a regular expression may take minutes. So an upper bound is computed from the text, with
everything that it refers to, and what may cost more than the limit is never evaluated: it is refused where a
client sends it, and counts as error in an ad.

The unit is what one operand or operator takes, about 100 ns; a text counts for one more for each 32
characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Final

from birdbath.classads.limits import limits
from birdbath.classads.patterns import steps
from birdbath.classads.syntax import MAX_NESTING, TOKEN, to_new_syntax
from birdbath.errors import InvalidAd

LIGHT: Final = 400
"""What attributes of usual ads stay below."""
TEXT_UNIT: Final = 32
ANY: Final = "[]"
"""Stands for whatever attribute of an ad within an expression."""
STEPS_UNIT: Final = 200
"""Steps of matching a regular expression that take as long as one operand."""

_DEEPEST: Final = 50
_MOST_NESTED: Final = 3
"""Attributes that refer to the next, and functions within functions, that are looked into."""
_PATTERN_FIRST: Final = frozenset(
    {"regexp", "regexps", "regexpmember", "replace", "replaceall", "stringlistregexpmember"}
    | {"stringlist_regexpmember"}
)
_MULTIPLYING: Final = frozenset(
    {"regexps", "replace", "replaceall", "join", "evalineachcontext", "countmatches"}
    | {"stringlistsintersect", "stringlistsubsetmatch", "stringlistisubsetmatch", "anycompare", "allcompare"}
)
"""Functions whose work or result may be one argument times another."""
_LOOKED_INTO: Final = _PATTERN_FIRST | _MULTIPLYING | {"eval"}


class TooCostly(InvalidAd):
    """Evaluating an expression may take too long."""


@dataclass
class Shape:
    """What an expression consists of, as far as its cost goes.

    base: the cost of what stands in it. names: how often it refers to what; `my.x` and `target.x` with their
    scopes. calls: of functions that cost more than their arguments. defined: attributes of ads within it.
    """

    base: float = 0
    names: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[str, str | None, Shape]] = field(default_factory=list)
    defined: list[tuple[str, Shape]] = field(default_factory=list)
    nested: int = 0

    def add(self, other: Shape) -> None:
        """Take in what stands in brackets."""
        self.base += other.base
        self.names.update(other.names)
        self.calls += other.calls
        self.defined += other.defined
        self.nested = max(self.nested, other.nested)

    def absorb(self, other: Shape) -> None:
        """`add` what is not used any more: the less goes to the more, or else all that is within a hundred
        brackets would be counted a hundred times.
        """
        if len(self.names) < len(other.names):
            self.names, other.names = other.names, self.names
        self.add(other)

    def call(self, function: str, pattern: str | None, inner: Shape) -> None:
        """Take in the call of a function that costs more than its arguments."""
        self.calls.append((function, pattern, inner))
        self.defined += inner.defined
        self.nested = max(self.nested, inner.nested + 1)
        if self.nested > _MOST_NESTED:
            self.base = inf

    def cost(self, of: Callable[[str], float]) -> float:
        """The cost, where evaluating a name costs what `of` says."""
        total = self.base + sum(count * of(name) for name, count in self.names.items() if count > 0)
        for function, pattern, inner in self.calls:
            within = inner.cost(of)
            total += within
            if function in _PATTERN_FIRST:
                total += inf if pattern is None else steps(pattern, TEXT_UNIT * within) / STEPS_UNIT
            if function in _MULTIPLYING:
                total += within * within
        return total


def shape(text: str) -> Shape:
    """The shape of an expression in new syntax; of what is no expression it may be any."""
    return _kept_shape(text) if len(text) <= 1024 else _shape(text)


@dataclass(slots=True)
class _Open:
    """A bracket that is still open: an ad's, or that of a function which costs more than its arguments. For
    any other, what it is in stands once more.
    """

    function: str = ""
    in_ad: bool = False
    shape: Shape = field(default_factory=Shape)
    first: str | None = None
    tokens: int = 0
    defining: str | None = None
    outer: Shape | None = None

    def define(self, name: str) -> None:
        self.end_definition()
        self.shape.names[name] -= 1  # it was no reference
        self.defining, self.outer, self.shape = name, self.shape, Shape()

    def end_definition(self) -> None:
        if self.defining is not None and self.outer is not None:
            defined, self.shape = self.shape, self.outer
            self.shape.base += defined.base
            self.shape.defined += [(self.defining, defined), *defined.defined]
            self.defining = self.outer = None


def _shape(text: str) -> Shape:
    levels = [_Open()]
    scope = last = ""
    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "comment" or kind == "space":
            continue
        level, token = levels[-1], match.group()
        if kind == "operand":
            level.shape.base += 1
            scope = _operand(level, token, scope if last == "." else "")
            last = token.lower().strip("'")
        elif token in "([{":
            function = last if token == "(" else ""
            apart = token == "[" or function in _LOOKED_INTO
            levels.append(_Open(function, token == "[") if apart else level)
            if len(levels) > MAX_NESTING + 1:  # in a text that is evaluated; nobody has looked at it before
                return Shape(inf)
            last = token
        elif token in ")]}":
            if len(levels) > 1:
                _close(levels)
            last = token
        else:
            if token == "=" and level.in_ad and last:
                level.define(last)
            elif token == ";":
                level.end_definition()
            else:
                level.shape.base += 1
                if level.tokens == 1 and token != ",":
                    level.first = None  # it is only part of the argument
            last = token
        level.tokens += 1
    while len(levels) > 1:
        _close(levels)
    return levels[0].shape


def _operand(level: _Open, token: str, scope: str) -> str:
    """Note an operand; returns the scope that it may be of what follows a dot."""
    if token.startswith('"'):
        level.shape.base += len(token) // TEXT_UNIT
        if level.tokens == 0:
            level.first = token[1:-1]
            if level.in_ad:  # ad["name"]
                level.shape.names[token[1:-1].lower()] += 1
    elif not (token[0].isdigit() or token[0] == "."):
        name = token.strip("'").lower()
        level.shape.names[f"{scope}.{name}" if scope in ("my", "target") else name] += 1
        return name
    return ""


def _close(levels: list[_Open]) -> None:
    closed = levels.pop()
    if closed is levels[-1]:
        return
    closed.end_definition()
    outer = levels[-1].shape
    if closed.in_ad and closed.first is None and closed.shape.names and not closed.shape.defined:
        closed.shape.names[ANY] += 1  # ad[...]: nobody knows which
    if closed.function == "eval":
        text = closed.first
        closed.shape.add(Shape(inf) if text is None or len(text) > limits().operators else shape(text))
    if closed.function in _PATTERN_FIRST or closed.function in _MULTIPLYING:
        outer.call(closed.function, closed.first, closed.shape)
    else:
        outer.absorb(closed.shape)


_kept_shape = lru_cache(maxsize=8192)(_shape)


class Costs:
    """The costs of the attributes of an ad: of each with all that it refers to, in `target` too if there is
    one.

    Attributes that refer to each other in a circle cost more than there is.
    """

    def __init__(self, attributes: Iterable[tuple[str, str, str]]) -> None:
        self._shapes: dict[str, list[Shape]] = {}
        self._texts: dict[str, float] = {}
        self._known: dict[str, float] = {}
        self._pending: list[tuple[Costs, str]] = []
        self.target: Costs | None = None
        for name, kind, text in attributes:
            if kind == "x":
                found = shape(to_new_syntax(text))
                self._shapes.setdefault(name.lower(), []).append(found)
                self._define(found)
            elif kind == "s" and len(text) >= TEXT_UNIT:
                cost = 1 + len(text) // TEXT_UNIT
                self._texts[name.lower()] = max(cost, self._texts.get(name.lower(), 0))

    def _define(self, outer: Shape) -> None:
        for name, defined in outer.defined:
            self._shapes.setdefault(name, []).append(defined)
            self._shapes.setdefault(ANY, []).append(defined)

    @classmethod
    def within(cls, outer: Shape) -> Costs:
        """Of the attributes of ads within an expression alone."""
        made = cls(())
        made._define(outer)
        return made

    def against(self, target: Costs) -> tuple[Costs, Costs]:
        """The costs of both ads when each is matched with the other."""
        left, right = Costs(()), Costs(())
        for made, source in ((left, self), (right, target)):
            made._shapes, made._texts = source._shapes, source._texts
        left.target, right.target = right, left
        left._pending = right._pending
        return left, right

    def of(self, name: str) -> float:
        """The cost of evaluating a name, with or without a scope, in lower case."""
        scope, _, bare = name.rpartition(".")
        if scope == "target" and self.target is not None:
            return self.target.of(bare)
        if bare not in self._shapes:
            elsewhere = self.target is not None and bare not in self._texts and not scope
            if elsewhere and self.target is not None and bare in self.target._shapes | self.target._texts:
                return self.target.of(bare)
            return self._texts.get(bare, 1)
        if bare not in self._known:
            pending = (self, bare)
            if self._pending and self._pending[-1] == pending:
                return 1  # `a = a + 1`: the library sees that at once
            if pending in self._pending or len(self._pending) > _DEEPEST:
                return inf
            self._pending.append(pending)
            cost = max(one.cost(self.of) for one in self._shapes[bare])
            self._pending.pop()
            self._known[bare] = max(cost, self._texts.get(bare, 1))
        return self._known[bare]

    @property
    def light(self) -> bool:
        """Whether each attribute costs at most LIGHT."""
        return all(cost <= LIGHT for cost in self._texts.values()) and all(
            self.of(name) <= LIGHT for name in self._shapes
        )

    def too_costly(self) -> frozenset[str]:
        """The attributes, in lower case, that cost more than they may."""
        most = limits().cost
        return frozenset(name for name in self._shapes if self.of(name) > most)


def affordable(
    attributes: list[tuple[str, str, str]], costs: Costs | None = None
) -> list[tuple[str, str, str]]:
    """`attributes`, those that may cost too much as error; `costs` are theirs, if at hand."""
    if not any(kind == "x" for _, kind, _ in attributes):
        return attributes
    bad = (costs or Costs(attributes)).too_costly()
    return [(a[0], "e", "error") if a[0].lower() in bad else a for a in attributes] if bad else attributes


def are_affordable(left: Costs, right: Costs) -> bool:
    """Whether matching the two ads takes reasonable time: what either asks for, and its Rank of the other."""
    most = limits().cost
    return not any(
        side.of(name) > most
        for side in left.against(right)
        for name in ("requirements", "rank", "requestcpus", "requestmemory", "requestdisk", "requestgpus")
    )


def check_cost(text: str) -> Shape:
    """The shape of an expression in new syntax. Raises TooCostly when it may cost too much whatever it refers
    to.
    """
    found = shape(text)
    if found.cost(Costs.within(found).of) > limits().cost:
        raise TooCostly(f"evaluating an expression may take too long: {text[:80]}")
    return found
