"""What every operation of the Schedd works with: its settings, the pool, the unit of work and the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass

from birdbath.access import Caller, QueueRights
from birdbath.classads import Constraint
from birdbath.errors import BirdbathError, NotJobOwner, UnknownFile
from birdbath.pool.base import JobId, JobQueue
from birdbath.schedd import staging
from birdbath.schedd.transactions import Transaction
from birdbath.store.sandbox import Sandbox
from birdbath.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ScheddSettings(QueueRights):
    """The Schedd's settings, named after HTCondor's configuration where it has one (reference section 6.4).

    `strict` turns on the checks and status codes that the contract names but no version implemented.
    `authentication` says that callers are asked who they are: then nobody in particular owns nothing. With
    `private_jobs` a listing shows a caller its own jobs only.
    """

    name: str = "schedd@birdbath"
    uid_domain: str = "birdbath"
    strict: bool = False
    max_transaction_duration: int = -1
    leave_in_queue: str | None = None
    max_jobs_submitted: int = 2147483647
    max_jobs_per_owner: int = 100000
    max_jobs_per_submission: int = 20000
    max_transactions_per_owner: int = 0
    max_staged_bytes: int = 0
    max_staged_bytes_per_owner: int = 0
    min_free_bytes: int = 0
    max_file_reply: int = 64 * 1024 * 1024
    max_query_seconds: float = 0.0
    max_reply_bytes: int = 0
    queue_super_user_may_impersonate: str | None = None
    authentication: bool = False
    private_jobs: bool = False
    version_string: str = "$CondorVersion: 8.4.12 $"
    platform_string: str = "$CondorPlatform: x86_64_Linux $"


class Elsewhere(Exception):
    """The call has to be run again where it belongs; nothing of it was done, but for a lease that is renewed.

    With `transaction`, its lease has to be renewed in a unit of work first. With `in_unit` the whole call
    belongs into one, though it is a read. Else it would hold up the event loop, and belongs into a thread.
    """

    def __init__(self, transaction: Transaction | None = None, in_unit: bool = False) -> None:
        super().__init__("to be run elsewhere")
        self.transaction = transaction
        self.in_unit = in_unit


@dataclass(frozen=True)
class ScheddContext:
    """One call: everything that an operation may use.

    `unit_of_work` is None for a read. `patient` says that the call may take its time, because it does not run
    on the event loop; one that is not raises Elsewhere rather than take long. `committing` is the commit that
    the call is in the middle of: the pool has the transaction's jobs already. With `deferring` files that a
    transaction is given may wait for its commit to be synced.
    """

    settings: ScheddSettings
    queue: JobQueue
    caller: Caller
    unit_of_work: UnitOfWork | None
    patient: bool = True
    committing: str | None = None
    deferring: bool = False

    @property
    def unit(self) -> UnitOfWork:
        if self.unit_of_work is None:
            raise AssertionError("a read tried to write")
        return self.unit_of_work

    def expect(self, small: bool) -> None:
        """Raise Elsewhere when the work ahead is not `small` and this is no place for it."""
        if not small and not self.patient:
            raise Elsewhere

    def sandbox(self, job: JobId) -> Sandbox:
        """The job's sandbox, whether the job is staged or committed."""
        return self.queue.sandbox(job)

    @property
    def is_super_user(self) -> bool:
        """Whether the caller is one of QUEUE_SUPER_USERS."""
        return self.settings.is_super_user(self.caller.account)

    def may_submit_as(self, owner: str) -> bool:
        """Whether the Owner of the caller's jobs may be `owner`: its own account; that of others for a
        super-user, as far as QUEUE_SUPER_USER_MAY_IMPERSONATE, a regular expression, is found in it.
        """
        if self.settings.queue_all_users_trusted or self.caller.account == owner:
            return True
        pattern = self.settings.queue_super_user_may_impersonate
        return self.is_super_user and (pattern is None or re.search(pattern, owner) is not None)

    def check_writable(self, what: str) -> None:
        """Raise BirdbathError, which begins with `what`, when the caller may not change the queue at all.

        The original let everybody act on everybody's committed jobs as long as no transaction was given
        (reference section 6.2).
        """
        if self.caller.account is None and not self.settings.queue_all_users_trusted:
            raise BirdbathError(f"{what}: the caller is not authenticated")

    def check_owner(self, job: JobId) -> None:
        """Rule 5 of reference section 3.1: a caller may touch only its own jobs, those of its open
        transactions included, unless it is a super-user. Jobs that do not exist pass.

        Raises NotJobOwner, and Elsewhere when the job may be one of a transaction and this is no unit of
        work. Where nobody is asked who he is, everybody without an account passes, as in the original.
        """
        account = self.caller.account
        if self.settings.queue_all_users_trusted or (account is None and not self.settings.authentication):
            return
        if self.is_super_user:
            return
        record = self.queue.job(job)
        if record is not None:
            owner: str | None = record.ad().string("Owner")
        elif self.unit_of_work is None:
            raise Elsewhere(in_unit=True)
        else:
            owner = staging.stager(self.unit, job)
            if owner is None:
                return
        if not owner and not self.settings.authentication:
            return  # a job without Owner is everybody's in the contract
        if account is None or owner != account:
            raise NotJobOwner

    def visible(self, constraint: Constraint) -> Constraint:
        """The jobs of `constraint` that a listing may show to the caller."""
        settings, account = self.settings, self.caller.account
        if not settings.private_jobs or settings.queue_all_users_trusted or self.is_super_user:
            return constraint
        if account is None:
            return Constraint("false")
        own = f'Owner =?= "{account}"'  # an account has no character that would have to be escaped
        text = own if constraint.selects_all else f"{own} && ({constraint.text})"
        return Constraint(text, settings.max_query_seconds)

    def lenient(self, error: BirdbathError) -> BirdbathError:
        """`error` itself with strict status codes, else a FAIL of the same text (reference section 9)."""
        return error if self.settings.strict else BirdbathError(str(error))

    def unknown_file(self, name: str | None) -> BirdbathError:
        """The error for a file that is not there or was not declared."""
        return self.lenient(UnknownFile(f"No such file: {name}"))
