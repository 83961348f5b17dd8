"""A file that is read again when it changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from birdbath.credentials.errors import UnusableCredentials

T = TypeVar("T")

LOOK_EVERY = 1.0
"""Seconds between looks at the file: a look costs as much as a cached password."""

_log = logging.getLogger(__name__)


class Reread(Generic[T]):
    """The parsed content of a file, at most `LOOK_EVERY` seconds old.

    A file that cannot be read any more keeps its last content, for somebody may be about to replace it, and
    a slip locks nobody out. What was taken out of it counts still, so `look` tells, and the log has an error
    for each state of the file that cannot be read. The first time that raises UnusableCredentials.
    `version` changes when the content does. `parse` raises ValueError without secrets in its text.
    """

    def __init__(
        self, path: Path, parse: Callable[[bytes], T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._parse = parse
        self._clock = clock
        self._looked = clock()
        self._seen = self._stamp()
        self._content = self._read()
        self._trouble: str | None = None
        self._broken: object = None
        self.version = 0

    @property
    def content(self) -> T:
        self.look()
        return self._content

    def look(self) -> str | None:
        """Look at the file unless that was done just now: what is wrong with it, naming it; None when it is
        well.
        """
        now = self._clock()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look()
        return self._trouble

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp is not None and stamp == self._seen:
            self._mend()
            return
        try:
            content = self._read()
        except UnusableCredentials as error:  # perhaps half written: it is tried again at the next look
            self._complain(str(error), stamp)
            return
        self._seen, self._content, self.version = stamp, content, self.version + 1
        self._mend()

    def _complain(self, trouble: str, stamp: object) -> None:
        if self._trouble is None or self._broken != (stamp, trouble):
            _log.error("%s. What was read from it before counts still", trouble)
        self._trouble, self._broken = trouble, (stamp, trouble)

    def _mend(self) -> None:
        if self._trouble is not None:
            _log.info("%s can be read again", self._path)
        self._trouble = None

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        # The time of the last change of mode or owner, too: they decide whether the file can be read.
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _read(self) -> T:
        try:
            return self._parse(self._path.read_bytes())
        except OSError as error:
            raise UnusableCredentials(f"Cannot read {self._path}: {error.strerror}") from None
        except UnicodeDecodeError as error:  # whose own text shows what is there
            raise UnusableCredentials(f"{self._path}: byte {error.start + 1} is not UTF-8") from None
        except ValueError as error:
            raise UnusableCredentials(f"{self._path}: {error}") from None


class Files:
    """The files that a credential table names; each is one `Reread`, however many rows name it."""

    def __init__(self) -> None:
        self._opened: dict[tuple[Path, object], Reread[Any]] = {}

    def open(self, path: Path, parse: Callable[[bytes], T]) -> Reread[T]:
        """The file, as `parse` reads it. Raises UnusableCredentials."""
        opened: Reread[T] | None = self._opened.get((path, parse))
        if opened is None:
            opened = self._opened[path, parse] = Reread(path, parse)
        return opened

    def trouble(self) -> str | None:
        """What is wrong with those that cannot be read at the moment. May read files: not on the loop."""
        return "; ".join(filter(None, (file.look() for file in self._opened.values()))) or None
