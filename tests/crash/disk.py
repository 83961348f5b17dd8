"""A disk that loses power: what was not synced is gone.

The spool as it is on disk is modelled from the calls of os.fsync alone: a file holds what it held when it
was last synced, a directory has the entries that it had then, and what nobody ever synced is not there.
When the power goes, the spool is made to look like that, and the process dies. Everything found at the
start counts as synced. Of the database, SQLite's log is put back to what it was after the last commit that
was synced, as the unit of work says: what relaxed ones have written since is lost. Between such commits the
database itself does not change.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import threading
from pathlib import Path

from birdbath.store import syncing
from birdbath.store.writer import _Batch


def switch_of(home: Path) -> Path:
    """The file that is locked while the power goes."""
    return home / "power-switch"


class Disk:
    """Watches a home folder from now on, and loses power at the `cut`-th sync of its spool."""

    def __init__(self, home: Path, cut: int) -> None:
        self._spool = spool = home / "spool"
        self._log_path = home / "birdbath.db-wal"
        self._log = self._log_now()
        self._switch = os.open(switch_of(spool.parent), os.O_RDWR | os.O_CREAT, 0o600)
        self._remaining = cut
        self._contents: dict[int, bytes] = {}
        self._entries: dict[int, dict[str, int]] = {}
        for path in (spool, *spool.rglob("*")):
            if path.exists():
                self._took(path)
        self._one_at_a_time = threading.Lock()
        self._fsync = os.fsync
        os.fsync = self.sync  # type: ignore[assignment]  # of files the server only has descriptors
        syncing._kernel = lambda: None  # what the kernel is asked for at once it would not see
        commit = _Batch.commit

        def committing(batch: _Batch) -> None:
            commit(batch)
            if not batch.unit.relaxed:
                self._log = self._log_now()

        _Batch.commit = committing  # type: ignore[method-assign,assignment]

    def sync(self, descriptor: int) -> None:
        """os.fsync, remembered."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        with self._one_at_a_time:
            if self._spool in (path, *path.parents):
                self._remaining -= 1
                if self._remaining <= 0:
                    self.lose_power()
                if path.exists():
                    self._took(path)
        self._fsync(descriptor)

    def lose_power(self) -> None:
        """Put the spool into its synced state and die.

        Half of that would be a disk that never was: whoever kills by the clock takes the same lock.
        """
        fcntl.flock(self._switch, fcntl.LOCK_EX)
        self._restore(self._spool)
        if self._log_now() != self._log:
            self._log_path.write_bytes(self._log)
        os.kill(os.getpid(), signal.SIGKILL)

    def _log_now(self) -> bytes:
        return self._log_path.read_bytes() if self._log_path.exists() else b""

    def _took(self, path: Path) -> None:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            self._entries[status.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._contents[status.st_ino] = path.read_bytes()

    def _restore(self, directory: Path) -> None:
        synced = self._entries.get(directory.stat().st_ino, {})
        for entry in list(os.scandir(directory)):
            path = directory / entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if synced.get(entry.name) != entry.inode():
                shutil.rmtree(path) if is_directory else path.unlink()
            elif is_directory:
                self._restore(path)
            else:
                path.write_bytes(self._contents.get(entry.inode(), b""))
