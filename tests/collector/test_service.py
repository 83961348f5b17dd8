"""insertAd and the queries (reference section 4), on a directory of ads in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from birdbath.classads import Ad, AdList, AdRecord, Constraint, Item, is_true
from birdbath.collector import Collector, CollectorSettings
from birdbath.collector.service import AD_TYPES, MAX_KEY
from birdbath.errors import BirdbathError, RequestFault
from birdbath.pool.base import AdKind
from birdbath.store import UnitOfWork, Writer

STARTD, GENERIC, SUBMITTOR, NEGOTIATOR = 0, 11, 3, 9


class FakeDirectory:
    """`AdDirectory` on a dictionary."""

    def __init__(self) -> None:
        self.ads: dict[tuple[AdKind, str], tuple[Ad, float]] = {}

    def listing(self, kinds: Sequence[AdKind], constraint: Constraint, now: float) -> AdList:
        return self.query(kinds, constraint, now)

    def query(
        self, kinds: Sequence[AdKind], constraint: Constraint, now: float, names: Sequence[str] = ()
    ) -> AdList:
        evaluate = constraint.evaluator()
        found = [
            AdRecord.of(ad)
            for kind in kinds
            for (its_kind, _), (ad, expires) in self.ads.items()
            if its_kind is kind and expires > now
        ]
        return AdList([r for r in found if constraint.selects_all or is_true(evaluate(r.parsed))], int(now))

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float) -> bool:
        new = (kind, key) not in self.ads
        self.ads[kind, key] = ad, expires_at
        return new

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None = None) -> int:
        doomed = [k for k in self.ads if k[0] is kind and key in (None, k[1])]
        for one in doomed:
            del self.ads[one]
        return len(doomed)


class House:
    """A Collector at the time `now`."""

    def __init__(self, writer: Callable[[Callable[[], float]], Writer]) -> None:
        self.now = 1_800_000_000.0
        self.directory = FakeDirectory()
        self.settings = CollectorSettings()
        self._writer = writer(lambda: self.now)

    def configure(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    def insert(self, ad_type: int, *items: Item) -> str:
        return self._writer.write_now(
            lambda unit: Collector(self.settings, self.directory, unit, self.now).insert_ad(ad_type, items)
        )

    @property
    def collector(self) -> Collector:
        return Collector(self.settings, self.directory, None, self.now)

    def names(self, query: str, constraint: str | None = None) -> list[str]:
        listing = self.collector.query_ads(query, constraint)
        return [record.ad().string("Name") for record in listing.records]

    def inserted(self, *items: Item) -> Ad:
        """The generic ad of this name as the directory got it."""
        self.directory.ads.clear()
        self.insert(GENERIC, ("Name", "s", "a"), *items)
        ((ad, _),) = self.directory.ads.values()
        return ad

    def lifetime(self, *items: Item) -> float:
        """How long such an ad has to live."""
        self.inserted(*items)
        ((_, expires),) = self.directory.ads.values()
        return expires - self.now


@pytest.fixture
def house(writer: Callable[[Callable[[], float]], Writer]) -> House:
    return House(writer)


def named(name: str, *items: Item) -> list[Item]:
    return [("Name", "s", name), ("Machine", "s", name), ("MyAddress", "s", "<10.0.0.1:9618>"), *items]


# ---------------------------------------------------------------- insertAd


def test_types_are_numbered_as_in_the_contract() -> None:
    names = "startd quill schedd submittor license master ckptsrvr collector storage negotiator had generic"
    assert [kind.value for kind in AD_TYPES] == names.split()
    assert set(AD_TYPES) == set(AdKind)


@pytest.mark.parametrize("ad_type", range(12))
def test_new_and_updated(house: House, ad_type: int) -> None:
    assert house.insert(ad_type, *named("a")) == "New ad inserted"
    assert house.insert(ad_type, *named("b")) == "New ad inserted"
    again = house.insert(ad_type, *named("b", ("Extra", "n", "1")))
    assert again == ("New ad inserted" if ad_type == NEGOTIATOR else "Updated ad")
    assert all(kind is AD_TYPES[ad_type] for kind, _ in house.directory.ads)


def test_there_is_only_one_negotiator(house: House) -> None:
    house.insert(NEGOTIATOR, *named("a"))
    house.insert(NEGOTIATOR, *named("b"))
    assert [ad.get("Name") for ad, _ in house.directory.ads.values()] == ["b"]


def test_an_ad_is_replaced_as_a_whole(house: House) -> None:
    house.insert(GENERIC, ("Name", "s", "a"), ("Old", "n", "1"))
    house.insert(GENERIC, ("Name", "s", "a"), ("New", "n", "2"))
    ((ad, _),) = house.directory.ads.values()
    assert "Old" not in ad
    assert ad.get("New") == 2


@pytest.mark.parametrize("ad_type", [-1, 12, 99, 2147483647])
def test_unknown_types(house: House, ad_type: int) -> None:
    with pytest.raises(BirdbathError, match=r"^Unknown type$") as refused:
        house.insert(ad_type, *named("a"))
    assert refused.value.code.name == "FAIL"


@pytest.mark.parametrize("ad_type", range(12))
def test_ads_without_a_key(house: House, ad_type: int) -> None:
    with pytest.raises(BirdbathError):
        house.insert(ad_type, ("Cpus", "n", "1"))
    assert house.directory.ads == {}


def test_an_identity_may_be_long_but_not_endless(house: House) -> None:
    house.insert(STARTD, ("Name", "s", "a" * (MAX_KEY - 1)))
    with pytest.raises(BirdbathError, match="identity"):
        house.insert(STARTD, ("Name", "s", "a" * MAX_KEY))


@pytest.mark.parametrize(
    ("item", "stored"),
    [
        (("A", "s", 'say "hi" \\'), ("A", "s", 'say "hi" \\')),
        (("A", "s", "two\nlines"), ("A", "s", "two\nlines")),
        (("A", "n", "TRUE"), ("A", "b", "TRUE")),
        (("A", "x", "Cpus>1"), ("A", "x", "Cpus > 1")),
        (("A", "x", "{1,[b=2]}"), ("A", "x", "{ 1,[ b = 2 ] }")),
        (("A", "x", None), ("A", "u", "undefined")),
        (("MyType", "x", "Thing"), ("MyType", "s", "Thing")),
        (("TargetType", "n", "5"), ("TargetType", "s", "5")),
        (("ServerTime", "n", "5"), ("ServerTime", "n", "5")),
    ],
    ids=repr,
)
def test_incoming_items(house: House, item: Item, stored: tuple[str, str, str]) -> None:
    """5.3, with strings escaped."""
    assert house.inserted(item).attribute(stored[0]) == stored


@pytest.mark.parametrize("item", [("A", "x", "1 +"), ("A b", "n", "1"), ("", "n", "1"), (None, "n", "1")])
def test_items_that_do_not_parse_are_dropped(house: House, item: Item) -> None:
    assert {name for name, _, _ in house.inserted(item)} == {"Name", "LastHeardFrom"}


def test_later_duplicates_replace_earlier_ones(house: House) -> None:
    assert house.inserted(("A", "n", "1"), ("a", "n", "2")).attribute("A") == ("A", "n", "2")


@pytest.mark.parametrize(
    ("items", "seconds"),
    [
        ([], 900),
        ([("ClassAdLifetime", "n", "20")], 20),
        ([("classadlifetime", "f", "0.5")], 0.5),
        ([("ClassAdLifetime", "s", "20")], 900),
        ([("ClassAdLifetime", "x", "10 * 2")], 900),
        ([("ClassAdLifetime", "n", "0")], 0),
        ([("ClassAdLifetime", "n", "-5")], -5),
        ([("LastHeardFrom", "n", "1799999000")], -100),
        ([("LastHeardFrom", "n", "1799999990"), ("ClassAdLifetime", "n", "20")], 10),
        ([("LastHeardFrom", "s", "long ago")], 900),
    ],
    ids=repr,
)
def test_lifetimes(house: House, items: list[Item], seconds: float) -> None:
    assert house.lifetime(*items) == seconds


@pytest.mark.parametrize("moment", ["9223372036854775807", "-9223372036854775808", "1e300"])
def test_times_beyond_all_times(house: House, moment: str) -> None:
    for name in ("LastHeardFrom", "ClassAdLifetime"):
        house.inserted((name, "n", moment))
        ((_, expires),) = house.directory.ads.values()
        assert type(expires) is float
        assert (expires > house.now) is not moment.startswith("-")


def test_last_heard_from_is_now_unless_it_is_given(house: House) -> None:
    assert house.inserted().get("LastHeardFrom") == int(house.now)
    assert house.inserted(("lastheardfrom", "n", "5")).get("LastHeardFrom") == 5


def test_collector_requirements(house: House) -> None:
    house.configure(collector_requirements='Cpus > 1 && regexp("^n", Name)')
    house.insert(GENERIC, ("Name", "s", "n1"), ("Cpus", "n", "2"))
    for name, cpus in (("n2", "1"), ("m1", "2"), ("n3", "undefined"), ("n4", '"two"')):
        with pytest.raises(BirdbathError, match="COLLECTOR_REQUIREMENTS"):
            house.insert(GENERIC, ("Name", "s", name), ("Cpus", "n", cpus))
    assert house.names("any") == ["n1"]


def test_requirements_that_are_none_admit_nothing(house: House) -> None:
    house.configure(collector_requirements="1 +")
    with pytest.raises(BirdbathError):
        house.insert(GENERIC, ("Name", "s", "a"))


@pytest.mark.parametrize(
    ("ad_type", "own", "address", "agree"),
    [
        (STARTD, "StartdIpAddr", "<10.0.0.1:5>", True),
        (STARTD, "StartdIpAddr", "<10.0.0.2:9618>", False),
        (STARTD, "StartdIpAddr", "nonsense", False),
        (STARTD, "ScheddIpAddr", "<10.0.0.2:9618>", True),
        (SUBMITTOR, "ScheddIpAddr", "<10.0.0.2:9618>", False),
        (6, "CkptServerIpAddr", "<10.0.0.2:9618>", False),
        (5, "MasterIpAddr", "<10.0.0.2:9618>", False),
    ],
)
def test_addresses_must_agree_where_ads_are_filtered(
    house: House, ad_type: int, own: str, address: str, agree: bool
) -> None:
    ad = named("a", (own, "s", address))
    house.insert(ad_type, *ad)
    house.configure(collector_requirements="TRUE")
    if agree:
        house.insert(ad_type, *ad)
        return
    with pytest.raises(BirdbathError, match="do not agree"):
        house.insert(ad_type, *ad)


# ---------------------------------------------------------------- queries


@pytest.fixture
def full_house(house: House) -> House:
    """One ad in each table, named after it."""
    for number, kind in enumerate(AD_TYPES):
        house.insert(number, *named(kind.value))
    return house


@pytest.mark.parametrize("query", ["startd", "schedd", "master", "submittor", "license", "storage"])
def test_each_query_has_its_table(full_house: House, query: str) -> None:
    assert full_house.names(query) == [query]


def test_any_has_all_tables_in_order(full_house: House) -> None:
    order = "storage ckptsrvr license collector startd schedd master submittor negotiator quill had generic"
    assert full_house.names("any") == order.split()


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        (None, ["a", "b"]),
        ("", ["a", "b"]),
        ("Cpus > 1", ["b"]),
        ("MY.cpus > 1", ["b"]),
        ("Cpus", ["a", "b"]),
        ("Cpus - 1", ["b"]),
        ("Missing > 1", []),
        ('Name + 1 == "x"', []),
        ('"TRUE"', []),
        ("Cpus >", []),
    ],
)
def test_constraints(house: House, constraint: str | None, names: list[str]) -> None:
    for name, cpus in (("a", "1"), ("b", "2")):
        house.insert(GENERIC, ("Name", "s", name), ("Cpus", "n", cpus))
    assert house.names("any", constraint) == names


def test_a_bad_constraint_with_strict_checks(house: House) -> None:
    house.configure(strict=True)
    with pytest.raises(RequestFault, match=r"^Bad constraint"):
        house.names("startd", "Cpus >")


def test_server_time_is_now(house: House) -> None:
    assert house.collector.query_ads("any", None).server_time == int(house.now)
    assert house.collector.query_ads("any", "bad >").server_time == int(house.now)


def test_ads_expire(house: House) -> None:
    house.inserted(("ClassAdLifetime", "n", "20"))
    house.now += 19.9
    assert house.names("any") == ["a"]
    house.now += 0.1
    assert house.names("any") == []


@pytest.mark.parametrize(
    ("configured", "constraint", "names"),
    [
        (None, None, ["here", "gone"]),
        ("TRUE", None, ["here"]),
        ("TRUE", 'Name != "x"', ["here"]),
        ("TRUE", "Absent =?= true", ["gone"]),
        ("TRUE", "absent =?= true || TRUE", ["here", "gone"]),
    ],
)
def test_absent_ads(house: House, configured: str | None, constraint: str | None, names: list[str]) -> None:
    """4.2: hidden where ABSENT_REQUIREMENTS is set, unless the constraint mentions them."""
    house.configure(absent_requirements=configured)
    house.insert(STARTD, *named("here", ("Absent", "b", "FALSE")))
    house.insert(STARTD, *named("gone", ("Absent", "b", "TRUE")))
    assert house.names("startd", constraint) == names


def test_versions(house: House) -> None:
    assert house.collector.version_string() == house.settings.version_string
    assert house.collector.platform_string() == house.settings.platform_string
