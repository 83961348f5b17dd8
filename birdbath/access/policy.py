"""The one table of what can be asked of this server: each operation of each SOAP service, and each HTTP
route, with the level that it needs and whose things it may touch.

The levels are enforced in one place for all operations (`Backend.run`) and in one for all routes
(`HttpApplication`); ownership where the things are, by the rule that the table names. A test fails when a
service or the application offers what the table does not have.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from birdbath.access.caller import Caller, Level
from birdbath.errors import PermissionDenied, RequestFault


class Ownership(enum.Flag):
    """Whose things a call may touch; super-users may touch everybody's, but for transactions.

    TRANSACTION: the transaction that it carries, if any, is one that the caller began.
    JOB: the job that it names, with its files, is the caller's or does not exist.
    LISTING: it sees the jobs of others only when `private_jobs` is off.
    OWNER: the Owner of a new job is the caller, or one that the caller may impersonate.
    OWN: what it names (a subscription, a cursor) belongs to the caller.
    """

    NOTHING = 0
    TRANSACTION = enum.auto()
    JOB = enum.auto()
    LISTING = enum.auto()
    OWNER = enum.auto()
    OWN = enum.auto()


class Unit(enum.Enum):
    """The kind of unit of work that an operation runs in; OWN: one for a write, which it arranges itself."""

    NONE = "none"
    OWN = "own"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Policy:
    """The level that is needed, and whose things may be touched."""

    level: Level
    ownership: Ownership = Ownership.NOTHING


@dataclass(frozen=True)
class OperationInfo:
    """One operation of a SOAP service.

    `unit` is what the operation itself does. A READ call that carries a transaction also renews its lease,
    which is for whoever runs it to arrange.
    """

    name: str
    services: tuple[str, ...]
    level: Level
    unit: Unit
    ownership: Ownership = Ownership.NOTHING

    @property
    def changes_something(self) -> bool:
        """Whether it is there to change something, were it a subscription that is the caller's own."""
        return self.unit in (Unit.WRITE, Unit.OWN) or self.level not in (Level.NONE, Level.READ)

    @property
    def answers_status(self) -> bool:
        """Whether a refusal can be told by a status; the collector's queries answer nothing but ads."""
        return self.services != (COLLECTOR,) or self.unit is not Unit.READ


SCHEDD: Final = "condorSchedd"
COLLECTOR: Final = "condorCollector"

_NOTHING, _TXN, _JOB = Ownership.NOTHING, Ownership.TRANSACTION, Ownership.JOB
_TXN_JOB = _TXN | _JOB


def _table(*rows: tuple[str, tuple[str, ...], Level, Unit, Ownership]) -> dict[str, OperationInfo]:
    return {name: OperationInfo(name, *rest) for name, *rest in rows}  # type: ignore[arg-type]


