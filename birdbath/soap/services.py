"""The Spyne services: each operation declared with its wire names and types, and handed to the daemons'
logic.

Nothing is decided here. `operation` is the one place where errors of the contract become replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import MethodContext, Service, rpc

from birdbath.classads import AdList, Item
from birdbath.errors import BirdbathError, RequestFault
from birdbath.schedd import FileInfo, Transaction
from birdbath.soap import types
from birdbath.soap.operations import AdKind, Operations
from birdbath.soap.paging import AdPage
from birdbath.soap.replies import Outcome
from birdbath.soap.types import Data, FilePosition, Flag, Int, SpyneType, Text

assert spyne_compat.SIX_MOVES

Txn = Transaction | None
Parameter = tuple[str, SpyneType]
Work = Callable[..., Any]

TRANSACTION: Final[Parameter] = ("transaction", types.required(types.Transaction))
ANY_TRANSACTION: Final[Parameter] = ("transaction", types.optional(types.Transaction))
CLUSTER: Final[Parameter] = ("clusterId", Int)
JOB: Final[Parameter] = ("jobId", Int)
REASON: Final[Parameter] = ("reason", Text)
NAME: Final[Parameter] = ("name", Text)
OFFSET: Final[Parameter] = ("offset", FilePosition)
DURATION: Final[Parameter] = ("duration", Int)
CONSTRAINT: Final[Parameter] = ("constraint", Text)
JOB_AD: Final[Parameter] = ("jobAd", types.optional(types.ClassAdStruct))


def operation(
    name: str, *parameters: Parameter, returns: SpyneType, container: str = "response", silent: bool = False
) -> Callable[[Work], tuple[str, Any]]:
    """Declare a function as the operation `name`: it gets `Operations` and the parameters' values in order.

    What it returns is answered with SUCCESS and "Success" (no message when `silent`), or with its own
    Outcome. An error of the contract is answered with its status in the same container; a RequestFault
    becomes a fault.
    """

    def declare(function: Work) -> tuple[str, Any]:
        success = None if silent else "Success"

        def call(ctx: MethodContext, *arguments: object) -> Outcome:
            try:
                value = function(ctx.udc, *arguments)
            except RequestFault:
                raise
            except BirdbathError as error:
                return Outcome.refused(error)
            return value if isinstance(value, Outcome) else Outcome(value, message=_missing(value) or success)

        call.__doc__ = function.__doc__
        call.__name__ = name  # Spyne tells operations apart by it
        declaration = rpc(
            *(kind for _, kind in parameters),
            _args=tuple(wire_name for wire_name, _ in parameters),
            _returns=types.required(returns),
            _out_variable_name=container,
        )
        return name, declaration(call)

    return declare


def _missing(value: object) -> str:
    """What a listing says is not in it."""
    ads = value.ads if isinstance(value, AdPage) else value
    return f"Without {'; without '.join(ads.missing)}" if isinstance(ads, AdList) and ads.missing else ""


def service(name: str, *operations: tuple[str, Any]) -> type[Service]:
    """A Spyne service class of these operations, in this order."""
    return type(name, (Service,), dict(operations))


# ---------------------------------------------------------------- both daemons


@operation("getVersionString", returns=types.StringAndStatus, silent=True)
def get_version_string(operations: Operations) -> str:
    """The server's version, in the form $CondorVersion: ... $."""
    return operations.schedd.version_string()


@operation("getPlatformString", returns=types.StringAndStatus, silent=True)
def get_platform_string(operations: Operations) -> str:
    """The server's platform, in the form $CondorPlatform: ... $."""
    return operations.schedd.platform_string()


# ---------------------------------------------------------------- condorSchedd: transactions and jobs


@operation("beginTransaction", DURATION, returns=types.TransactionAndStatus)
def begin_transaction(operations: Operations, duration: int) -> Transaction:
    """Begin a transaction that lives for duration seconds after each call that carries it."""
    return operations.schedd.begin_transaction(duration)


@operation("commitTransaction", TRANSACTION, returns=types.Status)
def commit_transaction(operations: Operations, txn: Txn) -> None:
    """Make everything done in the transaction durable and visible."""
    operations.schedd.commit_transaction(txn)


@operation("abortTransaction", TRANSACTION, returns=types.Status)
def abort_transaction(operations: Operations, txn: Txn) -> None:
    """Discard everything done in the transaction."""
    operations.schedd.abort_transaction(txn)


