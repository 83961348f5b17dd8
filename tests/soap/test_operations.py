"""The table of operations, and that each hands over what its signature says."""

from __future__ import annotations

import pytest

from birdbath.access import OPERATIONS, Level, Unit
from birdbath.schedd import Transaction
from birdbath.soap import services
from tests.soap import contract
from tests.soap.test_output import METHODS
from tests.soap.wire import Daemons, arguments, ask, call

VALUES = {
    "Transaction": ("<id>12</id><duration>34</duration>", Transaction(12, 34)),
    "string": ("text of {}", "text of {}"),
    "boolean": ("true", True),
    "base64Binary": ("aGVsbG8=", b"hello"),
    "ClassAdStruct": (
        "<item><name>A</name><type>STRING-ATTR</type><value>b</value></item>",
        [("A", "s", "b")],
    ),
    "HashType": ("MD5HASH", 1),
    "UniverseType": ("JAVA", 10),
    "ClassAdType": ("MASTER-AD-TYPE", 5),
}
KINDS = {
    "queryStartdAds": "startd",
    "queryScheddAds": "schedd",
    "queryMasterAds": "master",
    "querySubmittorAds": "submittor",
    "queryLicenseAds": "license",
    "queryStorageAds": "storage",
    "queryAnyAds": "any",
}


def test_the_table_has_all_operations_of_both_services_in_order() -> None:
    for service, signatures in (("condorSchedd", contract.SCHEDD), ("condorCollector", contract.COLLECTOR)):
        assert [name for name, info in OPERATIONS.items() if service in info.services] == list(signatures)
    assert all(info.name == name for name, info in OPERATIONS.items())
    assert (len(contract.SCHEDD), len(contract.COLLECTOR)) == (23, 10)


def test_levels() -> None:
    found = {level.name: [n for n, info in OPERATIONS.items() if info.level is level] for level in Level}
    assert {level: sorted(names) for level, names in found.items()} == {
        level: sorted(names) for level, names in contract.LEVELS.items()
    }


def test_units_of_work() -> None:
    for name, info in OPERATIONS.items():
        if name == "requestReschedule":
            assert info.unit is Unit.NONE  # it wakes the negotiator and writes nothing
        elif info.level is Level.WRITE or name == "insertAd":
            assert info.unit is Unit.WRITE, name
        else:
            assert info.unit is not Unit.WRITE, name


def test_the_services_declare_the_operations_of_the_table() -> None:
    versions, of_schedd, of_collector = (
        list(service.public_methods) for service in (services.Versions, services.Schedd, services.Collector)
    )
    assert versions + of_schedd == list(contract.SCHEDD)
    assert versions + of_collector == list(contract.COLLECTOR)


@pytest.mark.parametrize("name", [*contract.SCHEDD, *list(contract.COLLECTOR)[2:]])
def test_every_argument_arrives_in_its_place(name: str) -> None:
    members = {**contract.SCHEDD, **contract.COLLECTOR}[name][0]
    children, wanted = "", []
    for number, member in enumerate(members, start=100):
        child, kind, *_ = member.split()
        text, value = VALUES.get(kind, (str(number), number))
        children += f"<{child}>{text.format(child)}</{child}>"
        wanted.append(value.format(child) if isinstance(value, str) else value)
    if name in KINDS:
        wanted.insert(0, KINDS[name])
    assert arguments(name, children) == tuple(wanted)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_calls_one_method(name: str) -> None:
    daemons = Daemons()
    daemons.schedd.results = daemons.collector.results = _Refusing()
    ask(daemons, call(name))
    assert [method for method, _ in daemons.schedd.calls + daemons.collector.calls] == [METHODS[name]]


class _Refusing(dict[str, object]):
    def get(self, key: str, default: object = None) -> object:
        from birdbath.errors import PermissionDenied

        return PermissionDenied()
