"""The Collector: the contract's operations (reference section 4), one method each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from birdbath.classads import Ad, AdList, Constraint, Item, ad_from_items, is_true
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.pool.base import AdDirectory, AdKind
from birdbath.pool.identity import host_of, identity_key
from birdbath.pool.queries import client_constraint
from birdbath.store.unit_of_work import UnitOfWork

AD_TYPES = (
    AdKind.STARTD,
    AdKind.QUILL,
    AdKind.SCHEDD,
    AdKind.SUBMITTOR,
    AdKind.LICENSE,
    AdKind.MASTER,
    AdKind.CKPTSRVR,
    AdKind.COLLECTOR,
    AdKind.STORAGE,
    AdKind.NEGOTIATOR,
    AdKind.HAD,
    AdKind.GENERIC,
)
"""The contract's ClassAdType, by its number (reference section 2.1)."""

_QUERIES: dict[str, Sequence[AdKind]] = {
    **{kind.value: (kind,) for kind in (AdKind.STARTD, AdKind.SCHEDD, AdKind.MASTER, AdKind.SUBMITTOR)},
    **{kind.value: (kind,) for kind in (AdKind.LICENSE, AdKind.STORAGE)},
    "any": tuple(AdKind),
}


_ADDRESS_OF = {AdKind.SUBMITTOR: "ScheddIpAddr", AdKind.CKPTSRVR: "CkptServerIpAddr"}

MAX_KEY = 1024


@dataclass(frozen=True)
class CollectorSettings:
    """The Collector's settings, named after HTCondor's configuration (reference section 6.4)."""

    strict: bool = False
    max_query_seconds: float = 0.0
    max_reply_bytes: int = 0
    classad_lifetime: int = 900
    collector_requirements: str | None = None
    absent_requirements: str | None = None
    version_string: str = "$CondorVersion: 8.4.12 $"
    platform_string: str = "$CondorPlatform: x86_64_Linux $"


class AdRefused(BirdbathError):
    """The inserted ad cannot be taken."""


class Collector:
    """The Collector as one call sees it; a query has no unit of work."""

    def __init__(
        self, settings: CollectorSettings, directory: AdDirectory, unit: UnitOfWork | None, now: float
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._unit = unit
        self._now = now

    def insert_ad(self, ad_type: int, items: Sequence[Item]) -> str:
        """Insert an ad, or replace the one with the same identity; the status message says which.

        It lives for its ClassAdLifetime, else CLASSAD_LIFETIME, counted from its LastHeardFrom, which is now
        unless the ad has one. Raises AdRefused for an unknown type, a missing key, or an ad that
        COLLECTOR_REQUIREMENTS refuses.
        """
        if not 0 <= ad_type < len(AD_TYPES):
            raise AdRefused("Unknown type")
        kind = AD_TYPES[ad_type]
        ad = ad_from_items(items, "drop")
        key = identity_key(kind, ad)
        if len(key) > MAX_KEY:
            raise AdRefused(f"The ad's identity is longer than {MAX_KEY} characters")
        self._check(kind, ad)
        if "LastHeardFrom" not in ad:
            ad.set("LastHeardFrom", int(self._now))
        assert self._unit is not None
        if kind is AdKind.NEGOTIATOR:
            self._directory.invalidate(self._unit, kind)
        new = self._directory.insert(self._unit, kind, key, ad, self._expiry(ad))
        return "New ad inserted" if new else "Updated ad"

    def _expiry(self, ad: Ad) -> float:
        heard, lifetime = ad.get("LastHeardFrom"), ad.get("ClassAdLifetime")
        heard = heard if isinstance(heard, int | float) else self._now
        lifetime = lifetime if isinstance(lifetime, int | float) else self._settings.classad_lifetime
        return float(heard) + float(lifetime)

    def query_ads(self, query: str, constraint: str | None) -> AdList:
        """The ads of a table, or of all tables in order, that the constraint selects; all when it is empty.

        With ABSENT_REQUIREMENTS configured, ads with Absent = TRUE are hidden unless the constraint mentions
        Absent.
        """
        if self._settings.absent_requirements:
            return self.find_ads(query, constraint)
        parsed = client_constraint(constraint, self._settings.strict, self._settings.max_query_seconds)
        if parsed is None:
            return AdList([], int(self._now))
        listing = self._directory.listing(_QUERIES[query], parsed, self._now)
        return replace(listing, most_bytes=self._settings.max_reply_bytes)

    def find_ads(self, query: str, constraint: str | None, names: Sequence[str] = ()) -> AdList:
        """What `query_ads` answers as records; with `names`, at least these attributes and those that tell
        one ad from another.
        """
        parsed = client_constraint(constraint, self._settings.strict, self._settings.max_query_seconds)
        if parsed is None:
            return AdList([], int(self._now))
        hides = bool(self._settings.absent_requirements) and "absent" not in parsed.text.lower()
        wanted = [*names, "Absent"] if names and hides else names
        listing = self._directory.query(_QUERIES[query], parsed, self._now, wanted)
        listing = replace(listing, most_bytes=self._settings.max_reply_bytes)
        if not hides:
            return listing
        present = [record for record in listing.records if record.parsed.get("Absent") is not True]
        return replace(listing, records=present)

    def version_string(self) -> str:
        """`$CondorVersion: ... $`"""
        return self._settings.version_string

    def platform_string(self) -> str:
        """`$CondorPlatform: ... $`"""
        return self._settings.platform_string

    def _check(self, kind: AdKind, ad: Ad) -> None:
        """Only who filters ads by their address needs to know that both addresses in an ad are the same."""
        requirements = self._settings.collector_requirements
        if not requirements:
            return
        if not _satisfies(ad, requirements):
            raise AdRefused("COLLECTOR_REQUIREMENTS refuses the ad")
        own, general = ad.string(_ADDRESS_OF.get(kind, f"{kind.value}IpAddr")), ad.string("MyAddress")
        if own and general and (host_of(own) or own) != (host_of(general) or general):
            raise AdRefused("MyAddress and the daemon's own address do not agree")


def _satisfies(ad: Ad, requirements: str) -> bool:
    try:
        constraint = Constraint(requirements)
        return constraint.affords(ad.costs()) and is_true(constraint.evaluator()(ad.compiled()))
    except InvalidAd:
        return False
