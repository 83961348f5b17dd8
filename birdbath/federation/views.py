"""How the pools' ads are shown in the federation, and how constraints on them reach the pools.

Each ad gets PoolName, the name of its pool. In a job's ad ClusterId is the federation's id of the cluster,
and PoolClusterId what the pool calls it; DAGManJobId, which names a cluster too, is translated likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from birdbath.classads import Ad, AdList, AdMemory, AdRecord, Constraint
from birdbath.classads.syntax import quote
from birdbath.federation.ids import shown_id, split
from birdbath.federation.journal import Place

POOL: Final = "PoolName"
POOL_CLUSTER: Final = "PoolClusterId"
_IDS: Final = frozenset({"clusterid", "poolclusterid", "dagmanjobid"})


class Clusters:
    """Which cluster is which, both ways."""

    def __init__(self, numbers: Mapping[str, int], places: Mapping[int, Place]) -> None:
        self._numbers = dict(numbers)
        self._names = {number: name for name, number in numbers.items()}
        self._places = dict(places)
        self._own = {(place.pool, place.cluster): own for own, place in places.items()}

    def add(self, pool: str, placed: Mapping[int, int]) -> None:
        """From now on the clusters `placed`, by the federation's ids, are in `pool` under theirs there."""
        for own, theirs in placed.items():
            self._places[own] = Place(pool, theirs)
            self._own[pool, theirs] = own

    def remove(self, placed: Mapping[int, int]) -> None:
        """Forget clusters that came to nothing."""
        for own in placed:
            if (place := self._places.pop(own, None)) is not None:
                self._own.pop((place.pool, place.cluster), None)

    def place(self, cluster: int) -> Place | None:
        """Where the federation's cluster is; None when none of the pools has it."""
        theirs, number = split(cluster)
        if number == 0 or cluster <= 0:
            own = self._places.get(cluster)
            return None if own is None or own.pool not in self._numbers else own
        name = self._names.get(number)
        if name is None or theirs == 0 or (name, theirs) in self._own:
            return None
        return Place(name, theirs)

    def shown(self, pool: str, cluster: int) -> int:
        """What a pool's cluster is called in the federation."""
        own = self._own.get((pool, cluster))
        return shown_id(cluster, self._numbers[pool]) if own is None else own


class Views:
    """Shows the ads of pools."""

    def __init__(self, clusters: Clusters, memory: AdMemory) -> None:
        self._clusters = clusters
        self._memory = memory

    def jobs(self, pool: str, records: Sequence[AdRecord]) -> list[AdRecord]:
        """The jobs of a pool as the federation shows them."""
        return [self._job(pool, record) for record in records]

    def machines(self, pool: str, records: Sequence[AdRecord]) -> list[AdRecord]:
        """The daemons' ads of a pool likewise."""
        return [self._shown(_named(record.ad(), pool)) for record in records]

    def _job(self, pool: str, record: AdRecord) -> AdRecord:
        ad = _named(record.ad(), pool)
        cluster, proc = ad.integer("ClusterId"), ad.integer("ProcId")
        shown = self._clusters.shown(pool, cluster)
        ad.set("ClusterId", shown)
        ad.set(POOL_CLUSTER, cluster)
        if (dag := ad.integer("DAGManJobId")) > 0:
            ad.set("DAGManJobId", self._clusters.shown(pool, dag))
        return self._shown(ad, (shown, proc))

    def _shown(self, ad: Ad, key: tuple[int, int] = (0, 0)) -> AdRecord:
        return AdRecord(ad.to_json(), self._memory, key)


class Asked:
    """A client's constraint on ads of the federation, as the pools are asked.

    What only mentions the pool's name is evaluated by the pools. What mentions ids, or may do so in a text
    that it evaluates, is evaluated here, on the ads as they are shown; a pool is only asked for a cluster if
    the constraint names one.
    """

    def __init__(self, constraint: Constraint, clusters: Clusters) -> None:
        self._constraint = constraint
        self._clusters = clusters
        names: set[str] = set()
        constraint.rewritten(lambda name: names.add(name.lower()))
        self._is_here = bool(names & _IDS) or "eval" in constraint.text.lower()
        pinned = constraint.pinned("clusterid").get("clusterid") if self._is_here else None
        self._pinned = pinned if isinstance(pinned, int) else None

    def of(self, pool: str) -> str | None:
        """What to ask a pool for; None for nothing."""
        if self._pinned is not None:
            place = self._clusters.place(self._pinned)
            return None if place is None or place.pool != pool else f"ClusterId == {place.cluster}"
        if self._is_here or self._constraint.selects_all:
            return ""
        name = quote(pool)
        return self._constraint.rewritten(lambda ref: name if ref.lower() == POOL.lower() else None)

    def selected(self, shown: list[AdRecord], now: float) -> list[AdRecord]:
        """Those of the ads, as they are shown, that the constraint selects."""
        return self._constraint.select(shown, now) if self._is_here else shown


def merged(listings: Sequence[AdList], missing: tuple[str, ...], now: float) -> AdList:
    """One listing of all; ServerTime is the latest of the pools', else `now`. `missing` are pools whose ads
    are not among them.
    """
    records = [record for listing in listings for record in listing.records]
    time = max((listing.server_time for listing in listings), default=int(now))
    most = max((listing.most_bytes for listing in listings), default=0)
    return AdList(records, time, most, missing)


def _named(ad: Ad, pool: str) -> Ad:
    ad.set(POOL, pool)
    return ad
