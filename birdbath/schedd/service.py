"""The Schedd: the contract's operations (reference section 3), one method each.

A `Schedd` serves one call. Every method raises a BirdbathError with the StatusCode that the reference gives
for the case; what it changed is durable when its unit of work is. The caller of a method that takes a
transaction hands over None, or a Transaction with id 0, for "no transaction".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from birdbath.classads import AdList, AdRecord, Constraint, Item, ad_from_items, arguments
from birdbath.errors import BirdbathError, Incomplete, InvalidArguments, UnknownCluster, UnknownJob
from birdbath.pool.base import ActionDetails, JobAction, JobId, NewJob, Part
from birdbath.pool.queries import client_constraint
from birdbath.pool.template import job_template
from birdbath.schedd import actions, files, limits, staging, transactions
from birdbath.schedd.context import Elsewhere, ScheddContext
from birdbath.schedd.ending import SMALL_COMMIT, discard
from birdbath.schedd.resuming import settle
from birdbath.schedd.software import of_both
from birdbath.schedd.submission import apply_items, completed, incomplete_files, new_ad
from birdbath.schedd.transactions import Lease, Transaction
from birdbath.store.boots import anything_relaxed
from birdbath.store.crash_points import crash_point
from birdbath.store.sandbox import FileInfo

_NULL_DEVICE = "/dev/null"


@dataclass(frozen=True)
class Renewal:
    """What renewing the lease of a read's transaction came to: an error, or None."""

    error: BirdbathError | None


