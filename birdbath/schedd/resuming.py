"""Open transactions when a server starts and when it ends.

What a transaction stages may be relaxed until its commit (see `Boots`). So a machine that lost power may have
lost the end of it, and its client could not know: then the transaction is over, all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from birdbath.pool.base import JobId, JobQueue
from birdbath.schedd import staging, transactions
from birdbath.schedd.context import ScheddContext
from birdbath.schedd.ending import discard
from birdbath.store.boots import Boots
from birdbath.store.unit_of_work import UnitOfWork

_OPEN_FILES = 200


def resume(context: ScheddContext, boots: Boots, relaxed: bool) -> int:
    """Renew every lease once; or, when power may have been lost since something `relaxed` was written, end
    all transactions, and pass over the ids that they may have had. Returns how many were ended.

    When nothing is `relaxed` from now on, what was is on disk when the unit is.
    """
    ended = []
    if boots.begin(context.unit, relaxed):
        ended = transactions.open_ones(context.unit)
        for identifier in ended:
            discard(context, identifier)
        context.unit.skip_reserved()
    elif not relaxed:
        settle_all(context.unit, context.queue)
    transactions.renew_all(context.unit)
    return len(ended)


def settle(unit: UnitOfWork, queue: JobQueue, files: Iterable[tuple[JobId, str | None]]) -> None:
    """Let the sandboxes of these jobs, and the files named beside them, be on disk when the unit is; those of
    a job follow each other.
    """
    for job, group in groupby(files, key=lambda file: file[0]):
        if unit.open_files > _OPEN_FILES:
            unit.sync_files()
        queue.sandbox(job).settle(unit, [name for _, name in group if name is not None])


def settle_all(unit: UnitOfWork, queue: JobQueue) -> None:
    """`settle` for all open transactions."""
    settle(unit, queue, staging.all_files(unit))
