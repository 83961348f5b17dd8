"""An existing event log as a file that grows, is rotated, or is cut: where one is in it, and what comes next.

The place is a file's identity and an offset in it. The identity is taken from the beginning of the first
event, so it stays the same when the file is renamed by rotation, and tells a file from another that took its
name. Rotated files are those that HTCondor's EVENT_LOG_MAX_ROTATIONS makes: `.old`, or `.1`, `.2`, ... from
the newest to the oldest.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from birdbath.events.logs import LogForm, UnreadableLog, complete_events, log_form

_log = logging.getLogger(__name__)

READ_AT_ONCE = 1 << 20
LARGEST_EVENT = 64 << 20
_GLOBAL_HEADER = re.compile(rb"Global JobLog: ctime=[0-9]+ id=\S+")
_HEAD_BYTES = 256


@dataclass(frozen=True)
class Place:
    """Up to where a log was dealt with: the file's identity, the offset in bytes, and how many events that
    were.
    """

    identity: str = ""
    offset: int = 0
    events: int = 0


@dataclass(frozen=True)
class LoggedBytes:
    """One complete event, where it stands, and the place after it."""

    data: bytes
    form: LogForm
    start: int
    after: Place


def say_passed_over(log: Path, found: LoggedBytes, reason: UnreadableLog) -> None:
    """Let the log of this process tell of a record that is no event."""
    _log.error("%s: passed over %d bytes at offset %d: %s", log, len(found.data), found.start, reason)


def identity(descriptor: int) -> str:
    """What a log's file is known by, whatever its name; empty while it has no complete event.

    The pool-wide log's header is rewritten when it is rotated; its creation time and id stay.
    """
    head = os.pread(descriptor, READ_AT_ONCE, 0)
    form = log_form(head)
    first = next(complete_events(head, form), None) if form else None
    if first is None:
        return ""
    event = head[first[0] : first[1]].rstrip()  # its newline may be still to come
    header = _GLOBAL_HEADER.search(event)
    return hashlib.sha256(header[0] if header else event[:_HEAD_BYTES]).hexdigest()[:32]


class LogFile:
    """Reads a log from a place on, over its rotations. Not for several threads."""

    def __init__(self, path: Path, place: Place = Place()) -> None:
        self.path = path
        self.place = place
        self._descriptor: int | None = None
        self._form: LogForm | None = None
        self._finished: set[str] = set()

    def close(self) -> None:
        """Close what is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_there(self) -> bool:
        """Whether the log, or a rotation of it, is there."""
        return any(self._files())

    def read(self, most: int = 1000) -> list[LoggedBytes]:
        """The next complete events, at most `most`; none when there are none yet. Raises OSError and
        UnreadableLog, which name the file.
        """
        try:
            return self._read(most)
        except OSError as error:
            if error.filename is None:
                error.filename = str(self.path)
            raise
        except UnreadableLog as error:
            raise UnreadableLog(f"{self.path}: {error}") from None

    def _read(self, most: int) -> list[LoggedBytes]:
        while True:
            if self._descriptor is None and not self._open():
                return []
            self._notice_truncation()
            if found := list(self._events(most)):
                self.place = found[-1].after
                return found
            if not self._next_file():
                return []

    def _open(self) -> bool:
        """Open the file that the place is in, or the log itself when there is no place yet."""
        files = list(self._files())
        if not files:
            return False
        for path in files:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # Without a place, the oldest file there is comes first.
                is_it = not self.place.identity or identity(descriptor) == self.place.identity
            except BaseException:  # it is no log
                os.close(descriptor)
                raise
            if is_it:
                self._use(descriptor)
                return True
            os.close(descriptor)
        _log.warning("%s: the file read last is gone; events in it may be missing", self.path)
        self.place = Place(events=self.place.events)
        return self._open()

    def _files(self) -> Iterator[Path]:
        """The log's files that are there, from the oldest to the newest."""
        numbered = [
            (int(path.suffix[1:]), path)
            for path in self.path.parent.glob(f"{glob.escape(self.path.name)}.*")
            if path.suffix[1:].isdecimal() and path.name == f"{self.path.name}{path.suffix}"
        ]
        yield from (path for _, path in sorted(numbered, reverse=True))
        yield from (p for p in (self.path.with_name(f"{self.path.name}.old"), self.path) if p.exists())

    def _use(self, descriptor: int) -> None:
        self.close()
        self._descriptor, self._form = descriptor, None

    def _notice_truncation(self) -> None:
        assert self._descriptor is not None
        if not self.place.identity:
            return
        shrunk = os.fstat(self._descriptor).st_size < self.place.offset
        if shrunk or identity(self._descriptor) != self.place.identity:
            _log.warning("%s was cut; going on at its new beginning", self.path)
            self.place = Place(events=self.place.events)
            self._form = None

    def _next_file(self) -> bool:
        """Go on to the file after the one that is open, if it was rotated away and is read to its end."""
        assert self._descriptor is not None
        files = list(self._files())
        here = os.fstat(self._descriptor)
        keys = [(status.st_dev, status.st_ino) for status in (path.stat() for path in files)]
        if (here.st_dev, here.st_ino) in keys:
            files = files[keys.index((here.st_dev, here.st_ino)) + 1 :]
        # else it was the oldest and is deleted: what is there and was not read is newer
        following = next((path for path in files if not self._was_read(path)), None)
        if following is None:
            return False
        if list(self._events(1)):
            return True  # written between the last look and the rotation
        self._finished.add(self.place.identity)
        self._use(os.open(following, os.O_RDONLY | os.O_CLOEXEC))
        self.place = Place(events=self.place.events)
        return True

    def _was_read(self, path: Path) -> bool:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return identity(descriptor) in self._finished
        finally:
            os.close(descriptor)

    def _events(self, most: int) -> Iterator[LoggedBytes]:
        data, form = self._complete()
        if form is None:
            return
        name = self.place.identity or identity(self._descriptor or 0)
        place = replace(self.place, identity=name)
        start_of_data = self.place.offset
        for number, (start, end) in enumerate(complete_events(data, form)):
            if number == most:
                return
            place = Place(name, start_of_data + end, place.events + 1)
            yield LoggedBytes(data[start:end], form, start_of_data + start, place)

    def _complete(self) -> tuple[bytes, LogForm | None]:
        """Bytes from the place on, with at least one complete event if there is one."""
        assert self._descriptor is not None
        size = READ_AT_ONCE
        while True:
            data = os.pread(self._descriptor, size, self.place.offset)
            self._form = self._form or log_form(os.pread(self._descriptor, _HEAD_BYTES, 0))
            if self._form is None or len(data) < size or any(complete_events(data, self._form)):
                return data, self._form
            size *= 2
            if size > LARGEST_EVENT:
                raise UnreadableLog(f"an event of more than {LARGEST_EVENT} bytes")
