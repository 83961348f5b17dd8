"""The WSDL against sections 1.1 and 2 of the reference, and against the original files where at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest
from lxml import etree

from birdbath.soap import ServiceName, wsdl
from tests.soap import contract

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
XSD = "{http://www.w3.org/2001/XMLSchema}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"

SERVICES: list[ServiceName] = ["condorSchedd", "condorCollector"]
OPERATIONS = {"condorSchedd": contract.SCHEDD, "condorCollector": contract.COLLECTOR}


def document(service: ServiceName) -> etree._Element:
    return etree.fromstring(wsdl(service))


def attributes_of(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def schema(service: ServiceName) -> etree._Element:
    found = document(service).find(f"{WSDL}types/{XSD}schema")
    assert found is not None
    return found


def member(element: etree._Element) -> str:
    """An element declaration in the notation of `contract`; what is not written there may not be there."""
    nil = {"true": " nil", "false": " not", None: ""}[element.get("nillable")]
    assert set(element.attrib) <= {"name", "type", "minOccurs", "maxOccurs", "nillable"}
    prefix, _, kind = (element.get("type") or "").partition(":")
    ours = kind in contract.STRUCTS or kind in contract.ENUMERATIONS or kind == "Requirement"
    assert prefix == ("condor" if ours else "xsd")
    return f"{element.get('name')} {kind} {element.get('minOccurs')}..{element.get('maxOccurs')}{nil}"


def members(complex_type: etree._Element | None) -> list[str]:
    assert complex_type is not None
    (sequence,) = complex_type
    assert sequence.tag == f"{XSD}sequence"
    return [member(element) for element in sequence]


def entries(data: bytes) -> list[tuple[str, ...]]:
    """A WSDL as plain entries in document order: path, attributes, text. Comments and documentation apart."""
    result: list[tuple[str, ...]] = []

    def walk(element: etree._Element, path: str) -> None:
        tag = str(element.tag)
        path = f"{path}/{tag}"
        if tag != f"{WSDL}documentation":
            attributes = (f"{name}={value}" for name, value in sorted(attributes_of(element).items()))
            result.append((path, (element.text or "").strip(), *attributes))
        for child in element:
            walk(child, path)

    parser = etree.XMLParser(remove_comments=True, resolve_entities=False, no_network=True)
    walk(etree.fromstring(data, parser), "")
    return result


def originals() -> Path | None:
    """The folder of the original files: from the environment, or an installed npm package soap-htcondor."""
    if given := os.environ.get("BIRDBATH_ORIGINAL_WSDL"):
        return Path(given)
    folder = "node_modules/soap-htcondor/wsdl"
    tests = Path(__file__).parents[1]
    candidates = [*(base / folder for base in tests.parents), *tests.glob(f"clients/*/{folder}")]
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


@pytest.mark.parametrize("service", SERVICES)
def test_equal_to_the_original_entry_by_entry(service: ServiceName) -> None:
    folder = originals()
    if folder is None:
        pytest.skip("no original WSDL at hand: set BIRDBATH_ORIGINAL_WSDL to the folder that has them")
    original = (folder / f"{service}.wsdl").read_bytes()
    assert entries(wsdl(service)) == entries(original)
    assert list(document(service).nsmap.items()) == list(etree.fromstring(original).nsmap.items())
    assert numbers(wsdl(service)) == numbers(original)


def numbers(data: bytes) -> list[tuple[str, int]]:
    """Enumeration values with the number in the comment behind each."""
    result = []
    for value in etree.fromstring(data).iter(f"{XSD}enumeration"):
        comment = value.getnext()
        assert comment is not None
        assert isinstance(comment, etree._Comment)
        result.append((value.get("value") or "", int((comment.text or "").rpartition("=")[2])))
    return result


# ---------------------------------------------------------------- section 1.1


@pytest.mark.parametrize("service", SERVICES)
def test_names_of_the_definitions(service: ServiceName) -> None:
    root = document(service)
    assert root.tag == f"{WSDL}definitions"
    assert attributes_of(root) == {"name": service, "targetNamespace": "urn:condor"}
    assert list(root.nsmap.items()) == contract.DECLARED_PREFIXES
    kinds = [etree.QName(child).localname for child in root]
    assert kinds == ["types", *["message"] * 2 * len(OPERATIONS[service]), "portType", "binding", "service"]


@pytest.mark.parametrize("service", SERVICES)
def test_port_and_address(service: ServiceName) -> None:
    node = document(service).find(f"{WSDL}service")
    assert node is not None
    assert node.get("name") == service
    documentation, port = node
    assert "gSOAP" not in (documentation.text or "")
    assert attributes_of(port) == {"name": service, "binding": f"tns:{service}"}
    (address,) = port
    assert attributes_of(address) == {"location": "http://localhost:80"}


@pytest.mark.parametrize("service", SERVICES)
def test_port_type_and_messages(service: ServiceName) -> None:
    root = document(service)
    port_type = root.find(f"{WSDL}portType")
    assert port_type is not None
    assert port_type.get("name") == f"{service}PortType"
    assert [operation.get("name") for operation in port_type] == list(OPERATIONS[service])
    wanted = []
    for operation in port_type:
        name = operation.get("name") or ""
        request = f"{name}Request" if name.startswith("query") else name
        assert [child.get("message") for child in operation] == [
            None,
            f"tns:{request}",
            f"tns:{name}Response",
        ]
        assert not {"name", "parameterOrder"} & set(operation[1].attrib)
        wanted += [(request, name), (f"{name}Response", f"{name}Response")]
    messages = root.findall(f"{WSDL}message")
    assert [(m.get("name"), attributes_of(m[0])) for m in messages] == [
        (name, {"name": "parameters", "element": f"condor:{element}"}) for name, element in wanted
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_binding(service: ServiceName) -> None:
    binding = document(service).find(f"{WSDL}binding")
    assert binding is not None
    assert attributes_of(binding) == {"name": service, "type": f"tns:{service}PortType"}
    style, *operations = binding
    assert attributes_of(style) == {"style": "document", "transport": "http://schemas.xmlsoap.org/soap/http"}
    assert [operation.get("name") for operation in operations] == list(OPERATIONS[service])
    for operation in operations:
        action, request, response = operation
        assert attributes_of(action) == {"soapAction": ""}
        for message in (request, response):
            (content,) = message
            assert content.tag == f"{SOAP}body"
            assert attributes_of(content) == {"parts": "parameters", "use": "literal"}


# ---------------------------------------------------------------- section 2


@pytest.mark.parametrize("service", SERVICES)
def test_schema_head(service: ServiceName) -> None:
    root = schema(service)
    assert attributes_of(root) == {
        "targetNamespace": "urn:condor",
        "elementFormDefault": "unqualified",
        "attributeFormDefault": "unqualified",
    }
    assert root[0].tag == f"{XSD}import"
    assert attributes_of(root[0]) == {"namespace": "http://schemas.xmlsoap.org/soap/encoding/"}


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("condorSchedd", ["StatusCode", "ClassAdAttrType", "HashType", "UniverseType"]),
        ("condorCollector", ["StatusCode", "ClassAdAttrType", "ClassAdType"]),
    ],
)
def test_enumerations_in_order_with_their_numbers(service: ServiceName, names: list[str]) -> None:
    wanted = [pair for name in names for pair in contract.ENUMERATIONS[name].items()]
    assert numbers(wsdl(service)) == wanted
    for name in names:
        simple = schema(service).find(f"{XSD}simpleType[@name='{name}']")
        assert simple is not None
        assert simple[0].get("base") == "xsd:string"
        assert [v.get("value") for v in simple.iter(f"{XSD}enumeration")] == list(contract.ENUMERATIONS[name])


def test_requirement_has_no_facets() -> None:
    simple = schema("condorSchedd").find(f"{XSD}simpleType[@name='Requirement']")
    assert simple is not None
    assert attributes_of(simple[0]) == {"base": "xsd:string"}
    assert len(simple[0]) == 0


@pytest.mark.parametrize("service", SERVICES)
def test_structures(service: ServiceName) -> None:
    names = contract.STRUCTS if service == "condorSchedd" else contract.COLLECTOR_STRUCTS
    found = {t.get("name") or "": members(t) for t in schema(service).findall(f"{XSD}complexType")}
    assert found == {name: contract.STRUCTS[name] for name in names}


@pytest.mark.parametrize("service", SERVICES)
def test_signatures(service: ServiceName) -> None:
    elements = schema(service).findall(f"{XSD}element")
    found = {e.get("name") or "": members(e.find(f"{XSD}complexType")) for e in elements}
    wanted: dict[str, list[str]] = {}
    for name, (request, response) in OPERATIONS[service].items():
        wanted[name] = request
        wanted[f"{name}Response"] = [f"{contract.container(name)} {response} 1..1"]
    assert found == wanted
    assert list(found) == list(wanted)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("service", SERVICES)
def test_the_address_is_the_only_difference_and_is_never_kept(service: ServiceName) -> None:
    first = wsdl(service, "http://one.example.org:8080/schedd")
    second = wsdl(service, "https://two.example.org/")
    assert first.replace(b"http://one.example.org:8080/schedd", b"https://two.example.org/") == second
    assert wsdl(service) == wsdl(service)
    assert b"example.org" not in wsdl(service)


def test_an_address_cannot_break_out_of_its_attribute() -> None:
    root = etree.fromstring(wsdl("condorSchedd", 'http://h/?a="b"&<c>'))
    address = cast("etree._Element", root.find(f"{WSDL}service/{WSDL}port/{SOAP}address"))
    assert address.get("location") == 'http://h/?a="b"&<c>'
