"""The Spyne service `urn:birdbath:queries`: the listings of both daemons, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, get_args

from birdbath.errors import BirdbathError
from birdbath.soap import query_types, replies
from birdbath.soap.operations import AdKind, Operations
from birdbath.soap.paging import AdPage, daemon_page, history_page, job_page, job_part
from birdbath.soap.protocol import CondorSoap
from birdbath.soap.services import CONSTRAINT, operation, service
from birdbath.soap.types import Int, Text

AFTER: Final = ("after", Text)
MOST: Final = ("max", Int)
PROJECTION: Final = ("projection", query_types.Names)
KINDS: Final[dict[str, AdKind]] = {kind: kind for kind in get_args(AdKind)}


@operation("queryJobs", CONSTRAINT, AFTER, MOST, PROJECTION, returns=query_types.AdPageAndStatus)
def query_jobs(
    operations: Operations, constraint: str | None, after: str | None, most: int, projection: Sequence[str]
) -> AdPage:
    """The committed jobs that the constraint selects, at most max of them (0: 1000), after a job's id."""
    names = projection or ()
    found = operations.schedd.find_job_ads(constraint, job_part(after, most, names))
    return job_page(found, after, most, names)


@operation("queryHistory", CONSTRAINT, AFTER, MOST, PROJECTION, returns=query_types.AdPageAndStatus)
def query_history(
    operations: Operations, constraint: str | None, after: str | None, most: int, projection: Sequence[str]
) -> AdPage:
    """The jobs that have left the queue, the last that left first, likewise: those that left before job
    after.
    """
    return history_page(
        lambda before, most: operations.schedd.history(constraint, before, most),
        after,
        most,
        projection or (),
    )


@operation(
    "queryAds", ("type", Text), CONSTRAINT, AFTER, MOST, PROJECTION, returns=query_types.AdPageAndStatus
)
def query_ads(
    operations: Operations,
    kind: str | None,
    constraint: str | None,
    after: str | None,
    most: int,
    projection: Sequence[str],
) -> AdPage:
    """The daemons' ads of a type (startd, schedd, master, submittor, license, storage, any) likewise."""
    wanted = KINDS.get((kind or "any").lower())
    if wanted is None:
        raise BirdbathError(f"There is no type {(kind or '')[:40]!r}; there are {', '.join(KINDS)}")
    names = projection or ()
    return daemon_page(operations.collector.find_ads(wanted, constraint, names), after, most, names)


Queries: Final = service("Queries", query_jobs, query_history, query_ads)


class QueriesSoap(CondorSoap):
    """The same SOAP in the namespace of the queries."""

    prefix = "queries"
    declaration = f' xmlns:queries="{query_types.NAMESPACE}"'
    readers = query_types.READERS
    writers = MappingProxyType({**replies.WRITERS, **query_types.WRITERS})
