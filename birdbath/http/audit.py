"""The trail: one line of JSON for each call that changes something, or was to.

Who, from where, what ids, the outcome, how long it took, and the reference number that a fault carries. No
payloads, no passwords, no tokens. The file is its owner's to read only, because ids of open transactions are
in it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import orjson

from birdbath.access import Caller
from birdbath.errors import BirdbathError
from birdbath.soap import new_reference

_log = logging.getLogger(__name__)

KEPT_FILES: Final = 5
LINE_EVERY: Final = 1.0
"""Seconds between lines of refusals of a kind: the trail has to last while a client is refused on and on."""
_MOST_KINDS: Final = 10_000
_LONGEST = 200
_MOST_TRIES: Final = 3
"""Files found in the place of a full one, as other servers rotate too, before a line goes into the last."""


class UnusableAuditLog(BirdbathError):
    """The audit log cannot be written."""


class Audit:
    """Writes the trail; without a path nowhere."""

    def __init__(self, path: Path | None = None, max_bytes: int = 64 << 20) -> None:
        """Raises UnusableAuditLog. The file is rotated when it has `max_bytes`; five old ones are kept."""
        self._file: _TrailFile | None = None
        self._pool: dict[str, str] = {}
        if path is not None:
            try:
                self._file = _TrailFile(path, maxBytes=max_bytes, backupCount=KEPT_FILES)
            except OSError as error:
                raise UnusableAuditLog(f"Cannot write the audit log {path}: {error.strerror}") from None

    def of(self, pool: str) -> Audit:
        """The same trail for the calls to one of several pools, whose lines name it."""
        made = Audit()
        made._file = self._file
        made._pool = {"pool": pool}
        return made

    def call(
        self,
        operation: str,
        caller: Caller,
        ids: dict[str, int | str],
        outcome: str,
        seconds: float,
        reference: str,
    ) -> None:
        """Write the line of a call."""
        if self._file is None:
            return
        self._write(
            {
                "reference": reference,
                "operation": operation,
                "account": caller.account,
                "address": caller.address,
                **({**ids, "file": str(ids["file"])[:_LONGEST]} if "file" in ids else ids),
                "outcome": outcome,
                "ms": round(seconds * 1000, 2),
            }
        )

    def refused(
        self, address: str, status: int, reference: str, before: int | None = None, repeated: int = 0
    ) -> None:
        """Write the line of a request that was refused before it was read.

        With `before` it stands for more such requests, and tells how many were refused before it; `repeated`
        tells how many of its kind had none since the line before.
        """
        if self._file is None:
            return
        fields: dict[str, Any] = {"reference": reference, "address": address, "outcome": str(status)}
        fields |= {"repeated": repeated} if repeated else {}
        self._write(fields if before is None else fields | {"refused_before": before})

    def route(self, route: str, caller: Caller, outcome: str, seconds: float) -> None:
        """Write the line of a request that is no call: its method and path."""
        if self._file is None:
            return
        self._write(
            {
                "reference": new_reference(),
                "operation": route[:_LONGEST],
                "account": caller.account,
                "address": caller.address,
                "outcome": outcome,
                "ms": round(seconds * 1000, 2),
            }
        )

    def _write(self, fields: dict[str, Any]) -> None:
        assert self._file is not None
        line = {"time": datetime.now(UTC), **self._pool, **fields}
        self._file.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()


class Refusals:
    """The lines of requests that are refused before they are read: the first of a second has one, for each
    address and status. The others of that second carry its reference, and the next line tells how many there
    were.
    """

    def __init__(self, audit: Audit, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._last: dict[tuple[str, int], tuple[float, str, int]] = {}

    def reference(self, address: str, status: int) -> str:
        """The reference of a refusal, in hexadecimal; the trail has it."""
        kind, now = (address, status), self._clock()
        until, reference, more = self._last.get(kind, (now, "", 0))
        if now < until:
            self._last[kind] = until, reference, more + 1
            return reference
        if len(self._last) >= _MOST_KINDS:
            self._last.clear()
        reference = new_reference()
        self._last[kind] = now + LINE_EVERY, reference, 0
        self._audit.refused(address, status, reference, repeated=more)
        return reference


class _TrailFile(RotatingFileHandler):
    """Rotated as the library does, but written to by one system call a line: the library makes five, and a
    record of each. Several servers may write to it: one of them rotates it, and the others follow.
    """

    def append(self, line: bytes) -> None:
        """Write a line; one that cannot be written is told to the log, and lost."""
        self.acquire()
        try:
            if self.stream is None:  # it was closed to be rotated, and could not be
                self.stream = self._open()
            for _ in range(_MOST_TRIES):
                if self._takes(len(line)) or self._rotated(self.stream):
                    break
            os.write(self.stream.fileno(), line)
        except OSError as error:
            _log.error("The audit log cannot be written: %s", error.strerror)
        finally:
            self.release()

    def _takes(self, size: int) -> bool:
        """Whether the file is in its place, and has room for `size` bytes."""
        found = self._in_place()
        return found is not None and found.st_size + size <= self.maxBytes

    def _in_place(self) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            found = os.stat(self.baseFilename)
            if (found.st_dev, found.st_ino) == self._opened:
                return found
        return None

    def _rotated(self, stream: TextIOWrapper) -> bool:
        """Rotate the file; False when another server has done so, whose file is the one from now on."""
        lock = os.dup(stream.fileno())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._in_place() is not None:
                self.doRollover()
                return True
        finally:
            os.close(lock)
        self.stream = None
        stream.close()
        self.stream = self._open()
        return False

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        found = os.fstat(descriptor)
        self._opened = found.st_dev, found.st_ino
        return open(descriptor, "a", encoding="utf-8")
