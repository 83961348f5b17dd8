"""Which ad replaces which, row by row of reference section 4.1."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, Scalar
from birdbath.pool.base import AdKind
from birdbath.pool.identity import MissingKey, host_of, identity_key

Values = dict[str, Scalar]

HERE: Values = {"MyAddress": "<10.0.0.1:9618>"}
HERE_OTHER_PORT: Values = {"MyAddress": "<10.0.0.1:4321?noUDP>"}
THERE: Values = {"MyAddress": "<10.0.0.2:9618>"}


def key(kind: AdKind, values: Values) -> str:
    ad = Ad()
    ad.update({**values})
    return identity_key(kind, ad)


NAME: Values = {"Name": "a"}
MACHINE: Values = {"Machine": "a"}
NOTHING: Values = {}
NO_NAME: Values = {"Name": ""}
NO_STRINGS: Values = {"Name": 7, "Machine": True}

NAME_OR_MACHINE = (AdKind.MASTER, AdKind.COLLECTOR)
ONLY_NAME = (AdKind.STORAGE, AdKind.HAD, AdKind.NEGOTIATOR, AdKind.GENERIC)

SAME = [
    # STARTD: Name, else Machine and SlotID; the host of an address if there is one
    (AdKind.STARTD, NAME, {"Name": "a", "Machine": "b", "SlotID": 3}),
    (AdKind.STARTD, NAME | HERE, NAME | HERE_OTHER_PORT),
    (AdKind.STARTD, NAME | HERE, NAME | {"StartdIpAddr": "<10.0.0.1:1>"}),
    (AdKind.STARTD, NAME | HERE, NAME | HERE | {"StartdIpAddr": "<10.0.0.9:1>"}),
    (AdKind.STARTD, NAME, NAME | {"MyAddress": "no address"}),
    (AdKind.STARTD, {"Machine": "a", "SlotID": 1}, {"Machine": "a", "SlotID": 1, "Cpus": 5}),
    (AdKind.STARTD, NAME, {"name": "a"}),
    *[
        row
        for kind in (AdKind.SCHEDD, AdKind.SUBMITTOR)
        for row in (
            (kind, NAME | HERE, NAME | {"Machine": "b"} | HERE_OTHER_PORT),
            (kind, NAME | HERE, MACHINE | HERE),
            (kind, NAME | HERE, NAME | {"ScheddIpAddr": "<10.0.0.1:5>"}),
        )
    ],
    (AdKind.LICENSE, NAME | HERE, MACHINE | HERE_OTHER_PORT),
    *[(kind, NAME | HERE, MACHINE | THERE) for kind in NAME_OR_MACHINE],
    (AdKind.CKPTSRVR, MACHINE | HERE, {"Machine": "a", "Name": "b"} | THERE),
    *[(kind, NAME | HERE, NAME | {"Machine": "b"} | THERE) for kind in ONLY_NAME],
    (AdKind.GENERIC, NAME, NAME | {"MyType": ""}),
    (AdKind.QUILL, NAME | HERE, MACHINE | THERE),
]
DIFFERENT = [
    (AdKind.STARTD, NAME, {"Name": "A"}),
    (AdKind.STARTD, NAME, NAME | HERE),
    (AdKind.STARTD, NAME | HERE, NAME | THERE),
    (AdKind.STARTD, MACHINE, {"Machine": "a", "SlotID": 1}),
    (AdKind.STARTD, {"Machine": "a", "SlotID": 1}, {"Machine": "a", "SlotID": 2}),
    *[
        row
        for kind in (AdKind.SCHEDD, AdKind.SUBMITTOR)
        for row in (
            (kind, NAME | HERE, NAME | THERE),
            (kind, NAME | HERE, NAME | HERE | {"ScheddName": "s"}),
            (kind, NAME | HERE | {"ScheddName": "t"}, NAME | HERE | {"ScheddName": "s"}),
        )
    ],
    (AdKind.LICENSE, NAME | HERE, NAME | THERE),
    *[(kind, NAME, {"Name": "b"}) for kind in (*NAME_OR_MACHINE, *ONLY_NAME)],
    (AdKind.CKPTSRVR, MACHINE, {"Machine": "b"}),
    (AdKind.GENERIC, NAME | {"MyType": "One"}, NAME | {"MyType": "Other"}),
    (AdKind.QUILL, NAME | {"ScheddName": "s"}, NAME),
]
MISSING = [
    *[(kind, NOTHING) for kind in AdKind],
    *[(kind, NOTHING | HERE) for kind in AdKind],
    *[(kind, NO_NAME | HERE) for kind in AdKind],
    *[(kind, NO_STRINGS | HERE) for kind in AdKind],
    *[(kind, NAME) for kind in (AdKind.SCHEDD, AdKind.SUBMITTOR, AdKind.LICENSE)],
    (AdKind.SCHEDD, NAME | {"MyAddress": "10.0.0.1:9618"}),
    (AdKind.LICENSE, NAME | {"ScheddIpAddr": "<10.0.0.1:9618>"}),
    (AdKind.CKPTSRVR, NAME),
    *[(kind, MACHINE | HERE) for kind in ONLY_NAME],
]


@pytest.mark.parametrize(("kind", "one", "other"), SAME, ids=repr)
def test_same_identity(kind: AdKind, one: Values, other: Values) -> None:
    assert key(kind, one) == key(kind, other)


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT, ids=repr)
def test_other_identity(kind: AdKind, one: Values, other: Values) -> None:
    assert key(kind, one) != key(kind, other)


@pytest.mark.parametrize(("kind", "values"), MISSING, ids=repr)
def test_missing_key(kind: AdKind, values: Values) -> None:
    with pytest.raises(MissingKey, match=r"^The ad has no "):
        key(kind, values)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("<10.0.0.1:9618>", "10.0.0.1"),
        ("<10.0.0.1:9618?addrs=10.0.0.1-9618&noUDP>", "10.0.0.1"),
        ("<node.example.org:1>", "node.example.org"),
        ("<[2001:db8::1]:9618>", "[2001:db8::1]"),
        ("", None),
        ("10.0.0.1:9618", None),
        ("<10.0.0.1>", None),
        ("<10.0.0.1:>", None),
        ("<:9618>", None),
        ("<10.0.0.1:9618", None),
        ("<10.0.0.1:9618>\n", None),
        ("<<10.0.0.1:9618>", None),
        ("<2001:db8::1:9618>", None),
        ("<10.0.0.1:9618> ", None),
    ],
)
def test_host_of_an_address(address: str, host: str | None) -> None:
    """Addresses must look like <host:port>; only the host part counts."""
    assert host_of(address) == host