class Schedd:
    """The Schedd as one call sees it.

    A read that carries a transaction raises Elsewhere, unless `renewal` tells what renewing its lease came
    to.
    """

    def __init__(self, context: ScheddContext, renewal: Renewal | None = None) -> None:
        self._context = context
        self._renewal = renewal

    def renew_lease(self, transaction: Transaction) -> Renewal:
        """Restart the lease for a read that carries it."""
        try:
            self._renew(transaction)
        except BirdbathError as error:
            return Renewal(error)
        return Renewal(None)

    # Transactions

    def begin_transaction(self, duration: int) -> Transaction:
        """Begin a transaction with a lease of `duration` seconds, at least 1, at most what the settings
        allow.
        """
        seconds = transactions.effective_duration(duration, self._context.settings.max_transaction_duration)
        limits.check_transactions(self._context)
        return transactions.begin(self._context.unit, self._context.caller.account, seconds)

    def commit_transaction(self, txn: Transaction | None) -> None:
        """Queue the jobs of all clusters and do the staged actions, all or nothing; the transaction ends."""
        lease = self._renew(txn)
        unit = self._context.unit
        staged_jobs, staged_actions = staging.size(unit, lease.id)
        self._context.expect(small=staged_jobs + staged_actions <= SMALL_COMMIT)
        # Another server on this database may let files wait where this one does not.
        if self._context.deferring or anything_relaxed(unit):
            files = staging.own_files(unit, lease.id)
            self._context.expect(small=len(files) <= SMALL_COMMIT)
            settle(unit, self._context.queue, files)
        jobs = [NewJob(job, completed(self._context, job, ad)) for job, ad in staging.jobs(unit, lease.id)]
        staged = staging.actions(unit, lease.id) if staged_actions else []
        crash_point("commit:checked")
        with unit.savepoint():
            self._context.queue.accept(unit, jobs)
            actions.apply_staged(self._context, staged)
            crash_point("commit:jobs-written")
            staging.forget(unit, lease.id)
            transactions.end(unit, lease.id)
            crash_point("commit:transaction-ended")

    def abort_transaction(self, txn: Transaction | None) -> None:
        """Discard everything that the transaction staged, its jobs' sandboxes too."""
        lease = self._renew(txn)
        self._context.expect(small=sum(staging.size(self._context.unit, lease.id)) <= SMALL_COMMIT)
        discard(self._context, lease.id)

    def extend_transaction(self, txn: Transaction | None, duration: int) -> Transaction:
        """Restart the lease with `duration` seconds, bounded as at the beginning; the effective value is
        returned.
        """
        lease = self._renew(txn)
        seconds = transactions.effective_duration(duration, self._context.settings.max_transaction_duration)
        extended = Transaction(lease.id, seconds)
        self._renew(extended)
        return extended

    # Building a submission

    def new_cluster(self, txn: Transaction | None) -> int:
        """A new cluster id, never used before or again; from now on the only one that accepts new jobs."""
        lease = self._renew(txn)
        self._context.check_writable("Could not create a new cluster")
        limits.check_jobs(self._context, lease.id, "Could not create a new cluster")
        cluster = self._context.queue.reserve_cluster(self._context.unit)
        staging.add_cluster(self._context.unit, lease.id, cluster)
        transactions.activate(self._context.unit, lease, cluster)
        return cluster

    def new_job(self, txn: Transaction | None, cluster: int) -> int:
        """The next proc id of the active cluster, from 0; its sandbox exists when this is answered."""
        lease = self._renew(txn)
        self._context.check_writable("Could not create a new job")
        limits.check_disk(self._context, self._context.queue.sandbox(JobId(cluster, 0)).root)
        settings = self._context.settings
        if cluster != lease.active_cluster or cluster < 1:
            raise self._context.lenient(
                UnknownCluster(
                    f"Could not create a new job: {cluster} is not the transaction's active cluster"
                )
            )
        limits.check_jobs(self._context, lease.id, "Could not create a new job")
        unit = self._context.unit
        with unit.savepoint():  # a proc id that comes to nothing is not used up
            job = JobId(cluster, staging.next_proc(unit, cluster))
            if job.proc >= settings.max_jobs_per_submission:
                limit = f"MAX_JOBS_PER_SUBMISSION is {settings.max_jobs_per_submission}"
                raise BirdbathError(f"Could not create a new job: {limit}")
            try:
                self._context.sandbox(job).create()
            except OSError as error:
                raise BirdbathError(f"Could not create the spool directory: {error.strerror}") from error
            staging.add_job(unit, lease.id, job, new_ad(self._context, job))
        return job.proc

    def create_job_template(
        self,
        cluster: int,
        proc: int,
        owner: str | None,
        universe: int,
        cmd: str | None,
        args: str | None,
        requirements: str | None,
    ) -> AdList:
        """The default job ad with these values; ids and universe are not checked.

        Raises InvalidArguments, which carries the ad without arguments, when the quotes in `args` do not
        balance.
        """
        try:
            normal, error = arguments.join(arguments.parse(args or "")), None
        except arguments.UnbalancedQuotes as unbalanced:
            normal, error = "", unbalanced
        settings = self._context.settings
        ad = job_template(
            cluster,
            proc,
            owner,
            universe,
            cmd,
            normal,
            requirements,
            int(self._context.queue.time()),
            settings.leave_in_queue,
            settings.version_string,
            settings.platform_string,
        )
        ads = self._listing([AdRecord.of(ad)])
        if error is not None:
            raise InvalidArguments(f"Invalid arguments: {error}", ads)
        return ads

    def submit(self, txn: Transaction | None, cluster: int, proc: int, ad: Sequence[Item] | None) -> None:
        """Store a job's attributes; may be repeated, later values overwrite.

        When an attribute is refused, those before it stay set. With strict checks raises Incomplete when a
        declared file has not fully arrived or differs from its declared size or hash.
        """
        lease, job = self._renew(txn), JobId(cluster, proc)
        unit = self._context.unit
        staged = staging.writable_ad(unit, lease.id, job)
        if cluster != lease.active_cluster:
            raise BirdbathError(
                f"Failed to set attributes of job {job}: its cluster is not the active one any more"
            )
        if ad is None:
            raise BirdbathError("The job ad is missing")
        self._context.check_writable("Failed to set the job's attributes")
        declared = staging.files(unit, job)
        sandbox = self._context.sandbox(job)
        self._context.expect(small=not self._context.settings.strict or not declared)
        if self._context.settings.strict and (missing := incomplete_files(sandbox, declared)):
            raise Incomplete(missing)
        try:
            apply_items(self._context, job, staged, ad, sandbox.location, [file.name for file in declared])
        finally:
            staging.set_job_ad(unit, job, staged)

    def discover_job_requirements(self, ad: Sequence[Item] | None) -> list[str]:
        """The files that would be transferred for such an ad: TransferInput, In, x509userproxy, Cmd."""
        job = ad_from_items(ad or (), "drop")
        names = [name.strip() for name in job.string("TransferInput").split(",")]
        names.append(job.string("In") if job.string("In") != _NULL_DEVICE else "")
        names.append(job.string("x509userproxy"))
        names.append(job.string("Cmd") if job.get("TransferExecutable") is not False else "")
        return list(dict.fromkeys(name for name in names if name))

    # Files

    def declare_file(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        name: str | None,
        size: int,
        hash_type: int,
        hash: str | None,
    ) -> None:
        """See `files.declare`."""
        files.declare(self._context, self._renew(txn), JobId(cluster, proc), name, size, hash_type, hash)

    def send_file(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        name: str | None,
        offset: int,
        data: bytes | None,
    ) -> None:
        """See `files.send`."""
        files.send(self._context, self._renew(txn), JobId(cluster, proc), name, offset, data)

    def get_file(
        self, txn: Transaction | None, cluster: int, proc: int, name: str | None, offset: int, length: int
    ) -> bytes:
        """See `files.get`."""
        self._renew_if_any(txn)
        self._context.check_owner(JobId(cluster, proc))
        self._context.queue.fetch(JobId(cluster, proc))
        return files.get(self._context, JobId(cluster, proc), name, offset, length)

    def list_spool(self, txn: Transaction | None, cluster: int, proc: int) -> list[FileInfo]:
        """See `files.entries`."""
        self._renew_if_any(txn)
        self._context.check_owner(JobId(cluster, proc))
        self._context.queue.fetch(JobId(cluster, proc))
        return files.entries(self._context, JobId(cluster, proc))

    def close_spool(self, txn: Transaction | None, cluster: int, proc: int) -> None:
        """See `actions.close_spool`."""
        actions.close_spool(self._context, self._renew_if_any(txn), JobId(cluster, proc))

    # Acting on jobs

    def hold_job(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        reason: str | None,
        email_user: bool,
        email_admin: bool,
        system_hold: bool,
    ) -> None:
        """Put a job that is not held on hold."""
        details = ActionDetails(reason, system_hold, email_user, email_admin)
        self._act(txn, JobAction.HOLD, JobId(cluster, proc), details)

    def release_job(
        self,
        txn: Transaction | None,
        cluster: int,
        proc: int,
        reason: str | None,
        email_user: bool,
        email_admin: bool,
    ) -> None:
        """Release a held job."""
        details = ActionDetails(reason, False, email_user, email_admin)
        self._act(txn, JobAction.RELEASE, JobId(cluster, proc), details)

    def remove_job(
        self, txn: Transaction | None, cluster: int, proc: int, reason: str | None, force: bool
    ) -> None:
        """Remove a job; with `force` it leaves the queue whatever LeaveJobInQueue says."""
        self._act(txn, JobAction.REMOVE, JobId(cluster, proc), ActionDetails(reason, force=force))

    def remove_cluster(self, txn: Transaction | None, cluster: int, reason: str | None) -> None:
        """See `actions.remove_cluster`."""
        actions.remove_cluster(self._context, self._renew_if_any(txn), cluster, reason)

    def request_reschedule(self) -> None:
        """Ask for a negotiation cycle soon."""
        self._context.queue.reschedule()

    # Queries

    def get_job_ads(self, txn: Transaction | None, constraint: str | None) -> AdList:
        """The committed jobs that the constraint selects, all when it is empty; text that is none selects
        nothing.
        """
        self._renew_if_any(txn)
        wanted, queue = self._visible(constraint), self._context.queue
        if wanted is None:
            return self._listing([])
        found = queue.listing(wanted, queue.time())
        return replace(found, most_bytes=self._context.settings.max_reply_bytes)

    def find_job_ads(self, constraint: str | None, part: Part | None = None) -> AdList:
        """What `get_job_ads` answers as records; with a `part`, at least what is in it."""
        wanted, queue = self._visible(constraint), self._context.queue
        if wanted is None:
            return self._listing([])
        found = queue.query(wanted, queue.time(), part)
        return replace(found, most_bytes=self._context.settings.max_reply_bytes)

    def history(self, constraint: str | None, before: JobId | None, most: int) -> AdList:
        """At most `most` jobs that have left the queue, the last that left first, those that left before
        `before` did, if that is given. Raises UnknownJob when that is not in the history.
        """
        wanted, queue = self._visible(constraint), self._context.queue
        if wanted is None:
            return self._listing([])
        return queue.history(wanted, before, most, queue.time())

    def get_job_ad(self, txn: Transaction | None, cluster: int, proc: int) -> AdList:
        """One committed job. Raises UnknownJob."""
        self._renew_if_any(txn)
        job = JobId(cluster, proc)
        self._context.check_owner(job)
        record = self._context.queue.job(job)
        if record is None:
            raise UnknownJob(f"The specified job is unknown: {job}")
        return self._listing([record])

    def version_string(self) -> str:
        """`$CondorVersion: ... $`, Birdbath's and that of the pool behind it."""
        return of_both(self._context.settings.version_string, self._context.queue.software()[0], " Pool: ")

    def platform_string(self) -> str:
        """`$CondorPlatform: ... $`, likewise, with a slash between them."""
        pools = self._context.queue.software()[1]  # clients look for one word
        return of_both(self._context.settings.platform_string, pools, "/")

    # Parts

    def _renew(self, txn: Transaction | None) -> Lease:
        context = self._context
        return transactions.renew(
            context.unit,
            txn,
            context.caller.account,
            context.settings.max_transaction_duration,
            context.committing,
        )

    def _renew_if_any(self, txn: Transaction | None) -> Lease | None:
        if txn is None or txn.id == 0:
            return None
        if self._context.unit_of_work is not None:
            return self._renew(txn)
        if self._renewal is None:
            raise Elsewhere(txn)
        if self._renewal.error is not None:
            raise self._renewal.error
        return None

    def _act(self, txn: Transaction | None, action: JobAction, job: JobId, details: ActionDetails) -> None:
        actions.act(self._context, self._renew_if_any(txn), action, job, details)

    def _visible(self, constraint: str | None) -> Constraint | None:
        """The constraint on what the caller may see; None when it selects nothing, being none."""
        settings = self._context.settings
        parsed = client_constraint(constraint, settings.strict, settings.max_query_seconds)
        return None if parsed is None else self._context.visible(parsed)

    def _listing(self, records: Sequence[AdRecord]) -> AdList:
        return AdList(records, int(self._context.queue.time()))
