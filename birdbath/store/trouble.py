"""Trouble of the machine, told from mistakes of the program: a full or failing disk, a lost database."""

from __future__ import annotations

import errno
import os

from birdbath.errors import BirdbathError
from birdbath.store.unit_of_work import TransactionLost

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class StorageTrouble(BirdbathError):
    """What was asked could not be made durable, because of the disk or database; it may be asked again."""


def trouble_of(error: BaseException) -> StorageTrouble | None:
    """The trouble that an error stands for; None when it is no such thing."""
    if isinstance(error, OSError):
        # What Python itself raises has no number, such as TimeoutError: no disk has said it.
        if error.errno is None:
            return None
        text = os.strerror(error.errno)
        return StorageTrouble(
            "The server's disk is full" if error.errno in _FULL else f"The server's disk: {text}"
        )
    if isinstance(error, TransactionLost):
        return (
            trouble_of(error.__cause__) if error.__cause__ else StorageTrouble("The server's database failed")
        )
    # The name that every driver gives it, as PEP 249 says; SQLAlchemy wraps some of them under the same name.
    if not any(kind.__name__ == "OperationalError" for kind in type(error).__mro__):
        return None
    text = str(getattr(error, "orig", None) or error).strip() or "no reason given"
    if "is full" in text:
        return StorageTrouble("The server's disk is full")
    return StorageTrouble(f"The server's database failed: {text.splitlines()[0]}")
