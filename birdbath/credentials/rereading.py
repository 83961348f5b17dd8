"""A file that is read again when it changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from birdbath.credentials.errors import UnusableCredentials

T = TypeVar("T")

LOOK_EVERY = 1.0
"""Seconds between looks at the file: a look costs as much as a cached password."""


class Reread(Generic[T]):
    """The parsed content of a file, at most `LOOK_EVERY` seconds old.

    A file that cannot be read any more keeps its last content: somebody is about to replace it. The first
    time that raises UnusableCredentials. `version` changes when the content does.
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
        self.version = 0

    @property
    def content(self) -> T:
        now = self._clock()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look()
        return self._content

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        try:
            content = self._read()
        except UnusableCredentials:
            return  # half written; the next look will tell
        self._seen, self._content, self.version = stamp, content, self.version + 1

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> T:
        try:
            return self._parse(self._path.read_bytes())
        except OSError as error:
            raise UnusableCredentials(f"Cannot read {self._path}: {error.strerror}") from None
        except ValueError as error:
            raise UnusableCredentials(f"{self._path}: {error}") from None
