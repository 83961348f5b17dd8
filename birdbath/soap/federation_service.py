"""The Spyne service `urn:birdbath:federation`: which of several pools suits a job."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from birdbath.classads import Item
from birdbath.pool.suitability import Recommendation
from birdbath.soap import federation_types, replies, types
from birdbath.soap.operations import Operations
from birdbath.soap.protocol import CondorSoap
from birdbath.soap.services import operation, service

JOB_AD: Final = ("jobAd", types.optional(federation_types.ClassAdStruct))


@operation("recommend", JOB_AD, returns=federation_types.RecommendationAndStatus)
def recommend(operations: Operations, ad: list[Item] | None) -> Recommendation:
    """The pool that a submission of this job would go to now, and why; nothing is submitted."""
    return operations.federation.recommend(ad)


Federation: Final = service("Federation", recommend)


class FederationSoap(CondorSoap):
    """The same SOAP in the namespace of the federation."""

    prefix = "federation"
    declaration = f' xmlns:federation="{federation_types.NAMESPACE}"'
    readers = federation_types.READERS
    writers = MappingProxyType({**replies.WRITERS, **federation_types.WRITERS})