@operation("extendTransaction", TRANSACTION, DURATION, returns=types.TransactionAndStatus)
def extend_transaction(operations: Operations, txn: Txn, duration: int) -> Transaction:
    """Give the transaction a new duration."""
    return operations.schedd.extend_transaction(txn, duration)


@operation("newCluster", TRANSACTION, returns=types.IntAndStatus)
def new_cluster(operations: Operations, txn: Txn) -> int:
    """Create a cluster of jobs."""
    return operations.schedd.new_cluster(txn)


@operation("removeCluster", ANY_TRANSACTION, CLUSTER, REASON, returns=types.Status)
def remove_cluster(operations: Operations, txn: Txn, cluster: int, reason: str | None) -> None:
    """Remove all jobs of a cluster."""
    operations.schedd.remove_cluster(txn, cluster, reason)


@operation("newJob", TRANSACTION, CLUSTER, returns=types.IntAndStatus)
def new_job(operations: Operations, txn: Txn, cluster: int) -> int:
    """Create a job in the cluster made last."""
    return operations.schedd.new_job(txn, cluster)


@operation("removeJob", ANY_TRANSACTION, CLUSTER, JOB, REASON, ("force-removal", Flag), returns=types.Status)
def remove_job(
    operations: Operations, txn: Txn, cluster: int, proc: int, reason: str | None, force: bool
) -> None:
    """Remove a job from the queue."""
    operations.schedd.remove_job(txn, cluster, proc, reason, force)


@operation(
    "holdJob",
    ANY_TRANSACTION,
    CLUSTER,
    JOB,
    REASON,
    ("email-user", Flag),
    ("email-admin", Flag),
    ("system-hold", Flag),
    returns=types.Status,
)
def hold_job(
    operations: Operations,
    txn: Txn,
    cluster: int,
    proc: int,
    reason: str | None,
    email_user: bool,
    email_admin: bool,
    system_hold: bool,
) -> None:
    """Put a job on hold."""
    operations.schedd.hold_job(txn, cluster, proc, reason, email_user, email_admin, system_hold)


@operation(
    "releaseJob",
    ANY_TRANSACTION,
    CLUSTER,
    JOB,
    REASON,
    ("email-user", Flag),
    ("email-admin", Flag),
    returns=types.Status,
)
def release_job(
    operations: Operations,
    txn: Txn,
    cluster: int,
    proc: int,
    reason: str | None,
    email_user: bool,
    email_admin: bool,
) -> None:
    """Release a job from hold."""
    operations.schedd.release_job(txn, cluster, proc, reason, email_user, email_admin)


@operation("submit", TRANSACTION, CLUSTER, JOB, JOB_AD, returns=types.RequirementsAndStatus)
def submit(operations: Operations, txn: Txn, cluster: int, proc: int, ad: list[Item] | None) -> None:
    """Give a new job its ad."""
    operations.schedd.submit(txn, cluster, proc, ad)


@operation("getJobAds", ANY_TRANSACTION, CONSTRAINT, returns=types.ClassAdStructArrayAndStatus)
def get_job_ads(operations: Operations, txn: Txn, constraint: str | None) -> AdList:
    """The ads of all queued jobs that satisfy the constraint."""
    return operations.schedd.get_job_ads(txn, constraint)


@operation("getJobAd", ANY_TRANSACTION, CLUSTER, JOB, returns=types.ClassAdStructAndStatus)
def get_job_ad(operations: Operations, txn: Txn, cluster: int, proc: int) -> AdList:
    """The ad of one queued job."""
    return operations.schedd.get_job_ad(txn, cluster, proc)


# ---------------------------------------------------------------- condorSchedd: files


@operation(
    "declareFile",
    TRANSACTION,
    CLUSTER,
    JOB,
    NAME,
    ("size", FilePosition),
    ("hashType", types.required(types.HashType)),
    ("hash", Text),
    returns=types.Status,
)
def declare_file(
    operations: Operations,
    txn: Txn,
    cluster: int,
    proc: int,
    name: str | None,
    size: int,
    hash_type: int,
    hash: str | None,
) -> None:
    """Announce a file that will be sent for a new job."""
    operations.schedd.declare_file(txn, cluster, proc, name, size, hash_type, hash)


@operation("sendFile", TRANSACTION, CLUSTER, JOB, NAME, OFFSET, ("data", Data), returns=types.Status)
def send_file(
    operations: Operations,
    txn: Txn,
    cluster: int,
    proc: int,
    name: str | None,
    offset: int,
    data: bytes | None,
) -> None:
    """Store a piece of a declared file."""
    operations.schedd.send_file(txn, cluster, proc, name, offset, data)


