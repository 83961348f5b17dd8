"""What of a spool folder is known to be on disk, and what may wait for its commit to be synced."""

from __future__ import annotations

from typing import Final

MOST_CHUNK: Final = 64 * 1024
"""Bytes: longer chunks are synced by the call that brings them, which takes longer anyway."""
MOST_BYTES: Final = 1 << 20
"""Of one file."""
MOST_FILES: Final = 1000

_MOST_PLACES = 20_000


class Settled:
    """Notes of one process, by the paths of sandboxes; they may be lost. For one thread at a time.

    A sandbox is known to be on disk with all the directories above it, or it is not known. What waits is
    bounded, because a commit that syncs it holds up all others.
    """

    def __init__(self) -> None:
        self._places: set[str] = set()
        self._waiting: dict[str, dict[str, int]] = {}
        self._spoilt: set[str] = set()
        self._count = 0

    def __contains__(self, place: str) -> bool:
        return place in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: str) -> None:
        """The sandbox is on disk, with the directories above it and all that waited in it."""
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places.add(place)

    def forget(self, place: str) -> None:
        """The sandbox is going to be deleted."""
        self._places.discard(place)
        self._spoilt.discard(place)
        self.has_come(place)

    def spoil(self, place: str) -> None:
        """What waited in the sandbox was not synced, and will not be: the kernel says so only once."""
        self._spoilt.add(place)

    def is_spoilt(self, place: str) -> bool:
        """Whether bytes that were answered may be lost."""
        return place in self._spoilt

    def has_waiting(self, place: str) -> bool:
        """Whether something waits in the sandbox."""
        return place in self._waiting

    def may_wait(self, place: str, name: str, size: int) -> bool:
        """Whether `size` more bytes of a file, or with 0 its entry, need not be synced now: then they are
        counted until the sandbox `has_come` to its commit.
        """
        files = self._waiting.get(place)
        waiting = None if files is None else files.get(name)
        if size > MOST_CHUNK or (waiting or 0) + size > MOST_BYTES:
            if files is not None and waiting is not None:
                files[name] = 0
            return False
        if waiting is None:
            if self._count >= MOST_FILES:
                return False
            self._count += 1
            files = self._waiting.setdefault(place, {})
        assert files is not None
        files[name] = (waiting or 0) + size
        return True

    def has_come(self, place: str) -> None:
        """What waited in the sandbox is being synced, or deleted."""
        self._count -= len(self._waiting.pop(place, ()))
