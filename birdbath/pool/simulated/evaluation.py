"""Evaluating parts of an ad at a given pool time, without compiling the whole of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from birdbath.classads import Ad, Attribute, CompiledAd, Scalar, evaluate

_WORD = re.compile(r"[a-z_]\w*")
_TIME_CALL = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\btime\s*\(\s*\)""", re.IGNORECASE | re.DOTALL
)
TIMELY = frozenset({"time", "currenttime", "servertime", "random", "mycurrenttime"})


@lru_cache(maxsize=4096)
def words(expression: str) -> frozenset[str]:
    """Every word of an expression, in lower case: more than its references, never fewer (`eval("Name")`
    counts).
    """
    return frozenset(_WORD.findall(expression.lower()))


def closure(ad: Ad, names: Iterable[str]) -> list[Attribute]:
    """The attributes `names` (lower case) of `ad` and all that they may refer to in it, by name."""
    found: dict[str, Attribute] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found and (attribute := ad.attribute(name)) is not None:
            found[name] = attribute
            if attribute[1] == "x":
                pending.extend(words(attribute[2]))
    return [found[name] for name in sorted(found)]


def depends_on_time(ad: Ad, name: str) -> bool:
    """Whether the attribute's value may change although the ad does not."""
    return any(kind == "x" and not TIMELY.isdisjoint(words(text)) for _, kind, text in closure(ad, (name,)))


def compiled_at(attributes: Iterable[Attribute], now: float) -> CompiledAd:
    """A parsed ad of `attributes` for which it is `now`: ServerTime, CurrentTime and time() all say so."""
    moment = int(now)
    return Ad(map(_timed, attributes)).compiled(ServerTime=moment, CurrentTime=moment)


def _timed(attribute: Attribute) -> Attribute:
    name, kind, text = attribute
    if kind != "x" or "time" not in text.lower():
        return attribute
    return name, kind, _TIME_CALL.sub(lambda match: match[1] or "CurrentTime", text)


def evaluate_at(ad: Ad, name: str, now: float) -> Scalar | None:
    """The value of the attribute at pool time `now`; None when it is missing, undefined or an error."""
    attribute = ad.attribute(name)
    if attribute is None:
        return None
    if attribute[1] != "x":
        return ad.get(name)
    return evaluate(compiled_at(closure(ad, (name.lower(),)), now), name)
