"""From an operation element to plain values, steered by the Spyne type of the message (reference section
1.3).

Own conversion, because Spyne's validators refuse what real clients send (numeric enumerations, qualified
children) and its lenient mode accepts what must be a fault (`1_0`, `maybe`, base64 of `!!!`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from birdbath.classads import Item
from birdbath.schedd import Transaction
from birdbath.soap import types
from birdbath.soap.cutting import decoded
from birdbath.soap.envelope import NIL, Element, Envelope, local_name
from birdbath.soap.faults import ClientFault

Reader = Callable[[Element, Envelope], Any]

_BLANKS: Final = " \t\r\n"
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}
_KINDS: Final = {name: chr(number) for name, number in types.ATTRIBUTE_KINDS.items()} | {"": ""}
_ITEM_PARTS: Final = frozenset(("name", "type", "value"))
_KIND_NUMBERS: Final = frozenset(types.ATTRIBUTE_KINDS.values())


def mistyped(element: Element, wanted: str) -> ClientFault:
    """The fault for a value of the wrong type; it names the element, not the value."""
    return ClientFault(f"The value of element '{local_name(element.tag)}' is not {wanted}")


# ---------------------------------------------------------------- simple values


def read_int(element: Element, envelope: Envelope) -> int:
    """A 32-bit integer; empty is 0. Out of range is a fault: cutting bits off would name another job."""
    return _read_integer(element, 32)


def read_file_position(element: Element, envelope: Envelope) -> int:
    """The same with 64 bits."""
    return _read_integer(element, 64)


def _read_integer(element: Element, bits: int) -> int:
    text = (element.text or "").strip(_BLANKS)
    if not text:
        return 0
    if not _INTEGER.fullmatch(text):
        raise mistyped(element, "an integer")
    value = int(text)
    if not -1 << (bits - 1) <= value < 1 << (bits - 1):
        raise mistyped(element, f"an integer of {bits} bits")
    return value


def read_boolean(element: Element, envelope: Envelope) -> bool:
    """true, false, 1, 0 in lower case; empty is false."""
    value = _BOOLEANS.get((element.text or "").strip(_BLANKS))
    if value is None:
        raise mistyped(element, "true, false, 1 or 0")
    return value


def read_text(element: Element, envelope: Envelope) -> str:
    """The text as it is, with its blanks; empty is the empty string."""
    return element.text or ""


def read_data(element: Element, envelope: Envelope) -> bytes:
    """Base64 with any white space; anything else that is not base64 is a fault."""
    data = envelope.data_of(element)
    if data is None and not len(element):  # an attachment's reference is no data
        data = decoded(element.text or "")
    if data is None:
        raise mistyped(element, "base64 data")
    return data


def enumeration_reader(numbers: dict[str, int]) -> Reader:
    """A reader of names and decimal numbers; numbers are not checked, empty is 0."""

    def read(element: Element, envelope: Envelope) -> int:
        text = (element.text or "").strip(_BLANKS)
        value = numbers.get(text)
        return _number_of(element, envelope, text) if value is None else value

    return read


def _number_of(element: Element, envelope: Envelope, text: str) -> int:
    if text and not _INTEGER.fullmatch(text):
        raise mistyped(element, "a name or number of its enumeration")
    return read_int(element, envelope)


# ---------------------------------------------------------------- structures


def read_transaction(element: Element, envelope: Envelope) -> Transaction | None:
    """A transaction, or None where the struct means none: empty or with id 0."""
    identity, duration = _TRANSACTION.read(element, envelope)
    return Transaction(identity, duration) if identity else None


def read_items(element: Element, envelope: Envelope) -> list[Item]:
    """The items of an ad as they came, straight from the tree.

    The form that nearly every client sends is recognised first; whatever differs from it goes the general
    way.
    """
    cut_out = envelope.items_of(element)
    if cut_out is not None:
        return cut_out
    result: list[Item] = []
    plain = not (envelope.nils or envelope.references)
    kinds = _KINDS
    general: _Items | None = None
    for item in element:
        if plain and len(item) == 3:
            name, kind, value = item
            if name.tag == "name" and kind.tag == "type" and value.tag == "value":
                letter = kinds.get(kind.text or "")
                if letter is None:
                    letter = _kind(kind, envelope)
                result.append((name.text or "", letter, value.text or ""))
                continue
        if local_name(item.tag) == "item":
            general = general or _Items(envelope)
            general.add(item, result)
    return result


def _kind(element: Element, envelope: Envelope) -> str:
    """The letter of an attribute type; an unknown number is no type."""
    text = (element.text or "").strip(_BLANKS)
    letter = _KINDS.get(text)
    if letter is not None:
        return letter
    number = _number_of(element, envelope, text)
    return chr(number) if number in _KIND_NUMBERS else ""


class _Items:
    """Reads items that have nil, references, other orders, prefixes or unknown children.

    What references share is read once: otherwise a small request could refer to one long text a million
    times.
    """

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._known: dict[Element, Item] = {}
        self._texts: dict[Element, str] = {}

    def add(self, item: Element, result: list[Item]) -> None:
        if not self._envelope.references:
            if not (self._envelope.nils and is_nil(item)):
                result.append(self._read(item))
            return
        target = self._envelope.resolve(item)
        if is_nil(target):
            return
        known = self._known.get(target)
        if known is None:
            known = self._known[target] = self._read(target)
        result.append(known)

    def _read(self, item: Element) -> Item:
        parts: dict[str, str | None] = {}
        for child in item:
            name = local_name(child.tag)
            if name in _ITEM_PARTS and name not in parts:
                parts[name] = self._value(child, name)
        return parts.get("name"), parts.get("type") or "", parts.get("value")

    def _value(self, child: Element, name: str) -> str | None:
        envelope = self._envelope
        target = envelope.resolve(child) if envelope.references else child
        if envelope.nils and is_nil(target):
            return None
        if name == "type":
            return _kind(target, envelope)
        if target is child:
            return child.text or ""
        if target not in self._texts:
            self._texts[target] = target.text or ""
        return self._texts[target]


def is_nil(element: Element) -> bool:
    """Whether xsi:nil says that the element stands for nothing."""
    return (element.get(NIL) or "").strip(_BLANKS) in ("true", "1")


def read_texts(element: Element, envelope: Envelope) -> list[str]:
    """The texts of an array's items, as they came; items that are nil are left out."""
    items = [envelope.resolve(child) for child in element if local_name(child.tag) == "item"]
    return [read_text(item, envelope) for item in items if not is_nil(item)]


