"""What the SOAP services call; `birdbath.access` has the table of all operations.

The two protocols are the seam between the wire and the daemons' logic: per-call objects, synchronous, used
inside one unit of work. Their methods raise errors of `birdbath.errors`; the services turn those into
replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar

from birdbath.access import Caller
from birdbath.classads import AdList, Item
from birdbath.notify.calls import EventPage, SubscriptionState, WantedFilter
from birdbath.pool.base import JobId, Part
from birdbath.pool.suitability import Recommendation
from birdbath.schedd import FileInfo, Transaction

T = TypeVar("T")

AdKind = Literal["startd", "schedd", "master", "submittor", "license", "storage", "any"]


class ScheddOperations(Protocol):
    """The condorSchedd operations (reference section 3), in the caller's unit of work and with the caller's
    rights.

    `txn` is None when the request carried no transaction: omitted, nil, empty or with id 0.
    """

    def version_string(self) -> str: ...
    def platform_string(self) -> str: ...
    def begin_transaction(self, duration: int) -> Transaction: ...
    def commit_transaction(self, txn: Transaction | None) -> None: ...
    def abort_transaction(self, txn: Transaction | None) -> None: ...
    def extend_transaction(self, txn: Transaction | None, duration: int) -> Transaction: ...
    def new_cluster(self, txn: Transaction | None) -> int: ...
    def new_job(self, txn: Transaction | None, cluster: int) -> int: ...
    def remove_cluster(self, txn: Transaction | None, cluster: int, reason: str | None) -> None: ...
    def remove_job(
        self, txn: Transaction | None, cluster: int, proc: int, reason: str | None, force: bool
    ) -> None: ...
    def hold_job(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        reason: str | None,
        email_user: bool,
        email_admin: bool,
        system_hold: bool,
    ) -> None: ...
    def release_job(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        reason: str | None,
        email_user: bool,
        email_admin: bool,
    ) -> None: ...
    def submit(self, txn: Transaction | None, cluster: int, proc: int, ad: list[Item] | None) -> None: ...
    def get_job_ads(self, txn: Transaction | None, constraint: str | None) -> AdList: ...
    def find_job_ads(self, constraint: str | None, part: Part | None = None) -> AdList: ...
    def get_job_ad(self, txn: Transaction | None, cluster: int, proc: int) -> AdList: ...
    def history(self, constraint: str | None, before: JobId | None, most: int) -> AdList: ...
    def declare_file(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        name: str | None,
        size: int,
        hash_type: int,
        hash: str | None,
    ) -> None: ...
    def send_file(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        name: str | None,
        offset: int,
        data: bytes | None,
    ) -> None: ...
    def get_file(
        self, txn: Transaction | None, cluster: int, proc: int, name: str | None, offset: int, length: int
    ) -> bytes: ...
    def close_spool(self, txn: Transaction | None, cluster: int, proc: int) -> None: ...
    def list_spool(self, txn: Transaction | None, cluster: int, proc: int) -> Sequence[FileInfo]: ...
    def request_reschedule(self) -> None: ...
    def discover_job_requirements(self, ad: list[Item] | None) -> Sequence[str]: ...
    def create_job_template(
        self,
        cluster: int,
        proc: int,
        owner: str | None,
        universe: int,
        cmd: str | None,
        args: str | None,
        requirements: str | None,
    ) -> AdList: ...


class CollectorOperations(Protocol):
    """The condorCollector operations (reference section 4)."""

    def version_string(self) -> str: ...
    def platform_string(self) -> str: ...
    def insert_ad(self, type: int, ad: list[Item]) -> str: ...
    def query_ads(self, kind: AdKind, constraint: str | None) -> AdList: ...
    def find_ads(self, kind: AdKind, constraint: str | None, names: Sequence[str] = ()) -> AdList: ...


class EventOperations(Protocol):
    """The operations of `urn:birdbath:events`, as `birdbath.notify.calls.EventCalls` says."""

    def get_events(
        self, after: int, most: int, wait: int, filter: WantedFilter, subscription: str | None
    ) -> EventPage: ...
    def subscribe(self, filter: WantedFilter, after: int, lease: int) -> SubscriptionState: ...
    def renew(self, key: str | None, lease: int) -> SubscriptionState: ...
    def update_filter(self, key: str | None, filter: WantedFilter) -> SubscriptionState: ...
    def unsubscribe(self, key: str | None) -> None: ...


class FederationOperations(Protocol):
    """The operation of `urn:birdbath:federation`."""

    def recommend(self, ad: list[Item] | None) -> Recommendation: ...


class Operations(Protocol):
    """All services for one call."""

    @property
    def schedd(self) -> ScheddOperations: ...
    @property
    def collector(self) -> CollectorOperations: ...
    @property
    def events(self) -> EventOperations: ...
    @property
    def federation(self) -> FederationOperations: ...


class Backend(Protocol):
    """Runs the work of one call where it belongs."""

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        """Run `work` in one unit of work of the kind that `operation` needs; return after what it wrote is
        durable.

        `work` is synchronous and may run in another thread. An unexpected exception of it rolls everything
        back and propagates; errors of the contract are answered inside `work` and do not.
        """
        ...
