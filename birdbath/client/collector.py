"""The Collector of a pool: the ads of its machines and daemons (reference section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from birdbath.client.adstream import AdStream
from birdbath.client.transaction import wire_ad
from birdbath.client.values import to_items
from birdbath.client.wire import Daemon
from birdbath.values import AdValue


class AdType(StrEnum):
    """What an inserted ad describes (ClassAdType of the contract)."""

    STARTD = "STARTD-AD-TYPE"
    QUILL = "QUILL-AD-TYPE"
    SCHEDD = "SCHEDD-AD-TYPE"
    SUBMITTER = "SUBMITTOR-AD-TYPE"
    LICENSE = "LICENSE-AD-TYPE"
    MASTER = "MASTER-AD-TYPE"
    CKPTSRVR = "CKPTSRVR-AD-TYPE"
    COLLECTOR = "COLLECTOR-AD-TYPE"
    STORAGE = "STORAGE-AD-TYPE"
    NEGOTIATOR = "NEGOTIATOR-AD-TYPE"
    HAD = "HAD-AD-TYPE"
    GENERIC = "GENERIC-AD-TYPE"


class Collector(Daemon):
    """A Collector at `url`; arguments and errors as for `Schedd`.

    The queries return the ads for which `constraint` is true (all without one), read while they arrive. A
    constraint that cannot be parsed gives none, unless the server is strict.
    """

    _service = "condorCollector"

    def startd_ads(self, constraint: str | None = None) -> AdStream:
        """The slots of the machines."""
        return self._query("queryStartdAds", constraint)

    def schedd_ads(self, constraint: str | None = None) -> AdStream:
        """The Schedds."""
        return self._query("queryScheddAds", constraint)

    def master_ads(self, constraint: str | None = None) -> AdStream:
        """The Masters, one a machine."""
        return self._query("queryMasterAds", constraint)

    def submitter_ads(self, constraint: str | None = None) -> AdStream:
        """The users with jobs, for each Schedd."""
        return self._query("querySubmittorAds", constraint)

    def license_ads(self, constraint: str | None = None) -> AdStream:
        """License ads."""
        return self._query("queryLicenseAds", constraint)

    def storage_ads(self, constraint: str | None = None) -> AdStream:
        """Storage ads."""
        return self._query("queryStorageAds", constraint)

    def any_ads(self, constraint: str | None = None) -> AdStream:
        """Ads of every kind, also those that have no query of their own: say so with `MyType` in the
        constraint.
        """
        return self._query("queryAnyAds", constraint)

    def insert_ad(self, ad_type: AdType, attributes: Mapping[str, AdValue]) -> str:
        """Add an ad, or replace the one with the same identity; returns what the server says it did.

        The ad lives for its `ClassAdLifetime` seconds, or the server's default. `MyType` and `TargetType` are
        not derived from `ad_type`. Raises `OperationFailed` when the ad lacks what identifies it.
        """
        reply = self._endpoint.call("insertAd", type=ad_type.value, ad=wire_ad(to_items(attributes)))
        return reply.text("message") or ""

    def version(self) -> str:
        """For example `$CondorVersion: 8.4.12 ... $`."""
        return self._endpoint.call("getVersionString", repeatable=True).text("message") or ""

    def platform(self) -> str:
        """For example `$CondorPlatform: x86_64_... $`."""
        return self._endpoint.call("getPlatformString", repeatable=True).text("message") or ""

    def _query(self, operation: str, constraint: str | None) -> AdStream:
        return AdStream(self._endpoint.stream(operation, constraint=constraint), self.url)
