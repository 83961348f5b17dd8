"""The trail: one line of JSON for each call that changes something, or was to.

Who, from where, what ids, the outcome, how long it took, and the reference number that a fault carries. No
payloads, no passwords, no tokens. The file is its owner's to read only, because ids of open transactions are
in it.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import orjson

from birdbath.access import Caller
from birdbath.errors import BirdbathError

KEPT_FILES: Final = 5
_LONGEST = 200


class UnusableAuditLog(BirdbathError):
    """The audit log cannot be written."""


class Audit:
    """Writes the trail; without a path nowhere."""

    def __init__(self, path: Path | None = None, max_bytes: int = 64 << 20) -> None:
        """Raises UnusableAuditLog. The file is rotated when it has `max_bytes`; five old ones are kept."""
        self._handler: logging.Handler | None = None
        self._pool: dict[str, str] = {}
        if path is not None:
            try:
                self._handler = _PrivateFile(path, maxBytes=max_bytes, backupCount=KEPT_FILES)
            except OSError as error:
                raise UnusableAuditLog(f"Cannot write the audit log {path}: {error.strerror}") from None

    def of(self, pool: str) -> Audit:
        """The same trail for the calls to one of several pools, whose lines name it."""
        made = Audit()
        made._handler = self._handler
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
        if self._handler is None:
            return
        self._write(
            {
                "reference": reference,
                "operation": operation,
                "account": caller.account,
                "address": caller.address,
                **{
                    name: value[:_LONGEST] if isinstance(value, str) else value for name, value in ids.items()
                },
                "outcome": outcome,
                "ms": round(seconds * 1000, 2),
            }
        )

    def refused(self, address: str, status: int, reference: str, before: int | None = None) -> None:
        """Write the line of a request that was refused before it was read.

        With `before` it stands for more such requests, and tells how many were refused before it.
        """
        if self._handler is None:
            return
        fields: dict[str, Any] = {"reference": reference, "address": address, "outcome": str(status)}
        self._write(fields if before is None else fields | {"refused_before": before})

    def _write(self, fields: dict[str, Any]) -> None:
        assert self._handler is not None
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")} | self._pool | fields
        text = orjson.dumps(line).decode()
        self._handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Give the file back."""
        if self._handler is not None:
            self._handler.close()


def _short(value: int | str) -> int | str:
    return value[:_LONGEST] if isinstance(value, str) else value


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", encoding="utf-8")