@operation(
    "getFile", ANY_TRANSACTION, CLUSTER, JOB, NAME, OFFSET, ("length", Int), returns=types.Base64DataAndStatus
)
def get_file(
    operations: Operations, txn: Txn, cluster: int, proc: int, name: str | None, offset: int, length: int
) -> bytes:
    """A piece of a file in a job's spool directory."""
    return operations.schedd.get_file(txn, cluster, proc, name, offset, length)


@operation("closeSpool", ANY_TRANSACTION, CLUSTER, JOB, returns=types.Status)
def close_spool(operations: Operations, txn: Txn, cluster: int, proc: int) -> None:
    """Say that a job's output was fetched and the job may leave the queue."""
    operations.schedd.close_spool(txn, cluster, proc)


@operation("listSpool", ANY_TRANSACTION, CLUSTER, JOB, returns=types.FileInfoArrayAndStatus)
def list_spool(operations: Operations, txn: Txn, cluster: int, proc: int) -> Sequence[FileInfo]:
    """The files in a job's spool directory."""
    return operations.schedd.list_spool(txn, cluster, proc)


# ---------------------------------------------------------------- condorSchedd: the rest


@operation("requestReschedule", returns=types.Status)
def request_reschedule(operations: Operations) -> None:
    """Ask for a round of matchmaking."""
    operations.schedd.request_reschedule()


@operation("discoverJobRequirements", JOB_AD, returns=types.RequirementsAndStatus)
def discover_job_requirements(operations: Operations, ad: list[Item] | None) -> Sequence[str]:
    """The files that a job with this ad needs."""
    return operations.schedd.discover_job_requirements(ad)


@operation(
    "createJobTemplate",
    CLUSTER,
    JOB,
    ("owner", Text),
    ("type", types.required(types.UniverseType)),
    ("cmd", Text),
    ("args", Text),
    ("requirements", Text),
    returns=types.ClassAdStructAndStatus,
)
def create_job_template(
    operations: Operations,
    cluster: int,
    proc: int,
    owner: str | None,
    universe: int,
    cmd: str | None,
    args: str | None,
    requirements: str | None,
) -> AdList:
    """A default ad for a job."""
    return operations.schedd.create_job_template(cluster, proc, owner, universe, cmd, args, requirements)


# ---------------------------------------------------------------- condorCollector


@operation(
    "insertAd",
    ("type", types.required(types.ClassAdType)),
    ("ad", types.present(types.ClassAdStruct)),
    returns=types.Status,
    container="status",
)
def insert_ad(operations: Operations, kind: int, ad: list[Item] | None) -> Outcome:
    """Insert or replace a daemon's ad."""
    return Outcome(message=operations.collector.insert_ad(kind, ad or []))


def _query(name: str, kind: AdKind, doc: str) -> tuple[str, Any]:
    def query(operations: Operations, constraint: str | None) -> AdList:
        return operations.collector.query_ads(kind, constraint)

    query.__doc__ = doc
    return operation(name, CONSTRAINT, returns=types.ClassAdStructArray, container="result")(query)


Versions: Final = service("Versions", get_version_string, get_platform_string)
Schedd: Final = service(
    "Schedd",
    begin_transaction,
    commit_transaction,
    abort_transaction,
    extend_transaction,
    new_cluster,
    remove_cluster,
    new_job,
    remove_job,
    hold_job,
    release_job,
    submit,
    get_job_ads,
    get_job_ad,
    declare_file,
    send_file,
    get_file,
    close_spool,
    list_spool,
    request_reschedule,
    discover_job_requirements,
    create_job_template,
)
Collector: Final = service(
    "Collector",
    insert_ad,
    _query("queryStartdAds", "startd", "The slot ads that satisfy the constraint."),
    _query("queryScheddAds", "schedd", "The schedd ads that satisfy the constraint."),
    _query("queryMasterAds", "master", "The master ads that satisfy the constraint."),
    _query("querySubmittorAds", "submittor", "The submitter ads that satisfy the constraint."),
    _query("queryLicenseAds", "license", "The license ads that satisfy the constraint."),
    _query("queryStorageAds", "storage", "The storage ads that satisfy the constraint."),
    _query("queryAnyAds", "any", "The ads of every type that satisfy the constraint."),
)
