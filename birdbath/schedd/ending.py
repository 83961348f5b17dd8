"""How a transaction ends without a commit: asked for, or because its lease has run out."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from birdbath.schedd import staging, transactions
from birdbath.schedd.context import ScheddContext
from birdbath.store.sandbox import Sandbox

SMALL_COMMIT = 50
"""Jobs up to which everybody can wait for what has to be done for each."""


def discard(context: ScheddContext, transaction: int) -> None:
    """Forget a transaction and, once that is durable, the sandboxes of its jobs."""
    unit = context.unit
    sandboxes = [context.sandbox(job) for job in staging.job_ids(unit, transaction)]
    staging.forget(unit, transaction)
    transactions.end(unit, transaction)
    unit.after_commit(lambda: _remove(sandboxes))


def _remove(sandboxes: Sequence[Sandbox]) -> None:
    if len(sandboxes) <= SMALL_COMMIT:
        _remove_all(sandboxes)
    else:  # every caller would wait for it; what a crash leaves undone the sweep of the spool does
        Thread(target=_remove_all, args=(sandboxes,), daemon=True).start()


def _remove_all(sandboxes: Sequence[Sandbox]) -> None:
    for sandbox in sandboxes:
        sandbox.remove()


def expire_transactions(context: ScheddContext) -> int:
    """Abort every transaction whose lease has run out; how many there were."""
    ended = transactions.expired(context.unit)
    for identifier in ended:
        discard(context, identifier)
    return len(ended)
