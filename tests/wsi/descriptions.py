"""The rules of WS-I Basic Profile 1.1 about descriptions, section 4: what a WSDL looks like.

Each takes a WSDL's root and returns what breaks it, and has a way to `spoil` a WSDL so that it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lxml import etree

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"
XSD = "{http://www.w3.org/2001/XMLSchema}"
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"

Element = etree._Element
Check = Callable[[Element], Iterator[str]]
Spoil = Callable[[Element], None]


@dataclass(frozen=True)
class DescriptionRule:
    """A rule by its number."""

    number: str
    text: str
    check: Check
    spoil: Spoil


RULES: list[DescriptionRule] = []


def rule(number: str, text: str, spoil: Spoil) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        RULES.append(DescriptionRule(number, text, check, spoil))
        return check

    return add


# ---------------------------------------------------------------- ways to spoil


def first(root: Element, name: str) -> Element:
    found = next(root.iter(name), None)
    assert found is not None
    return found


def with_attribute(name: str, attribute: str, value: str) -> Spoil:
    return lambda root: first(root, name).set(attribute, value)


def without_attribute(name: str, attribute: str) -> Spoil:
    return lambda root: first(root, name).attrib.__delitem__(attribute)


def with_child(parent: str, child: str, at: int = 0, **attributes: str) -> Spoil:
    return lambda root: first(root, parent).insert(at, etree.Element(child, attributes))


def without_child(name: str) -> Spoil:
    def spoil(root: Element) -> None:
        found = first(root, name)
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)

    return spoil


def doubled(name: str) -> Spoil:
    def spoil(root: Element) -> None:
        found = first(root, name)
        found.addnext(etree.fromstring(etree.tostring(found, with_tail=False)))

    return spoil


# ---------------------------------------------------------------- structure, imports, types


def named(root: Element, kind: str) -> dict[str, Element]:
    return {str(found.get("name")): found for found in root.iterfind(kind)}


def local(name: str | None) -> str:
    return (name or "").rpartition(":")[2]


@rule(
    "R2023",
    "types come before all but documentation and imports",
    with_child(f"{WSDL}definitions", f"{WSDL}message"),
)
def _(root: Element) -> Iterator[str]:
    order = [child.tag for child in root.iterchildren(etree.Element)]
    before = order[: order.index(f"{WSDL}types")]
    yield from (str(tag) for tag in before if tag not in (f"{WSDL}documentation", f"{WSDL}import"))


@rule(
    "R2022",
    "imports come before all but documentation",
    with_child(f"{WSDL}definitions", f"{WSDL}import", at=9, location="x"),
)
def _(root: Element) -> Iterator[str]:
    order = [str(child.tag) for child in root.iterchildren(etree.Element)]
    for index, tag in enumerate(order):
        if tag == f"{WSDL}import" and set(order[:index]) - {tag, f"{WSDL}documentation"}:
            yield f"import at {index}"


@rule("R2007", "an import says where", with_child(f"{WSDL}definitions", f"{WSDL}import", namespace="urn:x"))
def _(root: Element) -> Iterator[str]:
    yield from ("an import" for found in root.iterfind(f"{WSDL}import") if not found.get("location"))


@rule("R2003", "schemas are imported within schemas", with_child(f"{WSDL}types", f"{XSD}import"))
def _(root: Element) -> Iterator[str]:
    for found in root.iter(f"{XSD}import"):
        parent = found.getparent()
        if parent is None or parent.tag != f"{XSD}schema":
            yield "an import outside"


@rule("R2105", "a schema has a target namespace", without_attribute(f"{XSD}schema", "targetNamespace"))
def _(root: Element) -> Iterator[str]:
    yield from ("a schema" for found in root.iter(f"{XSD}schema") if not found.get("targetNamespace"))


@rule(
    "R2110",
    "nothing derives from soapenc:Array",
    with_attribute(f"{XSD}restriction", "base", "SOAP-ENC:Array"),
)
def _(root: Element) -> Iterator[str]:
    for kind in ("restriction", "extension"):
        for found in root.iter(f"{XSD}{kind}"):
            if local(found.get("base")) == "Array":
                yield str(found.get("base"))


@rule("R2111", "there is no arrayType", with_attribute(f"{XSD}element", f"{WSDL}arrayType", "xsd:int[]"))
def _(root: Element) -> Iterator[str]:
    yield from (str(found.tag) for found in root.iter(etree.Element) if f"{WSDL}arrayType" in found.attrib)


@rule("R2112", "no array is called ArrayOf", with_attribute(f"{XSD}complexType", "name", "ArrayOfItem"))
def _(root: Element) -> Iterator[str]:
    for found in root.iter(f"{XSD}complexType"):
        if (found.get("name") or "").startswith("ArrayOf"):
            yield str(found.get("name"))


@rule(
    "R2102",
    "types are of a namespace that is defined or imported",
    with_attribute(f"{XSD}element", "type", "SOAP-ENV:x"),
)
def _(root: Element) -> Iterator[str]:
    known = {XSD[1:-1], *(str(i.get("namespace")) for i in root.iter(f"{XSD}import"))}
    known |= {str(s.get("targetNamespace")) for s in root.iter(f"{XSD}schema")}
    for found in root.iter(f"{XSD}element", f"{XSD}restriction"):
        name = found.get("type") or found.get("base") or ""
        if ":" in name and found.nsmap.get(name.partition(":")[0]) not in known:
            yield name


@rule(
    "R2800", "the schemas are XML Schema 1.0, and valid", with_attribute(f"{XSD}element", "maxOccurs", "many")
)
def _(root: Element) -> Iterator[str]:
    for found in root.iter(f"{XSD}schema"):
        copy = etree.fromstring(etree.tostring(found))
        for unlocated in copy.findall(f"{XSD}import"):  # nothing of it is used; it cannot be loaded
            copy.remove(unlocated)
        try:
            etree.XMLSchema(copy)
        except etree.XMLSchemaParseError as error:
            yield str(error)


@rule(
    "R2026", "no extension of SOAP is required", with_attribute(f"{SOAP}binding", f"{WSDL}required", "true")
)
def _(root: Element) -> Iterator[str]:
    yield from (str(f.tag) for f in root.iter(f"{SOAP}*") if f.get(f"{WSDL}required") == "true")


# ---------------------------------------------------------------- messages and port types


@rule("R2306", "a part has a type or an element, not both", with_attribute(f"{WSDL}part", "type", "xsd:int"))
def _(root: Element) -> Iterator[str]:
    yield from (
        str(p.get("name"))
        for p in root.iter(f"{WSDL}part")
        if ("type" in p.attrib) == ("element" in p.attrib)
    )


@rule(
    "R2206",
    "a part's element is a global one of a schema",
    with_attribute(f"{WSDL}part", "element", "tns:nobody"),
)
def _(root: Element) -> Iterator[str]:
    known = {str(e.get("name")) for s in root.iter(f"{XSD}schema") for e in s.iterfind(f"{XSD}element")}
    yield from (
        str(p.get("element")) for p in root.iter(f"{WSDL}part") if local(p.get("element")) not in known
    )


@rule(
    "R2303",
    "every operation is called by its client",
    lambda root: first(root, f"{WSDL}operation").insert(0, etree.Element(f"{WSDL}output")),
)
def _(root: Element) -> Iterator[str]:
    for found in root.iterfind(f"{WSDL}portType/{WSDL}operation"):
        order = [
            local(str(c.tag).replace("}", ":")) for c in found if c.tag in (f"{WSDL}input", f"{WSDL}output")
        ]
        if order not in (["input"], ["input", "output"]):
            yield str(found.get("name"))


@rule("R2304", "the operations of a port type have different names", doubled(f"{WSDL}operation"))
def _(root: Element) -> Iterator[str]:
    for port_type in root.iterfind(f"{WSDL}portType"):
        counts = Counter(o.get("name") for o in port_type.iterfind(f"{WSDL}operation"))
        yield from (str(name) for name, count in counts.items() if count > 1)


@rule("R2101", "what is referred to is there", with_attribute(f"{WSDL}input", "message", "tns:nobody"))
def _(root: Element) -> Iterator[str]:
    messages, bindings = named(root, f"{WSDL}message"), named(root, f"{WSDL}binding")
    for found in root.iter(f"{WSDL}input", f"{WSDL}output"):
        if "message" in found.attrib and local(found.get("message")) not in messages:
            yield str(found.get("message"))
    for port in root.iterfind(f"{WSDL}service/{WSDL}port"):
        if local(port.get("binding")) not in bindings:
            yield str(port.get("binding"))


# ---------------------------------------------------------------- bindings


def bodies(root: Element) -> Iterator[tuple[Element, Element]]:
    """Each soap:body with the message that it carries."""
    messages = named(root, f"{WSDL}message")
    carried = {
        (str(o.get("name")), c.tag): messages.get(local(c.get("message")))
        for o in root.iterfind(f"{WSDL}portType/{WSDL}operation")
        for c in o.iterchildren(etree.Element)
    }
    for operation in root.iterfind(f"{WSDL}binding/{WSDL}operation"):
        for direction in operation:
            body = direction.find(f"{SOAP}body")
            message = carried.get((str(operation.get("name")), direction.tag))
            if body is not None and message is not None:
                yield body, message


@rule("R2401", "every binding is one of SOAP", without_child(f"{SOAP}binding"))
def _(root: Element) -> Iterator[str]:
    yield from (
        str(b.get("name")) for b in root.iterfind(f"{WSDL}binding") if b.find(f"{SOAP}binding") is None
    )


@rule("R2701", "a binding says its transport", without_attribute(f"{SOAP}binding", "transport"))
def _(root: Element) -> Iterator[str]:
    yield from ("a binding" for b in root.iter(f"{SOAP}binding") if "transport" not in b.attrib)


@rule("R2702", "the transport is HTTP", with_attribute(f"{SOAP}binding", "transport", "urn:smtp"))
def _(root: Element) -> Iterator[str]:
    for found in root.iter(f"{SOAP}binding"):
        if found.get("transport") not in (None, "http://schemas.xmlsoap.org/soap/http"):
            yield str(found.get("transport"))


@rule("R2705", "a binding has one style throughout", with_attribute(f"{SOAP}operation", "style", "rpc"))
def _(root: Element) -> Iterator[str]:
    for binding in root.iterfind(f"{WSDL}binding"):
        default = next(
            (str(b.get("style", "document")) for b in binding.iterfind(f"{SOAP}binding")), "document"
        )
        styles = {str(o.get("style", default)) for o in binding.iter(f"{SOAP}operation")} | {default}
        if len(styles) > 1:
            yield str(sorted(styles))


@rule("R2706", "every use is literal", with_attribute(f"{SOAP}body", "use", "encoded"))
def _(root: Element) -> Iterator[str]:
    yield from (str(b.get("use")) for b in root.iter(f"{SOAP}body") if b.get("use", "literal") != "literal")


@rule("R2201", "a body has at most one part", with_attribute(f"{SOAP}body", "parts", "parameters others"))
def _(root: Element) -> Iterator[str]:
    yield from (
        str(b.get("parts")) for b in root.iter(f"{SOAP}body") if len((b.get("parts") or "").split()) > 1
    )


@rule(
    "R2210",
    "a body without parts carries a message of one at most",
    lambda root: (first(root, f"{SOAP}body").attrib.pop("parts"), doubled(f"{WSDL}part")(root), None)[2],
)
def _(root: Element) -> Iterator[str]:
    for body, message in bodies(root):
        if "parts" not in body.attrib and len(message.findall(f"{WSDL}part")) > 1:
            yield str(message.get("name"))


@rule("R2204", "a body's part is an element", without_attribute(f"{WSDL}part", "element"))
def _(root: Element) -> Iterator[str]:
    for body, message in bodies(root):
        for part in message.iterfind(f"{WSDL}part"):
            if part.get("name") in (body.get("parts") or "").split() and "element" not in part.attrib:
                yield str(message.get("name"))


@rule("R2716", "a document's body names no namespace", with_attribute(f"{SOAP}body", "namespace", "urn:x"))
def _(root: Element) -> Iterator[str]:
    yield from (str(b.get("namespace")) for b in root.iter(f"{SOAP}body") if "namespace" in b.attrib)


@rule("R2718", "a binding has the operations of its port type", without_child(f"{WSDL}operation"))
def _(root: Element) -> Iterator[str]:
    types = named(root, f"{WSDL}portType")
    for binding in root.iterfind(f"{WSDL}binding"):
        port_type = types[local(binding.get("type"))]
        if set(named(binding, f"{WSDL}operation")) != set(named(port_type, f"{WSDL}operation")):
            yield str(binding.get("name"))


@rule(
    "R2709",
    "a binding is of a port type that is there",
    with_attribute(f"{WSDL}binding", "type", "tns:nobody"),
)
def _(root: Element) -> Iterator[str]:
    types = named(root, f"{WSDL}portType")
    yield from (
        str(b.get("type")) for b in root.iterfind(f"{WSDL}binding") if local(b.get("type")) not in types
    )


def same_signature(root: Element) -> None:
    first_part, second_part = list(root.iter(f"{WSDL}part"))[0:4:2]
    second_part.set("element", str(first_part.get("element")))


@rule("R2710", "the operations of a binding differ on the wire", same_signature)
def _(root: Element) -> Iterator[str]:
    inputs = {str(i.get("message")) for i in root.iterfind(f"{WSDL}portType/{WSDL}operation/{WSDL}input")}
    messages = named(root, f"{WSDL}message")
    elements = Counter(
        str(part.get("element"))
        for name in inputs
        for part in messages[local(name)]
        if local(name) in messages
    )
    yield from (name for name, count in elements.items() if count > 1)


@rule("R2711", "no two ports have the same address", doubled(f"{WSDL}port"))
def _(root: Element) -> Iterator[str]:
    counts = Counter(a.get("location") for a in root.iter(f"{SOAP}address"))
    yield from (str(location) for location, count in counts.items() if count > 1)


@rule(
    "R2721",
    "a fault of SOAP has a name",
    lambda root: first(root, f"{WSDL}binding").append(etree.Element(f"{SOAP}fault")),
)
def _(root: Element) -> Iterator[str]:
    yield from ("a fault" for f in root.iter(f"{SOAP}fault") if not f.get("name"))


@rule(
    "R2754",
    "a fault's name is that around it",
    lambda root: first(root, f"{WSDL}binding").append(etree.Element(f"{SOAP}fault", name="x")),
)
def _(root: Element) -> Iterator[str]:
    for found in root.iter(f"{SOAP}fault"):
        parent = found.getparent()
        if found.get("name") and (parent is None or parent.get("name") != found.get("name")):
            yield str(found.get("name"))
