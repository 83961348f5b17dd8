"""Whether the machine may have lost power since this database was written to.

What relaxed units have written survives the death of their process, but not that of the machine; and what the
pages of a file system's cache lose, nobody is told of. The kernel, however, has a number for each of its
boots.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from birdbath.store.unit_of_work import UnitOfWork
from birdbath.store.writer import Writer

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_READ = text("SELECT value FROM counters WHERE name = 'boot'")
_WRITE = text(
    "INSERT INTO counters (name, value) VALUES ('boot', :boot)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_CLEAN: Final = 0


def number_of_boot() -> int | None:
    """A number that no other boot of a machine has; None where the system tells none."""
    try:
        return uuid.UUID(_BOOT_ID.read_text().strip()).int >> 66 or None
    except (OSError, ValueError):
        return None


def anything_relaxed(unit: UnitOfWork) -> bool:
    """Whether a server that works on this database writes relaxed units, or did and was killed."""
    return _noted(unit) != _CLEAN


def _noted(unit: UnitOfWork) -> int:
    row = unit.first(_READ)
    return _CLEAN if row is None else int(row.value)


class Boots:
    """Notes in a database that relaxed units write to it, as long as they do.

    Several servers may work on one database, which is then of one machine; the last to end says that all is
    on disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock: int | None = None
        if engine.dialect.name == "sqlite":
            path = f"{engine.url.database}.relaxed"
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._boot = number_of_boot()

    @property
    def tell(self) -> bool:
        """Whether a loss of power will be noticed at the next start."""
        return self._lock is not None and self._boot is not None

    def begin(self, unit: UnitOfWork, relaxed: bool) -> bool:
        """Note, to be durable before anything is relaxed, that something will be if `relaxed`. Returns
        whether power may have been lost since something was.
        """
        before = _noted(unit)
        lost = before not in (_CLEAN, self._boot)
        if relaxed or lost:
            unit.execute(_WRITE, {"boot": self._boot if relaxed else _CLEAN})
        return lost

    def end(self, writer: Writer, settle: Callable[[UnitOfWork], None]) -> None:
        """Nothing of this server is relaxed any more. When nobody else's is either, all that was is synced by
        `settle` and the commit of its unit, which notes that.
        """
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            writer.write_now(lambda unit: self._settled(unit, settle))
        finally:
            os.close(self._lock)
            self._lock = None

    @staticmethod
    def _settled(unit: UnitOfWork, settle: Callable[[UnitOfWork], None]) -> None:
        if anything_relaxed(unit):
            settle(unit)
            unit.execute(_WRITE, {"boot": _CLEAN})
