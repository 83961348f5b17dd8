"""What is asked of the collector, and of the daemons about themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import htcondor2

from birdbath.classads import Ad
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.calls.link import DONE_WITHIN, LOOK_AGAIN, Link, told
from birdbath.pool.htcondor.connection import PoolRefused
from birdbath.pool.htcondor.printing import joined, printed


class DaemonCalls(Link):
    """The calls about daemons."""

    def query_ads(self, kind: str, constraint: str, projection: Sequence[str] = ()) -> list[str]:
        """Ads of one of the AdTypes, as JSON."""
        ads = self._ads(kind, constraint, projection)
        return [self.reader.daemon(printed(ad)) for ad in ads]

    def list_ads(
        self, kind: str, constraint: str, most: int, server_time: int
    ) -> tuple[int, bytes] | list[str | None]:
        """The same as elements, and how many; of more than `most`, their names."""
        found = [ad.get("Name") for ad in self._ads(kind, constraint, ["Name"])]
        if len(found) > most:
            return found
        ads = self._ads(kind, constraint)
        return len(ads), joined(ads, self.reader.daemon_element, server_time)

    def list_named(self, kind: str, constraint: str, server_time: int) -> tuple[int, bytes]:
        """The same, of a constraint that selects few enough."""
        ads = self._ads(kind, constraint)
        return len(ads), joined(ads, self.reader.daemon_element, server_time)

    def advertise(self, ad: str, command: str) -> None:
        """Send an ad, JSON as `classads.Ad` keeps it, with one of the collector's commands."""
        told(self.collector().advertise, [Ad.from_json(ad).compiled()], command)

    def insert_ad(self, ad: str, command: str, kind: str, constraint: str) -> None:
        """Send an ad and wait until the collector has it, which does not answer: the ad is there when the
        constraint selects one of that AdType.
        """
        self.advertise(ad, command)
        collector, ad_type = self.collector(), getattr(htcondor2.AdType, kind)
        end = time.monotonic() + DONE_WITHIN
        while not told(collector.query, ad_type, constraint, [names.KEY]):
            if time.monotonic() > end:
                raise PoolRefused("The collector did not take the ad")
            time.sleep(LOOK_AGAIN)

    def _ads(self, kind: str, constraint: str, projection: Sequence[str] = ()) -> Any:
        return told(self.collector().query, getattr(htcondor2.AdType, kind), constraint, list(projection))

    def software(self) -> tuple[str, str]:
        """CondorVersion and CondorPlatform of the schedd, as it told the collector."""
        self.connected()
        return str(self.address.get("CondorVersion", "")), str(self.address.get("CondorPlatform", ""))

    def domains(self) -> tuple[str, str]:
        """TRUST_DOMAIN and UID_DOMAIN of the schedd."""
        self.connected()
        known = told(htcondor2.RemoteParam, self.address)
        return str(known.get("TRUST_DOMAIN") or ""), str(known.get("UID_DOMAIN") or "")

    def ping(self) -> str:
        """As whom the schedd knows the gateway."""
        self.connected()
        return str(told(htcondor2.ping, self.address, "WRITE").get("MyRemoteUserName", ""))

    def standing(self) -> tuple[str, str]:
        """The same, and the schedd's QUEUE_SUPER_USERS."""
        gateway = self.ping()
        known = told(htcondor2.RemoteParam, self.address)
        return gateway, str(known.get("QUEUE_SUPER_USERS") or "")