_NONE: Final[Mapping[str, tuple[Reader, Any]]] = {}
_FEW: Final = 64


class MessageReader:
    """Reads the children of a struct: any order and prefix, unknown ones skipped, of duplicates the first."""

    def __init__(self, members: list[tuple[str, Reader, Any]]) -> None:
        self._slots = {name: slot for slot, (name, _, _) in enumerate(members)}
        self._tags = [f"{{*}}{name}" for name in self._slots]
        self._readers = [reader for _, reader, _ in members]
        self._defaults = [default for _, _, default in members]

    @classmethod
    def of(cls, message: types.SpyneType, more: Mapping[str, tuple[Reader, Any]] = _NONE) -> MessageReader:
        """The reader of a Spyne message or struct; `more` readers by the name of their type."""
        return cls([(name, *reader_of(kind, more)) for name, kind in message._type_info.items()])

    def read(self, element: Element, envelope: Envelope) -> list[Any]:
        """The values in the schema's order; what is missing or nil has its default."""
        values = self._defaults.copy()
        seen = 0
        # Of thousands the parser's library picks out the known ones in a tenth of the time.
        children = element if len(element) <= _FEW else element.iterchildren(*self._tags)
        for child in children if self._slots else ():
            slot = self._slots.get(local_name(child.tag))
            if slot is None or seen >> slot & 1:
                continue
            seen |= 1 << slot
            target = envelope.resolve(child) if envelope.references else child
            if not (envelope.nils and is_nil(target)):
                values[slot] = self._readers[slot](target, envelope)
        return values


_TRANSACTION = MessageReader([("id", read_int, 0), ("duration", read_int, 0)])

_SIMPLE: Final[dict[str, tuple[Reader, Any]]] = {
    "int": (read_int, 0),
    "long": (read_file_position, 0),
    "boolean": (read_boolean, False),
    "string": (read_text, None),
    "base64Binary": (read_data, None),
    "Transaction": (read_transaction, None),
    "ClassAdStruct": (read_items, None),
}


def reader_of(kind: types.SpyneType, more: Mapping[str, tuple[Reader, Any]] = _NONE) -> tuple[Reader, Any]:
    """How to read a member of this Spyne type, and what it is when it is missing or nil."""
    numbers = getattr(kind.Attributes, "numbers", None)
    if numbers is not None:
        return enumeration_reader(numbers), 0
    if getattr(kind.Attributes, "wide", False):
        return read_file_position, 0
    name = types.wire_name(kind)
    return more[name] if name in more else _SIMPLE[name]
