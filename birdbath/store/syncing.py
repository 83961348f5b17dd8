"""Open files and directories brought to disk, many at once.

Whoever syncs them one after the other waits for the journal of the file system each time. Threads take the
interpreter from the event loop for each, which costs a busy server more than the disk does. So the kernel is
asked for all of them by its own asynchronous I/O; threads are for what it does not take: everything, where a
container or a file system has no such thing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from caio import linux_aio

_MOST: Final = 256
"""Syncs that the kernel has at a time, for one who asks."""
_THREADS: Final = 8
"""Each costs more to wake than what the last of them wait for."""
_SYNCING = ThreadPoolExecutor(_THREADS - 1, thread_name_prefix="birdbath-sync")
_FOR_EVER: Final = -1
_REFUSALS: Final = (OSError, OverflowError, RuntimeError, SystemError, ValueError)
"""What the library makes of the system's: not there, not allowed, too many, not for such a file."""

_idle: Final[list[linux_aio.Context]] = []
"""They are kept, for the kernel takes 30 ms to end one. Taken out and put back in one step, by any thread."""


def sync_all(descriptors: Sequence[int]) -> None:
    """Sync open files and directories to disk, all at once. Raises OSError, when every one was tried."""
    failed: list[OSError] = []
    for start in range(0, len(descriptors), _MOST):
        some = descriptors[start : start + _MOST]
        kernel = _kernel() if len(some) > 1 else None
        syncs = _Syncs(kernel, some)
        failed += _sync_in_threads(syncs.rest)
        syncs.wait()
        failed += syncs.failed
        if kernel is not None:
            _idle.append(kernel)
    if failed:
        raise failed[0]


class _Syncs:
    """Syncs that the kernel is asked for together. `rest` are those that it does not take, `left` is how many
    it is busy with, `failed` what it has told.
    """

    def __init__(self, kernel: linux_aio.Context | None, descriptors: Sequence[int]) -> None:
        self.failed: list[OSError] = []
        self.left = 0
        self.rest = descriptors
        self._kernel = kernel
        if kernel is None:
            return
        from caio import linux_aio  # loaded by whoever has a kernel

        operations = [linux_aio.Operation.fsync(descriptor) for descriptor in descriptors]
        for operation in operations:
            operation.set_callback(self._ended)
        try:
            self.left = int(kernel.submit(*operations))
        except _REFUSALS:  # of the first, and so of all
            return
        self.rest = descriptors[self.left :]

    def wait(self) -> None:
        """Wait until all have ended."""
        while self.left:
            assert self._kernel is not None
            try:
                self._kernel.process_events(_MOST, self.left, _FOR_EVER)
            except SystemError as error:  # what the system call told
                if error.args[0] != errno.EINTR:
                    raise OSError(*error.args) from None

    def _ended(self, result: int) -> None:
        self.left -= 1
        if result:  # the negative number of an error, which the library tells unsigned
            number = (1 << 64) - result
            self.failed.append(OSError(number, os.strerror(number)))


def _kernel() -> linux_aio.Context | None:
    try:
        return _idle.pop()
    except IndexError:
        return _new_kernel()


def _new_kernel() -> linux_aio.Context | None:
    # Not before it is needed: the library tries it when it is loaded, which takes the kernel 30 ms.
    import caio

    library: ModuleType | None = caio.linux_aio  # it is None where that failed
    try:
        return None if library is None else library.Context(_MOST)
    except _REFUSALS:
        return None


def _sync_in_threads(descriptors: Sequence[int]) -> list[OSError]:
    if not descriptors:
        return []
    parts = [descriptors[start::_THREADS] for start in range(min(_THREADS, len(descriptors)))]
    failed, syncing = [], []
    for part in parts[1:]:
        try:
            syncing.append(_SYNCING.submit(_sync_each, part))
        except RuntimeError:  # the system has no thread left
            failed += _sync_each(part)
    failed += _sync_each(parts[0])
    for synced in syncing:
        failed += synced.result()
    return failed


def _sync_each(descriptors: Sequence[int]) -> list[OSError]:
    failed = []
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        except OSError as error:
            failed.append(error)
    return failed
