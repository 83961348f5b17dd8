"""What every operation of the Schedd works with: its settings, the pool, the unit of work and the caller."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.errors import BirdbathError, NotJobOwner, UnknownFile
from birdbath.pool.base import JobId, JobQueue
from birdbath.schedd.transactions import Transaction
from birdbath.store.sandbox import Sandbox
from birdbath.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Caller:
    """Who calls: the peer's address, and the account it proved to be (None: not authenticated)."""

    address: str
    account: str | None = None


@dataclass(frozen=True)
class ScheddSettings:
    """The Schedd's settings, named after HTCondor's configuration where it has one (reference section 6.4).

    `strict` turns on the checks and status codes that the contract names but no version implemented.
    """

    name: str = "schedd@birdbath"
    uid_domain: str = "birdbath"
    strict: bool = False
    max_transaction_duration: int = -1
    leave_in_queue: str | None = None
    max_jobs_submitted: int = 2147483647
    max_jobs_per_owner: int = 100000
    max_jobs_per_submission: int = 20000
    max_file_reply: int = 64 * 1024 * 1024
    queue_all_users_trusted: bool = True
    queue_super_users: tuple[str, ...] = ("root", "condor")
    version_string: str = "$CondorVersion: 8.4.12 $"
    platform_string: str = "$CondorPlatform: x86_64_Linux $"


class Elsewhere(Exception):
    """The call has to be run again where it belongs; nothing of it was done.

    With `transaction`, its lease has to be renewed in a unit of work first. Without, the call would hold up
    the event loop, and belongs into a thread.
    """

    def __init__(self, transaction: Transaction | None = None) -> None:
        super().__init__("to be run elsewhere")
        self.transaction = transaction


@dataclass(frozen=True)
class ScheddContext:
    """One call: everything that an operation may use.

    `unit_of_work` is None for a read. `patient` says that the call may take its time, because it does not run
    on the event loop; one that is not raises Elsewhere rather than take long.
    """

    settings: ScheddSettings
    queue: JobQueue
    caller: Caller
    unit_of_work: UnitOfWork | None
    patient: bool = True

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

    def may_act_as(self, owner: str) -> bool:
        """Whether the caller may submit and act as `owner`."""
        account = self.caller.account
        trusted = self.settings.queue_all_users_trusted
        return trusted or (
            account is not None and (account == owner or account in self.settings.queue_super_users)
        )

    def check_writable(self, what: str) -> None:
        """Raise BirdbathError, which begins with `what`, when the caller may not change the queue at all.

        The original let everybody act on everybody's committed jobs as long as no transaction was given
        (reference section 6.2).
        """
        if self.caller.account is None and not self.settings.queue_all_users_trusted:
            raise BirdbathError(f"{what}: the caller is not authenticated")

    def check_owner(self, job: JobId) -> None:
        """Rule 5 of reference section 3.1: an authenticated caller may touch only its own committed jobs.

        Raises NotJobOwner. Jobs that do not exist yet and jobs without Owner pass.
        """
        if self.caller.account is None or self.settings.queue_all_users_trusted:
            return
        record = self.queue.job(job)
        owner = record.ad().string("Owner") if record else ""
        if owner and not self.may_act_as(owner):
            raise NotJobOwner

    def lenient(self, error: BirdbathError) -> BirdbathError:
        """`error` itself with strict status codes, else a FAIL of the same text (reference section 9)."""
        return error if self.settings.strict else BirdbathError(str(error))

    def unknown_file(self, name: str | None) -> BirdbathError:
        """The error for a file that is not there or was not declared."""
        return self.lenient(UnknownFile(f"No such file: {name}"))
