"""The contract's types as Spyne types, in the order of the original schema (reference sections 2.1 and 2.2).

Only their names and shapes matter: they make the WSDL and steer the conversion of requests. Requests are
converted into plain values (`reading`), replies are written from plain values (`replies`); no object of these
classes is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Boolean, ByteArray, ComplexModel, Integer32, Integer64, SelfReference, Unicode

from birdbath.classads.elements import KIND_NAMES
from birdbath.errors import StatusCode as Code

NAMESPACE: Final = "urn:condor"

assert spyne_compat.SIX_MOVES  # used: importing it made spyne importable

SpyneType = Any  # Spyne is untyped: a type of its is a class that mypy knows nothing about

# ---------------------------------------------------------------- enumerations: names with their numbers

STATUS_CODES: Final = MappingProxyType({code.name: code.value for code in Code})
ATTRIBUTE_KINDS: Final = MappingProxyType({name: ord(letter) for letter, name in KIND_NAMES.items()})
HASHES: Final = MappingProxyType({"NOHASH": 0, "MD5HASH": 1})
UNIVERSES: Final = MappingProxyType(
    {
        "STANDARD": 1,
        "VANILLA": 5,
        "SCHEDULER": 7,
        "MPI": 8,
        "GRID": 9,
        "JAVA": 10,
        "PARALLEL": 11,
        "LOCAL": 12,
        "VM": 13,
    }
)
AD_TYPES: Final = MappingProxyType(
    {
        "STARTD-AD-TYPE": 0,
        "QUILL-AD-TYPE": 1,
        "SCHEDD-AD-TYPE": 2,
        "SUBMITTOR-AD-TYPE": 3,
        "LICENSE-AD-TYPE": 4,
        "MASTER-AD-TYPE": 5,
        "CKPTSRVR-AD-TYPE": 6,
        "COLLECTOR-AD-TYPE": 7,
        "STORAGE-AD-TYPE": 8,
        "NEGOTIATOR-AD-TYPE": 9,
        "HAD-AD-TYPE": 10,
        "GENERIC-AD-TYPE": 11,
    }
)

ALIASES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "UniverseType": {"LOCALUNIVESE": 12, "LOCALUNIVERSE": 12, "GLOBUS": 9, "PVMUNIVERSE": 4},
        "HashType": {"MD5": 1},
    }
)
"""Names of other releases, accepted but never sent (reference section 1.8)."""


def optional(kind: SpyneType) -> SpyneType:
    """0..1, nillable: what strings, structs and data in requests and replies mostly are."""
    return _named(kind, min_occurs=0, max_occurs=1, nillable=True)


def required(kind: SpyneType) -> SpyneType:
    """1..1, without a word about nil."""
    return _named(kind, min_occurs=1, max_occurs=1, nillable=False)


def present(kind: SpyneType) -> SpyneType:
    """1..1, and said to be not nillable."""
    return _named(kind, min_occurs=1, max_occurs=1, nillable=False, says_not_nillable=True)


def possible(kind: SpyneType) -> SpyneType:
    """0..1, without a word about nil."""
    return _named(kind, min_occurs=0, max_occurs=1, nillable=False)


def many(kind: SpyneType) -> SpyneType:
    """0..unbounded, nillable: the `item` of every array."""
    return _named(kind, min_occurs=0, max_occurs="unbounded", nillable=True)


def _named(kind: SpyneType, **attributes: object) -> SpyneType:
    """Customize `kind`; Spyne forgets a simple type's name at every customization."""
    name = getattr(kind.Attributes, "wire_name", None)
    return kind.customize(**attributes, **({"type_name": name} if name else {}))


def wire_name(kind: SpyneType) -> str:
    """The name of a type in the schema, without a prefix."""
    return str(getattr(kind.Attributes, "wire_name", None) or kind.get_type_name())


def _simple(name: str, **attributes: object) -> SpyneType:
    return Unicode.customize(type_name=name, wire_name=name, **attributes)


def enumeration(name: str, members: Mapping[str, int]) -> SpyneType:
    """An enumeration of the schema: its names, and the numbers that are accepted for them."""
    return _simple(name, values=list(members), numbers={**ALIASES.get(name, {}), **members})


