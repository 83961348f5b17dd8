"""Which of several pools suits a job: the service `urn:birdbath:federation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from birdbath.client.transaction import wire_ad
from birdbath.client.values import to_items
from birdbath.client.wire import Daemon, Reply
from birdbath.values import AdValue


@dataclass(frozen=True)
class PoolSuitability:
    """How one pool suits: whether the rules allow it and it answered, its machines, those that match, those
    of them that are free, the best Rank, and all that in words.
    """

    pool: str
    allowed: bool
    answered: bool
    machines: int
    matching: int
    free: int
    rank: float
    why: str


@dataclass(frozen=True)
class Recommendation:
    """The pool that a submission would go to now, why, and how each pool suits."""

    pool: str
    why: str
    pools: list[PoolSuitability]


class Federation(Daemon):
    """The federation at `url`, for example `http://127.0.0.1:8080/pools/federation/`; see `Schedd` for the
    rest.
    """

    _service = "birdbathFederation"

    def recommend(self, attributes: Mapping[str, AdValue]) -> Recommendation:
        """The pool that a job with these attributes would go to; nothing is submitted. Raises
        `OperationFailed` when there is none, or one pool only.
        """
        ad = wire_ad(to_items(attributes))
        reply = self._endpoint.call("recommend", repeatable=True, jobAd=ad)
        pools = [_suitability(item) for item in reply.child("pools").items()]
        return Recommendation(reply.text("pool") or "", reply.text("why") or "", pools)


def _suitability(item: Reply) -> PoolSuitability:
    return PoolSuitability(
        item.text("pool") or "",
        item.text("allowed") == "True",
        item.text("answered") == "True",
        item.integer("machines"),
        item.integer("matching"),
        item.integer("free"),
        float(item.text("rank") or 0.0),
        item.text("why") or "",
    )
