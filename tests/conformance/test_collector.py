"""Section 4: the collector."""

from __future__ import annotations

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import NIL, Door, Item, Reply, Value, WireAd, Xml, expression, integer, string

TYPES_BY_NUMBER = (
    "STARTD",
    "QUILL",
    "SCHEDD",
    "SUBMITTOR",
    "LICENSE",
    "MASTER",
    "CKPTSRVR",
    "COLLECTOR",
    "STORAGE",
    "NEGOTIATOR",
    "HAD",
    "GENERIC",
)
"""The contract's ClassAdType, by its number (2.1)."""

QUERIES = {
    "STARTD": "queryStartdAds",
    "SCHEDD": "queryScheddAds",
    "MASTER": "queryMasterAds",
    "SUBMITTOR": "querySubmittorAds",
    "LICENSE": "queryLicenseAds",
    "STORAGE": "queryStorageAds",
}
ALL_QUERIES = [*QUERIES.values(), "queryAnyAds"]
ADDRESS = string("MyAddress", "<10.0.0.1:9618>")
OTHER_PORT = string("MyAddress", "<10.0.0.1:4321>")
OTHER_HOST = string("MyAddress", "<10.0.0.2:9618>")
NAME, MACHINE = string("Name", "a"), string("Machine", "a")
B, MACHINE_B = string("Name", "b"), string("Machine", "b")
SCHEDD_NAME = string("ScheddName", "s")
OURS = integer("Ours", 1)


def wire_type(kind: str) -> str:
    return f"{kind}-AD-TYPE"


def insert(door: Door, kind: str | int, *items: Item) -> str:
    """The message of a successful insertion."""
    reply = door.ok("insertAd", type=wire_type(kind) if isinstance(kind, str) else kind, ad=[*items, OURS])
    assert reply.message is not None
    return reply.message


def refused(door: Door, kind: Value, *items: Item) -> str:
    """The message of an insertion that has to FAIL."""
    reply = door.call("insertAd", type=kind, ad=items)
    assert (reply.http_status, reply.code) == (200, "FAIL")
    assert reply.message
    return reply.message


def ours(door: Door, query: str = "queryAnyAds", constraint: str = "TRUE") -> list[WireAd]:
    """The ads that this test inserted and a query finds."""
    return door.call(query, constraint=f"Ours =?= 1 && ({constraint})").ads


# ---------------------------------------------------------------- 4.1 insertAd: outcomes


def test_new_and_updated(door: Door) -> None:
    """4.1 outcomes, for each type by name and by number; 1.6: the container is called `status`."""
    for number, kind in enumerate(TYPES_BY_NUMBER):
        one, this = (NAME, MACHINE, ADDRESS, string("Table", kind)), f'Table == "{kind}"'
        assert insert(door, kind, *one) == "New ad inserted"
        again = "New ad inserted" if kind == "NEGOTIATOR" else "Updated ad"
        assert insert(door, number, *one, integer("More", 1)) == again
        (ad,) = ours(door, constraint=this)
        assert ad.number("More") == 1
        for query in QUERIES.values():
            assert len(ours(door, query, this)) == (query == QUERIES.get(kind))


def test_replacement_is_whole(door: Door) -> None:
    """4.1: no merge."""
    insert(door, "GENERIC", NAME, integer("Old", 1))
    insert(door, "GENERIC", NAME, integer("New", 1))
    (ad,) = ours(door)
    assert ad.has("New")
    assert not ad.has("Old")


def test_unknown_types(door: Door) -> None:
    """4.1: type outside the enumeration."""
    for number in (12, 99, -1):
        assert refused(door, number, NAME, MACHINE, ADDRESS) == "Unknown type"


def test_type_omitted(door: Door) -> None:
    """1.3: enum value 0, which is STARTD."""
    assert door.code("insertAd", ad=[NAME, OURS]) == "SUCCESS"
    assert len(ours(door, "queryStartdAds")) == 1


def test_no_ad(door: Door) -> None:
    """4.1: a missing key."""
    nothing: list[Value] = [None, NIL, "", []]
    for ad in nothing:
        assert door.code("insertAd", type="GENERIC-AD-TYPE", ad=ad) == "FAIL"


# ---------------------------------------------------------------- 4.1 insertAd: keys

