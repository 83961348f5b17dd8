"""What a Schedd does that its pool does not: transactions, staged submissions, files, job templates,
ownership.
"""

from birdbath.access import Caller
from birdbath.schedd.context import Elsewhere, ScheddContext, ScheddSettings
from birdbath.schedd.ending import discard, expire_transactions
from birdbath.schedd.resuming import resume, settle_all
from birdbath.schedd.service import Renewal, Schedd
from birdbath.schedd.transactions import Transaction, renew_all
from birdbath.store.sandbox import FileInfo

__all__ = [
    "Caller",
    "Elsewhere",
    "FileInfo",
    "Renewal",
    "Schedd",
    "ScheddContext",
    "ScheddSettings",
    "Transaction",
    "discard",
    "expire_transactions",
    "renew_all",
    "resume",
    "settle_all",
]
