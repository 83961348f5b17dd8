"""Ads as JSON and XML documents, as HTCondor's tools and event logs have them (event reference section 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import classad2
import orjson

from birdbath.classads.ads import Ad
from birdbath.classads.expressions import (
    Attribute,
    Scalar,
    attribute_in_new_syntax,
    canonical_value,
    compile_ad,
    literal,
)
from birdbath.classads.syntax import attribute_name, to_new_syntax
from birdbath.errors import InvalidAd
from birdbath.values import Expression

Value = Scalar | Expression | None | list["Value"] | dict[str, "Value"]
"""A value with its structure: None is undefined, a dict a nested ad, an Expression new-syntax text."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_NEWLINES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


def values(ad: Ad) -> dict[str, Value]:
    """The ad's attributes in their order, lists and nested ads taken apart."""
    return {attribute[0]: _value(attribute) for attribute in ad}


def _value(attribute: Attribute) -> Value:
    _, kind, text = attribute
    if kind == "s":
        return text
    if kind == "n":
        return int(text)
    if kind == "f":
        return float(text)
    if kind == "b":
        return text == "TRUE"
    if kind == "u":
        return None
    if kind == "e" or text[:1] not in ("[", "{"):
        return Expression(to_new_syntax(text))
    return _plain(compile_ad([("x", kind, text)])["x"])


def _plain(value: object) -> Value:
    if isinstance(value, classad2.Value):  # an int as well
        return None if value is classad2.Value.Undefined else Expression("error")
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, classad2.ClassAd):
        return {name: _plain(value[name]) for name in value}
    return Expression(" ".join(str(value).split()))


def to_json(ad: Ad) -> bytes:
    """The ad as a JSON object on one line; expressions are marked as `\\/Expr(...)\\/`."""
    return orjson.dumps(_jsonable(values(ad)))


def _jsonable(value: Value) -> object:
    if isinstance(value, Expression):
        # The backslashes tell it from a string that only looks like one, and only raw text keeps them.
        return orjson.Fragment(b'"\\/Expr(' + orjson.dumps(str(value))[1:-1] + b')\\/"')
    if isinstance(value, dict):
        return {name: _jsonable(item) for name, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, list) else value


def to_xml(ad: Ad) -> str:
    """The ad as a `<c>` element, an attribute a line, with a newline at the end."""
    return f"{_element(values(ad), '')}\n"


def _element(value: Value, indent: str) -> str:
    if value is None:
        return "<un/>"
    if isinstance(value, Expression):
        return "<er/>" if value == "error" else f"<e>{escape(value)}</e>"
    if isinstance(value, bool):
        return f'<b v="{"t" if value else "f"}"/>'
    if isinstance(value, str):
        return f"<s>{_text(value)}</s>"
    if isinstance(value, int):
        return f"<i>{value}</i>"
    if isinstance(value, float):
        return f"<r>{value:.15E}</r>"
    if isinstance(value, list):
        return f"<l>{''.join(_element(item, indent) for item in value)}</l>"
    inner = indent + "    "
    lines = (f"{inner}<a n={quoteattr(name)}>{_element(v, inner)}</a>\n" for name, v in value.items())
    return f"<c>\n{''.join(lines)}{indent}</c>"


def _text(text: str) -> str:
    """Text of a string: HTCondor reads backslash escapes in XML too, even of what no XML may hold."""
    return escape(_CONTROL.sub(lambda match: f"\\{ord(match[0]):03o}", text.replace("\\", "\\\\")))


def to_classad(ad: Ad) -> str:
    """The ad in new syntax, on one line: `[ MyType = "SubmitEvent"; Cluster = 12 ]`."""
    parts = (attribute_in_new_syntax(a).replace("=", " = ", 1).translate(_NEWLINES) for a in ad)
    return f"[ {'; '.join(parts)} ]"


def members(ad: Ad, name: str) -> Iterator[tuple[str, str]]:
    """The attributes of the nested ad `name`, by name, each with its value in old syntax."""
    value = values(ad).get(name)
    if isinstance(value, dict):
        for key in sorted(value, key=str.lower):
            yield attribute_name(key), old_text(value[key])


def old_text(value: Value) -> str:
    """A value in old syntax."""
    if isinstance(value, str) and not isinstance(value, Expression):
        return '"' + value.replace('"', '\\"') + '"'
    scope = classad2.ClassAd(f"[x={_new_text(value)}]")
    return str(scope.printOld()[len("x = ") : -1])


def _new_text(value: Value) -> str:
    if value is None:
        return "undefined"
    if isinstance(value, Expression):
        return value
    if isinstance(value, dict):
        return "[" + ";".join(f"{attribute_name(k)}={_new_text(v)}" for k, v in value.items()) + "]"
    if isinstance(value, list):
        return "{" + ",".join(map(_new_text, value)) + "}"
    kind, text = literal(value)
    return attribute_in_new_syntax(("x", kind, text)).removeprefix("x=")


def parse_ads(text: str, form: Literal["json", "xml"]) -> list[Ad]:
    """The ads in a JSON or XML document, by HTCondor's own parser. Raises InvalidAd."""
    parser = classad2.ParserType.JSON if form == "json" else classad2.ParserType.XML
    try:
        return [ad_from_compiled(ad) for ad in classad2.parseAds(text, parser)]
    except (classad2.ClassAdException, ValueError) as error:
        raise InvalidAd(f"no {form.upper()} ads: {error}") from None


def nested_ad(ad: Ad, name: str) -> Ad | None:
    """The ad that is the value of attribute `name`, if it is one."""
    attribute = ad.attribute(name)
    if attribute is None or attribute[1] != "x":
        return None
    value = compile_ad([("x", *attribute[1:])])["x"]
    return ad_from_compiled(value) if isinstance(value, classad2.ClassAd) else None


def ad_from_compiled(compiled: classad2.ClassAd) -> Ad:
    """The ad that `classad2` holds, names in its order."""
    ad = Ad()
    for name in compiled:
        ad.put(name, *_kept(compiled, name))
    return ad


def _kept(compiled: classad2.ClassAd, name: str) -> tuple[str, str]:
    value = compiled[name]
    if isinstance(value, str):
        return "s", value
    scope = classad2.ClassAd()
    scope["x"] = compiled.lookup(name)
    return canonical_value(scope.printOld()[len("x = ") : -1])
