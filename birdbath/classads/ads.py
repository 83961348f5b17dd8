"""Ads as they are held: an ordered, case-insensitive set of typed attributes, and the conversions from
and to clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import orjson

from birdbath.classads.costs import Costs
from birdbath.classads.expressions import (
    Attribute,
    CompiledAd,
    Scalar,
    canonical_value,
    compile_ad,
    evaluate,
    literal,
)
from birdbath.classads.syntax import check_text, valid_name
from birdbath.errors import InvalidAd
from birdbath.values import Expression

Item = tuple[str | None, str, str | None]
"""(name, kind, text) as a client sent it: kind "" when absent or unknown, name and text None when absent."""

PRIVATE = frozenset({"claimid", "pairedclaimid", "capability", "claimids", "transferkey", "childclaimids"})
SPECIAL = frozenset({"mytype", "targettype", "servertime"})
HIDDEN = PRIVATE | SPECIAL
"""Attributes that are not shown among the others, in lower case."""


_KEYS: dict[str, str] = {}
"""The keys (names in lower case) of names that were found to be some, few of which are seen very often."""


def _key(name: str) -> str:
    if not valid_name(name):
        raise InvalidAd(f"not an attribute name: {name[:80]!r}")
    key = name.lower()
    if len(_KEYS) < 20_000:
        _KEYS[name] = key
    return key


class Ad:
    """A mutable ad. Names compare case-insensitively; the spelling and the place of the first definition
    stay.

    Stored as JSON text of its attributes, already typed as the wire wants them, so that an ad can be
    rendered for a client without parsing a single expression.
    """

    __slots__ = ("_attributes",)

    def __init__(self, attributes: Iterable[Attribute] = ()) -> None:
        known = _KEYS.get
        self._attributes = {
            known(attribute[0]) or attribute[0].lower(): attribute for attribute in attributes
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Ad:
        """The ad that `to_json` wrote."""
        return cls(map(tuple, orjson.loads(text)))

    def to_json(self) -> str:
        """The ad as JSON text. Raises InvalidAd when something that no ClassAd can hold was `put` into it."""
        try:
            return orjson.dumps(list(self._attributes.values())).decode()
        except orjson.JSONEncodeError as error:
            raise InvalidAd(f"an ad that cannot be stored: {error}") from None

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes.values())

    def __len__(self) -> int:
        return len(self._attributes)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._attributes

    def put(self, name: str, kind: str, text: str) -> None:
        """Set an attribute to a value that is canonical already."""
        key = name.lower()
        present = self._attributes.get(key)
        self._attributes[key] = (present[0] if present else name, kind, text)

    def set(self, name: str, value: Scalar | Expression) -> None:
        """Set an attribute to a Python value or an Expression. Raises InvalidAd for what a ClassAd cannot
        hold.
        """
        key = _KEYS.get(name) or _key(name)
        kind, text = canonical_value(value) if isinstance(value, Expression) else literal(value)
        present = self._attributes.get(key)
        self._attributes[key] = (present[0] if present else name, kind, text)

    def update(self, values: Mapping[str, Scalar | Expression]) -> None:
        """`set` each of `values`."""
        for name, value in values.items():
            self.set(name, value)

    def delete(self, name: str) -> None:
        """Remove an attribute if it is there."""
        self._attributes.pop(name.lower(), None)

    def rename(self, old: str, new: str) -> None:
        """Move the value of `old`, if any, to `new`."""
        attribute = self._attributes.pop(old.lower(), None)
        if attribute:
            self.put(new, attribute[1], attribute[2])

    def attribute(self, name: str) -> Attribute | None:
        """The attribute as stored, or None."""
        return self._attributes.get(name.lower())

    def get(self, name: str) -> Scalar | None:
        """The literal value as Python has it; None for a missing attribute and for anything that is not a
        literal.
        """
        attribute = self._attributes.get(_KEYS.get(name) or name.lower())
        if attribute is None:
            return None
        _, kind, text = attribute
        if kind == "s":
            return text
        if kind == "n":
            return int(text)
        if kind == "f":
            return float(text)
        return text == "TRUE" if kind == "b" else None

    def integer(self, name: str, default: int = 0) -> int:
        """The value if it is a number or boolean literal, cut to an integer, else `default`."""
        attribute = self._attributes.get(_KEYS.get(name) or name.lower())
        if attribute is None:
            return default
        if attribute[1] == "n":
            return int(attribute[2])
        value = self.get(name)
        return int(value) if isinstance(value, int | float) else default

    def is_expression(self, name: str) -> bool:
        """Whether the value is neither a literal nor missing."""
        attribute = self._attributes.get(name.lower())
        return attribute is not None and attribute[1] == "x"

    def string(self, name: str, default: str = "") -> str:
        """The value if it is a string literal, else `default`."""
        attribute = self._attributes.get(_KEYS.get(name) or name.lower())
        return attribute[2] if attribute is not None and attribute[1] == "s" else default

    def compiled(self, **extra: Scalar) -> CompiledAd:
        """The ad as `classad2` evaluates it, with `extra` attributes on top (such as ServerTime=now)."""
        if not extra:
            return compile_ad(self._attributes.values())
        scope = Ad(self)
        scope.update(extra)
        return compile_ad(scope)

    def costs(self) -> Costs:
        """What evaluating its attributes costs."""
        return Costs(self._attributes.values())

    def evaluate(self, name: str, **extra: Scalar) -> Scalar | None:
        """The value of attribute `name` evaluated in this ad; None when missing, undefined or an error."""
        attribute = self._attributes.get(name.lower())
        if attribute is None:
            return None
        return self.get(name) if attribute[1] != "x" else evaluate(self.compiled(**extra), name)


def attribute_from_item(name: str, kind: str, text: str | None) -> Attribute:
    """A client's item as an attribute: strings literally, every other kind as expression text (reference
    3.6, 5.3).

    A missing text means undefined. Raises InvalidAd when the name is none or the text no expression.
    """
    if not valid_name(name):
        raise InvalidAd(f"not an attribute name: {name[:80]!r}")
    if text is None:
        return name, "u", "undefined"
    if kind == "s":
        check_text(text)
        return name, "s", text
    return name, *canonical_value(text)


def ad_from_items(items: Iterable[Item], unparsable: Literal["drop", "undefined"]) -> Ad:
    """An ad from a client's items; nameless items are skipped, of duplicates the last one counts.

    MyType and TargetType (exact case) take their text literally whatever the tag says (reference 5.3).
    What does not parse is dropped, as `insertAd` did, or becomes undefined, as `submit` did.
    """
    ad = Ad()
    for name, kind, text in items:
        if not name:
            continue
        try:
            ad.put(*attribute_from_item(name, "s" if name in ("MyType", "TargetType") else kind, text))
        except InvalidAd:
            if unparsable == "undefined" and valid_name(name):
                ad.put(name, "u", "undefined")
    return ad
