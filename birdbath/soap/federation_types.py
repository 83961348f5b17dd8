"""The types of the service `urn:birdbath:federation`, in the original style; how they are written."""

from __future__ import annotations

from typing import Any, Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Boolean, ComplexModel, Double, Integer32, Unicode

from birdbath.classads.elements import escape
from birdbath.pool.suitability import Recommendation, Suitability
from birdbath.soap import types
from birdbath.soap.reading import Reader
from birdbath.soap.replies import Outcome, Writer, status_text
from birdbath.soap.types import many, optional, present, required

NAMESPACE: Final = "urn:birdbath:federation"

assert spyne_compat.SIX_MOVES

_COMMON: Final = types.common_types(NAMESPACE)
_, _, Status, _, ClassAdStruct = _COMMON


class PoolSuitability(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("pool", present(Unicode)),
        ("allowed", required(Boolean)),
        ("answered", required(Boolean)),
        ("machines", required(Integer32)),
        ("matching", required(Integer32)),
        ("free", required(Integer32)),
        ("rank", required(Double)),
        ("why", present(Unicode)),
    )


class PoolSuitabilityArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(PoolSuitability)),)


class RecommendationAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("status", required(Status)),
        ("pool", optional(Unicode)),
        ("why", optional(Unicode)),
        ("pools", optional(PoolSuitabilityArray)),
    )


TYPES: Final[tuple[types.SpyneType, ...]] = (
    *_COMMON,
    PoolSuitability,
    PoolSuitabilityArray,
    RecommendationAndStatus,
)


def recommendation_and_status(outcome: Outcome) -> list[bytes]:
    """RecommendationAndStatus: after a failure there is only the status."""
    found: Recommendation | None = outcome.value
    status = f"<status>{status_text(outcome)}</status>"
    if found is None:
        return [status.encode()]
    pools = "".join(_suitability(pool) for pool in found.pools)
    return [
        f"{status}<pool>{escape(found.pool)}</pool><why>{escape(found.why)}</why>"
        f"<pools>{pools}</pools>".encode()
    ]


def _suitability(pool: Suitability) -> str:
    return (
        f"<item><pool>{escape(pool.pool)}</pool><allowed>{_flag(pool.allowed)}</allowed>"
        f"<answered>{_flag(pool.answered)}</answered><machines>{pool.machines}</machines>"
        f"<matching>{pool.matching}</matching><free>{pool.free}</free><rank>{pool.rank!r}</rank>"
        f"<why>{escape(pool.why)}</why></item>"
    )


def _flag(value: bool) -> str:
    return "true" if value else "false"


WRITERS: Final[dict[str, Writer]] = {"RecommendationAndStatus": recommendation_and_status}
READERS: Final[dict[str, tuple[Reader, Any]]] = {}