Requirement: Final = _simple("Requirement")
StatusCode: Final = enumeration("StatusCode", STATUS_CODES)
ClassAdAttrType: Final = enumeration("ClassAdAttrType", ATTRIBUTE_KINDS)
HashType: Final = enumeration("HashType", HASHES)
UniverseType: Final = enumeration("UniverseType", UNIVERSES)
ClassAdType: Final = enumeration("ClassAdType", AD_TYPES)

# ---------------------------------------------------------------- structures


class Status(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("code", required(StatusCode)),
        ("message", optional(Unicode)),
        ("next", SelfReference.customize(min_occurs=0, max_occurs=1, nillable=True)),
    )


def structure(namespace: str, name: str, *members: tuple[str, SpyneType]) -> SpyneType:
    """A structure of the schema of `namespace`."""
    return type(name, (ComplexModel,), {"__namespace__": namespace, "_type_info": members})


def classad_structures(namespace: str, kinds: SpyneType) -> tuple[SpyneType, SpyneType]:
    """An attribute of an ad, its type one of the enumeration `kinds`, and the ad as an array of them."""
    attribute = structure(
        namespace,
        "ClassAdStructAttr",
        ("name", present(Unicode)),
        ("type", required(kinds)),
        ("value", present(Unicode)),
    )
    return attribute, structure(namespace, "ClassAdStruct", ("item", many(attribute)))


def common_types(namespace: str) -> tuple[SpyneType, SpyneType, SpyneType, SpyneType, SpyneType]:
    """What each of Birdbath's own services has in its namespace: StatusCode, ClassAdAttrType, Status,
    ClassAdStructAttr and ClassAdStruct.
    """
    code = enumeration("StatusCode", {"SUCCESS": 0, "FAIL": 1})
    kinds = enumeration("ClassAdAttrType", ATTRIBUTE_KINDS)
    status = structure(namespace, "Status", ("code", required(code)), ("message", optional(Unicode)))
    return code, kinds, status, *classad_structures(namespace, kinds)


ClassAdStructAttr, ClassAdStruct = classad_structures(NAMESPACE, ClassAdAttrType)


class ClassAdStructArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(ClassAdStruct)),)


class ClassAdStructAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("classAd", optional(ClassAdStruct)))


class ClassAdStructArrayAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("classAdArray", optional(ClassAdStructArray)))


class StringAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("message", optional(Unicode)))


class Transaction(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("id", possible(Integer32)), ("duration", possible(Integer32)))


class Requirements(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(Requirement)),)


class RequirementsAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("requirements", optional(Requirements)))


class TransactionAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("transaction", possible(Transaction)))


class IntAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("integer", possible(Integer32)))


class Base64DataAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("data", optional(ByteArray)))


class FileInfo(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("name", present(Unicode)), ("size", required(Integer64)))


class FileInfoArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(FileInfo)),)


class FileInfoArrayAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("info", optional(FileInfoArray)))


SCHEDD_TYPES: Final[tuple[SpyneType, ...]] = (
    Requirement,
    StatusCode,
    ClassAdAttrType,
    HashType,
    UniverseType,
    Status,
    ClassAdStructAttr,
    ClassAdStruct,
    ClassAdStructArray,
    ClassAdStructAndStatus,
    ClassAdStructArrayAndStatus,
    StringAndStatus,
    Transaction,
    Requirements,
    RequirementsAndStatus,
    TransactionAndStatus,
    IntAndStatus,
    Base64DataAndStatus,
    FileInfo,
    FileInfoArray,
    FileInfoArrayAndStatus,
)
"""The schema's types in the order of the original condorSchedd file; old toolkits number what they
generate."""

COLLECTOR_TYPES: Final[tuple[SpyneType, ...]] = (
    StatusCode,
    ClassAdAttrType,
    ClassAdType,
    Status,
    ClassAdStructAttr,
    ClassAdStruct,
    ClassAdStructArray,
    ClassAdStructAndStatus,
    ClassAdStructArrayAndStatus,
    StringAndStatus,
)
"""The same for condorCollector; two of them no operation uses."""

Int: Final = required(Integer32)
FilePosition: Final = _named(Integer32, min_occurs=1, max_occurs=1, nillable=False, wide=True)
"""An int of the schema, read with 64 bits: else the part of a file above 2 GiB could not be reached."""
Flag: Final = required(Boolean)
Text: Final = optional(Unicode)
Data: Final = optional(ByteArray)