SAME = [
    ("STARTD", (NAME,), (NAME, MACHINE_B, integer("SlotID", 2))),
    ("STARTD", (NAME, ADDRESS), (NAME, OTHER_PORT)),
    ("STARTD", (NAME, ADDRESS), (NAME, string("StartdIpAddr", "<10.0.0.1:5>"))),
    ("STARTD", (MACHINE, integer("SlotID", 1)), (MACHINE, integer("SlotID", 1), integer("Cpus", 8))),
    ("SCHEDD", (NAME, ADDRESS), (MACHINE, OTHER_PORT)),
    ("SCHEDD", (NAME, ADDRESS), (NAME, string("ScheddIpAddr", "<10.0.0.1:5>"))),
    ("SUBMITTOR", (NAME, ADDRESS), (MACHINE, OTHER_PORT)),
    ("LICENSE", (NAME, ADDRESS), (MACHINE, OTHER_PORT)),
    ("MASTER", (NAME, ADDRESS), (MACHINE, OTHER_HOST)),
    ("COLLECTOR", (NAME, ADDRESS), (MACHINE, OTHER_HOST)),
    ("CKPTSRVR", (NAME, MACHINE), (B, MACHINE)),
    ("STORAGE", (NAME, MACHINE), (NAME, MACHINE_B)),
    ("HAD", (NAME, ADDRESS), (NAME, OTHER_HOST)),
    ("GENERIC", (NAME,), (NAME, string("MyType", ""))),
    ("QUILL", (NAME,), (MACHINE,)),
]
DIFFERENT = [
    ("STARTD", (NAME,), (string("Name", "A"),)),
    ("STARTD", (NAME,), (NAME, ADDRESS)),
    ("STARTD", (NAME, ADDRESS), (NAME, OTHER_HOST)),
    ("STARTD", (MACHINE,), (MACHINE, integer("SlotID", 1))),
    ("STARTD", (MACHINE, integer("SlotID", 2)), (MACHINE, integer("SlotID", 1))),
    ("SCHEDD", (NAME, ADDRESS), (NAME, OTHER_HOST)),
    ("SCHEDD", (NAME, ADDRESS), (NAME, ADDRESS, SCHEDD_NAME)),
    ("SUBMITTOR", (NAME, ADDRESS), (NAME, ADDRESS, SCHEDD_NAME)),
    ("LICENSE", (NAME, ADDRESS), (NAME, OTHER_HOST)),
    *((kind, (NAME,), (B,)) for kind in ("MASTER", "COLLECTOR", "STORAGE", "HAD", "GENERIC", "QUILL")),
    ("CKPTSRVR", (MACHINE,), (MACHINE_B,)),
    ("GENERIC", (NAME, string("MyType", "One")), (NAME, string("MyType", "Other"))),
    ("QUILL", (NAME, SCHEDD_NAME), (NAME,)),
]
MISSING = [
    *((kind, (ADDRESS, integer("Cpus", 1))) for kind in TYPES_BY_NUMBER),
    *((kind, (NAME,)) for kind in ("SCHEDD", "SUBMITTOR", "LICENSE", "CKPTSRVR")),
    *((kind, (NAME, string("MyAddress", "10.0.0.1:9618"))) for kind in ("SCHEDD", "SUBMITTOR", "LICENSE")),
    ("LICENSE", (NAME, string("ScheddIpAddr", "<10.0.0.1:9618>"))),
    *((kind, (MACHINE, ADDRESS)) for kind in ("STORAGE", "HAD", "NEGOTIATOR", "GENERIC")),
    ("MASTER", (integer("Name", 7),)),
    ("MASTER", (expression("Name", 'strcat("a","b")'),)),
]


