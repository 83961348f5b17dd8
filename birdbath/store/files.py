"""Bytes to and from open files, and directories that stay; what the standard library does only nearly."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_COPY_CHUNK = 1 << 20


def make_directory(path: Path) -> None:
    """Make a directory and those above it; the new ones are on disk when this returns."""
    path = path.absolute()
    missing = [step for step in (path, *path.parents) if not step.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for step in missing:
        sync_directory(step.parent)


def sync_directory(path: Path) -> None:
    """Sync the entries of a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write `data` at byte `offset`, all of it. Raises OSError."""
    view = memoryview(data)
    try:
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]
    except OverflowError:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None


def read_range(descriptor: int, offset: int, length: int) -> bytes:
    """At most `length` bytes from byte `offset`: fewer at the end of the file only. Raises OSError.

    No more memory is taken than the file has bytes there.
    """
    wanted = min(length, os.fstat(descriptor).st_size - offset)
    if wanted <= 0:
        return b""
    data = os.pread(descriptor, wanted, offset)
    if len(data) == wanted:
        return data
    parts = [data]
    while data and (wanted := wanted - len(data)) > 0:  # one read gives at most 2 GiB
        offset += len(data)
        data = os.pread(descriptor, wanted, offset)
        parts.append(data)
    return b"".join(parts)


def copy_range(reading: int, writing: int, start: int, offset: int, length: int) -> None:
    """Copy `length` bytes from byte `start` of one file to byte `offset` of another; fewer when it ends
    earlier.
    """
    while length > 0:
        try:
            copied = os.copy_file_range(reading, writing, length, start, offset)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            data = os.pread(reading, min(length, _COPY_CHUNK), start)
            write_all(writing, data, offset)
            copied = len(data)
        if copied == 0:
            return
        start, offset, length = start + copied, offset + copied, length - copied
