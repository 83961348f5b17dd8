"""Events into a file that is rotated as HTCondor rotates its event log."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from birdbath.events import EventRecord, Form
from birdbath.notify.deliveries import SinkFailed
from birdbath.store.files import sync_directory

_TAIL = 1 << 16
_ENDS: Mapping[str, bytes] = {"text": b"\n...\n", "xml": b"</c>\n"}
_BEGINNINGS: Mapping[str, re.Pattern[bytes]] = {
    "text": re.compile(rb"[0-9]{1,3}\Z|[0-9]{3} (\(|\Z)"),
    "xml": re.compile(rb"<(c>|c?\Z)"),
    "json": re.compile(rb"\{"),
    "cloudevents": re.compile(rb"\{"),
    "classad": re.compile(rb"\["),
}
"""What the beginning of an event looks like, however short."""


class FileSink:
    """Appends to `path`; a file that would grow over `max_size` bytes is rotated first (0: never).

    `max_rotations` files are kept besides: 1 is called `.old`, several are `.1` (the newest), `.2`, ...
    (EVENT_LOG_MAX_SIZE and EVENT_LOG_MAX_ROTATIONS of HTCondor). What was delivered is on disk.
    """

    def __init__(self, path: Path, form: Form, max_size: int = 0, max_rotations: int = 1) -> None:
        self.path = path
        self._form = form
        self._max_size = max_size
        self._max_rotations = max_rotations
        self._descriptor: int | None = None
        self._taken = 0

    def open(self) -> None:
        """Open the file now rather than with the first event. Raises SinkFailed when it cannot be, or holds
        something else than events of the form at its end.
        """
        with self._closed_on_failure():
            self._open()

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`."""
        self._taken = 0
        with self._closed_on_failure():
            await asyncio.to_thread(self._append, [self._line(event) for event in events])

    async def close(self) -> None:
        """See `Sink.close`."""
        self._close()

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._close()
            raise SinkFailed(f"{self.path}: {error.strerror or error}", self._taken) from None
        except SinkFailed:
            self._close()
            raise

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _line(self, event: EventRecord) -> bytes:
        return self._form(event).rstrip(b"\n") + b"\n"

    def _append(self, lines: Sequence[bytes]) -> None:
        descriptor = self._open()
        size = os.fstat(descriptor).st_size
        waiting = bytearray()
        for number, line in enumerate(lines):
            if self._max_size and size + len(waiting) + len(line) > self._max_size and size + len(waiting):
                _write(descriptor, waiting)
                self._taken = number
                descriptor = self._rotated()
                size, waiting = 0, bytearray()
            waiting += line
        _write(descriptor, waiting)

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            sync_directory(self.path.parent)
            self._cut_torn_event()
        return self._descriptor

    def _cut_torn_event(self) -> None:
        """Take away the beginning of an event that a crash left at the end: the whole event comes again.

        Raises SinkFailed for anything else: it may be somebody's, and events after it would not be read.
        """
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _TAIL)
        tail = os.pread(self._descriptor, _TAIL, start)
        end = _ENDS.get(self._form.name, b"\n")
        if not tail or tail.endswith(end):
            return
        found = tail.rfind(end)
        whole = found + len(end) if found >= 0 else 0
        if (found < 0 and start) or not _BEGINNINGS[self._form.name].match(tail, whole):
            raise SinkFailed(f"{self.path} does not end with an event in the form {self._form.name}")
        os.ftruncate(self._descriptor, start + whole)

    def _rotated(self) -> int:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        name, most = self.path.name, self._max_rotations
        if most < 1:
            self.path.unlink()
        elif most == 1:
            self.path.replace(self.path.with_name(f"{name}.old"))
        else:
            for number in range(most - 1, 0, -1):
                older = self.path.with_name(f"{name}.{number}")
                if older.exists():
                    older.replace(self.path.with_name(f"{name}.{number + 1}"))
            self.path.replace(self.path.with_name(f"{name}.1"))
        return self._open()


def _write(descriptor: int, data: bytearray) -> None:
    """Append `data`, or nothing: what there is room for would be there twice when all of it comes again."""
    size = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


class OutputSink:
    """Writes events to an open stream, such as standard output."""

    def __init__(self, stream: BinaryIO, form: Form) -> None:
        self._stream = stream
        self._form = form

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """See `Sink.deliver`. Raises OSError when nobody reads any more."""
        for event in events:
            self._stream.write(self._form(event).rstrip(b"\n") + b"\n")
        self._stream.flush()

    async def close(self) -> None:
        """See `Sink.close`: the stream belongs to others."""