def of_row(number: int, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items with names that no other row of a table has."""
    renamed = tuple(
        item._replace(value=f"{item.value}-{number}")
        if item.name in ("Name", "Machine") and item.type == "STRING-ATTR"
        else item
        for item in items
    )
    return (*renamed, integer("Row", number))


def test_same_key(door: Door) -> None:
    """4.1 identity keys."""
    for number, (kind, one, other) in enumerate(SAME):
        assert insert(door, kind, *of_row(number, one)) == "New ad inserted", (kind, one)
        assert insert(door, kind, *of_row(number, other)) == "Updated ad", (kind, other)
        assert len(ours(door, constraint=f"Row == {number}")) == 1, (kind, other)


def test_other_key(door: Door) -> None:
    """4.1 identity keys."""
    for number, (kind, one, other) in enumerate(DIFFERENT):
        assert insert(door, kind, *of_row(number, one)) == "New ad inserted", (kind, one)
        assert insert(door, kind, *of_row(number, other)) == "New ad inserted", (kind, other)
        assert len(ours(door, constraint=f"Row == {number}")) == 2, (kind, other)


def test_missing_key(door: Door) -> None:
    """4.1: FAIL, and nothing is inserted."""
    for kind, items in MISSING:
        refused(door, wire_type(kind), *items, OURS)
    assert ours(door) == []


def test_keys_of_different_types_are_apart(door: Door) -> None:
    """4.1: one table a type."""
    for kind in TYPES_BY_NUMBER:
        assert insert(door, kind, NAME, MACHINE, ADDRESS) == "New ad inserted"
    assert len(ours(door)) == 12


def test_one_negotiator(door: Door) -> None:
    """4.1: existing negotiator ads are purged first."""
    insert(door, "NEGOTIATOR", NAME)
    insert(door, "NEGOTIATOR", B)
    assert [ad.value("Name") for ad in ours(door)] == ["b"]


def test_an_inserted_negotiator_is_the_only_one(door: Door) -> None:
    """4.1: the pool's own is purged as well."""
    assert len(door.call("queryAnyAds", constraint='MyType == "Negotiator"').ads) == 1
    insert(door, "NEGOTIATOR", NAME, string("MyType", "Negotiator"))
    (ad,) = door.call("queryAnyAds", constraint='MyType == "Negotiator"').ads
    assert ad.value("Ours") == "1"


def test_an_inserted_ad_replaces_the_pool_s_own(door: Door) -> None:
    """4.1: replaced when the identity is the same, whoever sent the former one."""
    slots = door.call("queryStartdAds").ads
    name, address = slots[0].value("Name"), slots[0].value("MyAddress")
    assert insert(door, "STARTD", string("Name", name), string("MyAddress", address)) == "Updated ad"
    assert len(door.call("queryStartdAds").ads) == len(slots)
    (ad,) = ours(door)
    assert ad.value("Name") == name
    assert "Cpus" not in [item.name for item in ad]


def test_types_are_the_client_s(door: Door) -> None:
    """4.1: MyType and TargetType are not derived from the type of ad; 5.3: taken literally."""
    insert(door, "MASTER", NAME)
    (ad,) = ours(door)
    assert (ad.value("MyType"), ad.value("TargetType")) == ("", "")
    insert(door, "MASTER", NAME, expression("MyType", "Chief"), integer("TargetType", 5))
    (ad,) = ours(door)
    assert ad[:3] == [
        string("MyType", "Chief"),
        string("TargetType", "5"),
        integer("ServerTime", door.time()),
    ]


# ---------------------------------------------------------------- 4.1 insertAd: requirements and lifetimes


def test_collector_requirements(open_door: OpenDoor) -> None:
    """4.1: evaluated against the ad."""
    door = open_door(collector_requirements="Cpus > 1")
    insert(door, "STARTD", NAME, integer("Cpus", 2))
    refused(door, "STARTD-AD-TYPE", B, integer("Cpus", 1), OURS)
    refused(door, "STARTD-AD-TYPE", B, OURS)
    assert [ad.value("Name") for ad in ours(door)] == ["a"]


def test_addresses_must_agree(open_door: OpenDoor) -> None:
    """4.1: where requirements are configured, <Subsys>IpAddr and MyAddress have to agree."""
    agree = (NAME, ADDRESS, string("StartdIpAddr", "<10.0.0.1:5>"))
    differ = (NAME, ADDRESS, string("StartdIpAddr", "<10.0.0.2:9618>"))
    door = open_door(collector_requirements="TRUE")
    insert(door, "STARTD", *agree)
    refused(door, "STARTD-AD-TYPE", *differ)
    lenient = open_door()
    insert(lenient, "STARTD", *agree)
    insert(lenient, "STARTD", *differ)


def test_default_lifetime(open_door: OpenDoor) -> None:
    """4.1: CLASSAD_LIFETIME."""
    door = open_door(classad_lifetime=50)
    insert(door, "GENERIC", NAME)
    door.advance(49)
    assert len(ours(door)) == 1
    door.advance(1)
    assert ours(door) == []
    assert insert(door, "GENERIC", NAME) == "New ad inserted"


def test_own_lifetime(door: Door) -> None:
    """4.1: ClassAdLifetime; each update begins it anew."""
    for _ in range(3):
        insert(door, "GENERIC", NAME, integer("ClassAdLifetime", 20))
        door.advance(19)
    assert len(ours(door)) == 1
    door.advance(1)
    assert ours(door) == []


def test_last_heard_from(door: Door) -> None:
    """4.1: now, unless the ad already has one, from which its life then counts."""
    insert(door, "GENERIC", NAME)
    (ad,) = ours(door)
    assert ad.number("LastHeardFrom") == door.time()
    insert(door, "GENERIC", NAME, integer("LastHeardFrom", door.time() - 890))
    assert len(ours(door)) == 1
    door.advance(10)
    assert ours(door) == []


def test_making_an_ad_vanish(door: Door) -> None:
    """4.1: a tiny lifetime or an old LastHeardFrom is the only way."""
    for item in (integer("ClassAdLifetime", 0), integer("LastHeardFrom", 0), integer("ClassAdLifetime", -1)):
        insert(door, "GENERIC", NAME)
        insert(door, "GENERIC", NAME, item)
        door.advance(1)
        assert ours(door) == [], item


def test_times_that_are_none(door: Door) -> None:
    """4.1: they must not be the server's trouble."""
    values = ["9223372036854775807", "-9223372036854775808", "1e300", '"x"', "undefined"]
    for name in ("ClassAdLifetime", "LastHeardFrom"):
        for number, value in enumerate(values):
            row = string("Name", f"{name}{number}")
            insert(door, "GENERIC", row, expression(name, value))
            found = ours(door, constraint=f'Name == "{row.value}"')
            assert len(found) == (0 if value.startswith("-") else 1), (name, value)


def test_inserted_ads_survive_a_restart(door: Door) -> None:
    """Beyond 4.1."""
    insert(door, "STARTD", NAME, string("Note", "\u20ac"))
    door.restart()
    (ad,) = ours(door, "queryStartdAds")
    assert ad.value("Note") == "\u20ac"
    assert insert(door, "STARTD", NAME) == "Updated ad"


# ---------------------------------------------------------------- 4.2 queries


def test_all_ads(door: Door) -> None:
    """4.2: NULL or empty is TRUE; 1.6: no status, container `result`."""
    for kind in ("LICENSE", "STORAGE", "SUBMITTOR"):
        insert(door, kind, NAME, ADDRESS)
    for query in ALL_QUERIES:
        found = names_of(door.call(query, constraint="TRUE"))
        assert found, query
        for constraint in (None, NIL, "", "1"):
            reply = door.call(query, constraint=constraint)
            assert (reply.code, reply.message) == ("", None)
            assert names_of(reply) == found


def names_of(reply: Reply) -> list[str]:
    return sorted(f"{ad.value('MyType')} {ad.value('Name')}" for ad in reply.ads)


def test_no_ads(door: Door) -> None:
    """4.2: what does not select, and unparsable constraints: empty, without any error."""
    for constraint in ("FALSE", "0", "UNDEFINED", "ERROR", "Missing > 5", "Name", "1 +", "a b"):
        for query in ALL_QUERIES:
            assert door.call(query, constraint=constraint).ads == [], (constraint, query)


def test_empty_bytes(door: Door) -> None:
    """1.4: the totals of section 1.4."""
    assert len(door.bytes("queryStartdAds", constraint="FALSE")) == 432
    request: dict[str, Value] = {"type": "GENERIC-AD-TYPE", "ad": [NAME]}
    assert len(door.bytes("insertAd", **request)) == 474


def test_the_pool_s_own_ads(door: Door) -> None:
    """4.2: public slot ads, schedd ads, master ads; any has all tables in order."""
    assert {ad.value("MyType") for ad in door.call("queryStartdAds").ads} == {"Machine"}
    assert [ad.value("MyType") for ad in door.call("queryScheddAds").ads] == ["Scheduler"]
    assert "DaemonMaster" in {ad.value("MyType") for ad in door.call("queryMasterAds").ads}
    types = [ad.value("MyType") for ad in door.call("queryAnyAds").ads]
    order = [
        kind
        for kind in dict.fromkeys(types)
        if kind in ("Collector", "Machine", "Scheduler", "DaemonMaster", "Negotiator")
    ]
    assert order == ["Collector", "Machine", "Scheduler", "DaemonMaster", "Negotiator"]


def test_any_has_all_tables_in_order(door: Door) -> None:
    """4.2."""
    for kind in TYPES_BY_NUMBER:
        insert(door, kind, NAME, MACHINE, ADDRESS, string("Table", kind))
    order = "STORAGE CKPTSRVR LICENSE COLLECTOR STARTD SCHEDD MASTER SUBMITTOR NEGOTIATOR QUILL HAD GENERIC"
    assert [ad.value("Table") for ad in ours(door)] == order.split()


def test_submitters_are_those_with_jobs(door: Door) -> None:
    """4.2 querySubmittorAds."""
    assert door.call("querySubmittorAds").ads == []
    job = door.committed(string("Owner", "carol"))
    (ad,) = door.call("querySubmittorAds").ads
    assert ad.value("Name").startswith("carol@")
    assert job.code("removeJob", reason="", force_removal=True) == "SUCCESS"
    door.advance(600)
    assert door.call("querySubmittorAds").ads == []


def test_finding_the_schedd(door: Door) -> None:
    """1.7: by HasSOAPInterface and its address."""
    (ad,) = door.call("queryScheddAds", constraint="HasSOAPInterface=?=TRUE").ads
    for name in ("MyAddress", "ScheddIpAddr"):
        assert ad.value(name)[0] + ad.value(name)[-1] == "<>"
        assert ":" in ad.value(name)


def test_constraints(door: Door) -> None:
    """4.2: the candidate ad is the scope of unqualified and MY. references; TARGET. is dropped."""
    insert(door, "STARTD", NAME, integer("Cpus", 1))
    insert(door, "STARTD", B, integer("Cpus", 2))
    found = {
        "Cpus > 1": ["b"],
        "cpus>1": ["b"],
        "MY.Cpus > 1": ["b"],
        "TARGET.Cpus > 1": ["b"],
        'NAME == "B"': ["b"],
        "Cpus - 1": ["b"],
        "Cpus": ["a", "b"],
        "Missing > 1": [],
        "isUndefined(Missing)": ["a", "b"],
    }
    for constraint, names in found.items():
        ads = [ad for ad in door.call("queryStartdAds", constraint=constraint).ads if ad.has("Ours")]
        assert sorted(ad.value("Name") for ad in ads) == names, constraint


def test_absent_ads(open_door: OpenDoor) -> None:
    """4.2: hidden if ABSENT_REQUIREMENTS is configured, unless the constraint mentions Absent."""
    for configured, constraint, found in (
        (None, "TRUE", ["gone", "here"]),
        ("TRUE", "TRUE", ["here"]),
        ("TRUE", "Absent =?= TRUE", ["gone"]),
        ("TRUE", "absent =!= 5", ["gone", "here"]),
    ):
        door = open_door(absent_requirements=configured)
        insert(door, "STARTD", string("Name", "here"))
        insert(door, "STARTD", string("Name", "gone"), Item("Absent", "BOOLEAN-ATTR", "TRUE"))
        assert sorted(ad.value("Name") for ad in ours(door, "queryStartdAds", constraint)) == found


PRIVATE = ["ClaimId", "PairedClaimId", "Capability", "ClaimIds", "TransferKey", "ChildClaimIds"]


def test_private_attributes(door: Door) -> None:
    """4.2, 5.2: never out, whatever their case, neither of daemons nor of jobs."""
    spellings = [spelling for name in PRIVATE for spelling in (name, name.lower(), name.upper())]
    for change in (str, str.lower, str.upper):
        secrets = [string(change(name), "secret") for name in PRIVATE]
        copies = [expression(f"Copy{name}", f"MY.{name}") for name in PRIVATE]
        insert(door, "STARTD", NAME, *secrets, *copies)
        job = door.committed(*secrets)
        for query in ("queryStartdAds", "queryAnyAds"):
            text = door.bytes(query)
            assert b"secret" not in text
            for spelling in spellings:
                assert f"<name>{spelling}</name>".encode() not in text
        assert not {*spellings} & {*job.ad.names}
        assert b"secret" not in door.bytes("getJobAds")


def test_the_pool_s_own_secrets(door: Door) -> None:
    """4.2: private ads are not reachable, private attributes filtered."""
    text = door.bytes("queryAnyAds").lower()
    for name in PRIVATE:
        assert f"<name>{name.lower()}</name>".encode() not in text


def test_items_without_name(door: Door) -> None:
    """5.3: skipped."""
    items = Xml(
        "<item><type>STRING-ATTR</type><value>x</value></item>"
        "<item><name>Name</name><type>STRING-ATTR</type><value>a</value></item>"
    )
    assert door.code("insertAd", type="GENERIC-AD-TYPE", ad=items) == "SUCCESS"
    (ad,) = door.call("queryAnyAds", constraint='Name == "a"').ads
    assert "x" not in [item.value for item in ad]
    assert None not in ad.names
