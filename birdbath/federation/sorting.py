"""Where a call on the federation belongs: said by its operation and by the cluster that it names."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from birdbath.errors import BirdbathError
from birdbath.federation.journal import Place
from birdbath.federation.views import Clusters
from birdbath.pool.base import JobId
from birdbath.schedd import Transaction
from birdbath.soap.operations import (
    CollectorOperations,
    EventOperations,
    FederationOperations,
    ScheddOperations,
)

ACTIONS: Final = frozenset({"hold_job", "release_job", "remove_job", "remove_cluster", "close_spool"})
LISTINGS: Final = frozenset({"get_job_ads", "find_job_ads", "query_ads", "find_ads"})
READS: Final = frozenset({"get_job_ad", "get_file", "list_spool"})


class Where(enum.Enum):
    """Who does it: the federation itself, all pools, one pool, or one pool when the transaction commits."""

    OWN = enum.auto()
    ALL = enum.auto()
    POOL = enum.auto()
    STAGED = enum.auto()
    COMMIT = enum.auto()
    RESCHEDULE = enum.auto()
    RECOMMEND = enum.auto()


class Belongs(Exception):
    """Where the call belongs; nothing of it was done."""

    def __init__(
        self,
        where: Where,
        name: str,
        arguments: tuple[Any, ...],
        place: Place | None = None,
    ) -> None:
        super().__init__("to be run where it belongs")
        self.where = where
        self.name = name
        self.arguments = arguments
        self.place = place

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that the call carries, if any."""
        first = self.arguments[0] if self.arguments else None
        return first if isinstance(first, Transaction) and first.id != 0 else None

    @property
    def job(self) -> JobId:
        """The job that the call names; proc 0 where it names a cluster."""
        proc = self.arguments[2] if self.name != "remove_cluster" else 0
        return JobId(self.arguments[1], proc)


class Calls:
    """Operations of a service that are all one function of their name and arguments."""

    def __init__(self, call: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self._call(name, arguments)


def _no_events(name: str, arguments: tuple[Any, ...]) -> Any:
    raise BirdbathError("The federation has no event log of its own: follow those of the pools, /pools/NAME")


@dataclass(frozen=True)
class FederatedOperations:
    """All services for one call."""

    schedd: ScheddOperations
    collector: CollectorOperations
    federation: FederationOperations
    events: EventOperations = field(default_factory=lambda: cast(EventOperations, Calls(_no_events)))


def operations(call: Callable[[str, tuple[Any, ...]], Any]) -> FederatedOperations:
    """Operations that are `call` of their name and arguments, but for events."""
    made = Calls(call)
    return FederatedOperations(
        cast(ScheddOperations, made), cast(CollectorOperations, made), cast(FederationOperations, made)
    )


def sorter(clusters: Clusters) -> FederatedOperations:
    """Operations that do nothing but raise Belongs."""
    return operations(lambda name, arguments: _sort(clusters, name, arguments))


def _sort(clusters: Clusters, name: str, arguments: tuple[Any, ...]) -> Any:
    where, place = Where.OWN, None
    if name in LISTINGS:
        where = Where.ALL
    elif name == "commit_transaction":
        where = Where.COMMIT
    elif name == "request_reschedule":
        where = Where.RESCHEDULE
    elif name == "recommend":
        where = Where.RECOMMEND
    elif name == "history":
        raise BirdbathError("The federation has no history of its own: ask those of the pools, /pools/NAME")
    elif name == "insert_ad":
        raise BirdbathError("The federation keeps no ads of its own: insert them at a pool, /pools/NAME")
    elif name in ACTIONS | READS and (place := clusters.place(arguments[1])) is not None:
        carried = arguments[0] is not None and arguments[0].id != 0
        where = Where.STAGED if carried and name in ACTIONS else Where.POOL
    raise Belongs(where, name, arguments, place)
