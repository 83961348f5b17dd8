"""How many jobs may come, how much one account, and all together, may have in open transactions, and when the
disk is too full.
"""

from __future__ import annotations

import os

from sqlalchemy import String, bindparam, func, select, update

from birdbath.errors import BirdbathError
from birdbath.schedd import staging
from birdbath.schedd.context import ScheddContext
from birdbath.store.tables import transactions

NO_LIMIT = 2147483647
_OWN = transactions.c.account.is_not_distinct_from(bindparam("beginner", type_=String))
_OPEN = select(func.count()).select_from(transactions).where(_OWN)
_STAGED = select(
    func.coalesce(func.sum(transactions.c.staged_bytes), 0),
    select(func.coalesce(func.sum(transactions.c.staged_bytes), 0)).where(_OWN).scalar_subquery(),
)
_ADD = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"))
    .values(staged_bytes=transactions.c.staged_bytes + bindparam("more"))
)


def check_transactions(context: ScheddContext) -> None:
    """Raise BirdbathError when the caller's account has as many open transactions as it may."""
    most = context.settings.max_transactions_per_owner
    if not most:
        return
    ((count,),) = context.unit.execute(_OPEN, {"beginner": context.caller.account})
    if count >= most:
        raise BirdbathError(f"Could not begin a transaction: at most {most} may be open")


def check_jobs(context: ScheddContext, transaction: int, what: str) -> None:
    """Raise BirdbathError, which says `what` came of it, when no more jobs may come.

    Jobs that are not committed yet count too; of an owner, those of this transaction.
    """
    settings, queue, unit = context.settings, context.queue, context.unit
    account, limit = context.caller.account, settings.max_jobs_submitted
    if limit < NO_LIMIT and queue.count() + staging.all_jobs_count(unit) >= limit:
        raise BirdbathError(f"{what}: MAX_JOBS_SUBMITTED is {limit}")
    limit = settings.max_jobs_per_owner
    if account is None or limit >= NO_LIMIT:
        return
    if queue.count(account) + staging.job_count(unit, transaction) >= limit:
        raise BirdbathError(f"{what}: MAX_JOBS_PER_OWNER is {limit}")


def check_disk(context: ScheddContext, folder: str, more: int = 0) -> None:
    """Raise BirdbathError when less than `min_free_bytes` would be left on the disk of `folder`.

    The rest is for the database: it must be able to say what has become of the jobs that are there.
    """
    least = context.settings.min_free_bytes
    if not least:
        return
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize - more < least:
        raise BirdbathError("No space left on device: the server keeps the rest for its database")


def check_staged(context: ScheddContext, more: int) -> None:
    """Raise BirdbathError when `more` bytes of files would be more than may be in open transactions."""
    settings = context.settings
    if more > 0 and (settings.max_staged_bytes or settings.max_staged_bytes_per_owner):
        ((everybody, own),) = context.unit.execute(_STAGED, {"beginner": context.caller.account})
        for staged, most in (
            (everybody, settings.max_staged_bytes),
            (own, settings.max_staged_bytes_per_owner),
        ):
            if most and staged + more > most:
                raise BirdbathError(f"At most {most} bytes may be staged in open transactions")


def count_staged(context: ScheddContext, transaction: int, more: int) -> None:
    """Count `more` bytes of files to a transaction, when they are there: what the disk did not take would be
    counted anew with each attempt.
    """
    if more > 0:
        context.unit.execute(_ADD, {"transaction": transaction, "more": more})