OPERATIONS: Final[dict[str, OperationInfo]] = _table(
    ("getVersionString", (SCHEDD, COLLECTOR), Level.NONE, Unit.NONE, _NOTHING),
    ("getPlatformString", (SCHEDD, COLLECTOR), Level.NONE, Unit.NONE, _NOTHING),
    ("beginTransaction", (SCHEDD,), Level.WRITE, Unit.WRITE, _NOTHING),
    ("commitTransaction", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("abortTransaction", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("extendTransaction", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("newCluster", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("removeCluster", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN_JOB),
    ("newJob", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("removeJob", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN_JOB),
    ("holdJob", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN_JOB),
    ("releaseJob", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN_JOB),
    ("submit", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN | Ownership.OWNER),
    ("getJobAds", (SCHEDD,), Level.READ, Unit.READ, _TXN | Ownership.LISTING),
    ("getJobAd", (SCHEDD,), Level.READ, Unit.READ, _TXN_JOB),
    ("declareFile", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("sendFile", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN),
    ("getFile", (SCHEDD,), Level.READ, Unit.READ, _TXN_JOB),
    ("closeSpool", (SCHEDD,), Level.WRITE, Unit.WRITE, _TXN_JOB),
    ("listSpool", (SCHEDD,), Level.READ, Unit.READ, _TXN_JOB),
    ("requestReschedule", (SCHEDD,), Level.WRITE, Unit.NONE, _NOTHING),
    ("discoverJobRequirements", (SCHEDD,), Level.READ, Unit.NONE, _NOTHING),
    ("createJobTemplate", (SCHEDD,), Level.READ, Unit.NONE, _NOTHING),
    ("insertAd", (COLLECTOR,), Level.ADVERTISE, Unit.WRITE, _NOTHING),
    ("queryStartdAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("queryScheddAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("queryMasterAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("querySubmittorAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("queryLicenseAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("queryStorageAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
    ("queryAnyAds", (COLLECTOR,), Level.READ, Unit.READ, _NOTHING),
)
"""Every operation of every SOAP service, by name."""

EVENTS: Final = "birdbathEvents"

EVENT_OPERATIONS: Final[dict[str, OperationInfo]] = _table(
    ("getEvents", (EVENTS,), Level.READ, Unit.NONE, Ownership.OWN),
    ("subscribe", (EVENTS,), Level.READ, Unit.OWN, Ownership.OWN),
    ("renew", (EVENTS,), Level.READ, Unit.OWN, Ownership.OWN),
    ("updateFilter", (EVENTS,), Level.READ, Unit.OWN, Ownership.OWN),
    ("unsubscribe", (EVENTS,), Level.READ, Unit.OWN, Ownership.OWN),
)
"""The operations of urn:birdbath:events. Whoever may read may follow, with a cursor that the server keeps."""

QUERIES: Final = "birdbathQueries"

QUERY_OPERATIONS: Final[dict[str, OperationInfo]] = _table(
    ("queryJobs", (QUERIES,), Level.READ, Unit.READ, Ownership.LISTING),
    ("queryHistory", (QUERIES,), Level.READ, Unit.READ, Ownership.LISTING),
    ("queryAds", (QUERIES,), Level.READ, Unit.READ, _NOTHING),
)
"""The operations of urn:birdbath:queries."""


FEDERATION: Final = "birdbathFederation"

FEDERATION_OPERATIONS: Final[dict[str, OperationInfo]] = _table(
    ("recommend", (FEDERATION,), Level.READ, Unit.NONE, _NOTHING),
)
"""The operation of urn:birdbath:federation."""


def operation_info(name: str) -> OperationInfo:
    """The operation that has this name, in whatever namespace."""
    return (
        OPERATIONS.get(name)
        or QUERY_OPERATIONS.get(name)
        or FEDERATION_OPERATIONS.get(name)
        or EVENT_OPERATIONS[name]
    )


ROUTES: Final[dict[str, Policy]] = {
    "GET /": Policy(Level.NONE),
    "GET *.wsdl": Policy(Level.NONE),
    "GET /health/live": Policy(Level.NONE),
    "GET /health/ready": Policy(Level.NONE),
    "GET /metrics": Policy(Level.READ),
    "GET /events*": Policy(Level.READ, Ownership.OWN),
    "POST /events/*": Policy(Level.READ, Ownership.OWN),  # a webhook, which has the server call, WRITE
    "PATCH /events/*": Policy(Level.READ, Ownership.OWN),
    "DELETE /events/*": Policy(Level.READ, Ownership.OWN),
    "GET /pool/clock": Policy(Level.READ),
    "POST /pool/clock": Policy(Level.ADMINISTRATOR),
    "GET /pools": Policy(Level.READ),
    "POST *": Policy(Level.NONE),  # SOAP: what counts is the operation
}
"""Every HTTP route by method and path; HEAD is allowed where GET is."""


class Forbidden(RequestFault):
    """The caller may not ask this, and the reply has no place to say so but a fault."""

    def __init__(self) -> None:
        super().__init__("Permission denied")


def check(info: OperationInfo, caller: Caller) -> None:
    """Raise PermissionDenied, or Forbidden, when the caller lacks the level of an operation."""
    if info.level not in caller.levels:
        raise PermissionDenied if info.answers_status else Forbidden
