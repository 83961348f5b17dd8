"""Ads as Python values: what a client reads and writes instead of name/type/value items (reference section
5).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import NamedTuple

from birdbath.client.errors import InvalidValue
from birdbath.values import AdValue, Expression, literal, real


class Item(NamedTuple):
    """One attribute as it stands on the wire: `type` is a name of ClassAdAttrType (reference section 2.1)."""

    name: str
    type: str
    value: str


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INT_LIMIT = 2**63


def to_item(name: str, value: AdValue) -> Item:
    """The item for one attribute.

    Raises `InvalidValue` for what the wire or a ClassAd cannot hold: a name that is no identifier, an integer
    beyond 64 bits, characters that XML forbids, a value of another Python type.
    """
    if not _NAME.match(name):
        raise InvalidValue(f"{name!r} is not the name of an attribute")
    kind, text = _typed(name, value)
    if _NOT_XML.search(text):
        raise InvalidValue(f"{name}: the value holds a character that cannot be sent")
    return Item(name, kind, text)


def _typed(name: str, value: AdValue) -> tuple[str, str]:
    match value:
        case None:
            return "UNDEFINED-ATTR", "UNDEFINED"
        case Expression():
            return "EXPRESSION-ATTR", str(value)
        case str():
            return "STRING-ATTR", value
        case bool():  # before int: a bool is one
            return "BOOLEAN-ATTR", "TRUE" if value else "FALSE"
        case int():
            return "INTEGER-ATTR", _integer(name, value)
        case float():
            return _real(value)
        case _:
            raise InvalidValue(f"{name}: a {type(value).__name__} cannot be put in an ad")


def _integer(name: str, value: int) -> str:
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise InvalidValue(f"{name}: {value} does not fit in 64 bits")
    return str(int(value))  # int(): an IntEnum counts as its number


def _real(value: float) -> tuple[str, str]:
    return "FLOAT-ATTR" if math.isfinite(value) else "EXPRESSION-ATTR", real(value)


def to_items(attributes: Mapping[str, AdValue]) -> list[Item]:
    """The items of an ad, in its order. Raises as `to_item` does."""
    return [to_item(name, value) for name, value in attributes.items()]


def from_item(kind: str | None, text: str) -> AdValue:
    """The Python value of an item.

    A text that is not what its type says (old servers and clients tag loosely) comes back as an `Expression`,
    which is what every ClassAd implementation makes of it.
    """
    try:
        return _READERS[kind](text)
    except (ValueError, KeyError):
        return Expression(text)


def _undefined(text: str) -> None:
    return None


_BOOLEANS = {"TRUE": True, "FALSE": False, "true": True, "false": False}
_READERS: dict[str | None, Callable[[str], AdValue]] = {
    "STRING-ATTR": str,
    "INTEGER-ATTR": int,
    "EXPRESSION-ATTR": Expression,
    "BOOLEAN-ATTR": _BOOLEANS.__getitem__,
    "FLOAT-ATTR": float,
    "UNDEFINED-ATTR": _undefined,
}


class Ad(MutableMapping[str, AdValue]):
    """One ClassAd: attributes by name, in the order they came, names compared without regard to case.

    The spelling of a name's first use stays. Equal to any mapping with the same attributes.
    """

    __slots__ = ("_spellings", "_values")

    def __init__(self, attributes: Mapping[str, AdValue] = MappingProxyType({})) -> None:
        self._values: dict[str, AdValue] = {}
        self._spellings: dict[str, str] | None = {}
        self.update(attributes)

    @classmethod
    def from_wire(cls, items: Iterable[tuple[str, str | None, str]]) -> Ad:
        """An ad from (name, type, value) as received; of an attribute that is there twice the first one
        counts.
        """
        values: dict[str, AdValue] = {}
        for name, kind, text in items:
            if name not in values:
                values[sys.intern(name)] = from_item(kind, text)
        return cls._adopt(values)

    @classmethod
    def _adopt(cls, values: dict[str, AdValue]) -> Ad:
        ad = cls.__new__(cls)
        ad._values = values
        ad._spellings = (
            None  # made when first needed: most ads of a long list are only read, by the usual spelling
        )
        return ad

    def _spelling(self, name: str) -> str:
        if self._spellings is None:
            self._spellings = {known.lower(): known for known in self._values}
        return self._spellings.get(name.lower(), name)

    def __getitem__(self, name: str) -> AdValue:
        if name in self._values:
            return self._values[name]
        try:
            return self._values[self._spelling(name)]
        except KeyError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: AdValue) -> None:
        spelling = self._spelling(name)
        self._values[spelling] = value
        if self._spellings is not None:
            self._spellings[name.lower()] = spelling

    def __delitem__(self, name: str) -> None:
        spelling = self._spelling(name)
        if spelling not in self._values:
            raise KeyError(name)
        del self._values[spelling]
        self._spellings = None

    def __contains__(self, name: object) -> bool:
        return name in self._values or (isinstance(name, str) and self._spelling(name) in self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Ad({self._values!r})"

    def copy(self) -> Ad:
        """An ad of its own with the same attributes."""
        return Ad._adopt(dict(self._values))

    def integer(self, name: str, default: int = 0) -> int:
        """The attribute as an integer; `default` when it is missing or not a number."""
        value = self.get(name)
        return int(value) if isinstance(value, int | float) else default

    def real(self, name: str, default: float = 0.0) -> float:
        """The attribute as a float; `default` when it is missing or not a number."""
        value = self.get(name)
        return float(value) if isinstance(value, int | float) else default

    def string(self, name: str, default: str = "") -> str:
        """The attribute's characters; `default` when it is missing or not a string literal."""
        value = self.get(name)
        return value if isinstance(value, str) and not isinstance(value, Expression) else default

    def long(self) -> str:
        """The ad as `condor_q -long` prints it: one `Name = value` a line, no line break at the end."""
        return "\n".join(f"{name} = {literal(value)}" for name, value in self.items())
