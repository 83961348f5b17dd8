"""Single entries of directories, none of which may lead elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path

from birdbath.errors import BirdbathError

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})
MAX_NAME_BYTES = 255


class InvalidFileName(BirdbathError):
    """The name is not that of a file directly in the sandbox, or the sandbox is not where it should be."""


def check_file_name(name: str | None) -> str:
    """`name` if it can only mean an entry of the directory it is looked up in. Raises InvalidFileName."""
    if not name:
        raise InvalidFileName("The file name is empty")
    if name in (".", "..") or "/" in name or "\0" in name:
        raise InvalidFileName(f"Not a plain file name: {name[:80]!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidFileName("The file name is not valid text") from None
    if size > MAX_NAME_BYTES:
        raise InvalidFileName(f"The file name is longer than {MAX_NAME_BYTES} bytes")
    return name


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a directory; of one that is not there, none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # removed meanwhile, with the last job in it
        return []


def make_entry(directory: int, name: str) -> bool:
    """Make a directory in an open one; whether it was not there."""
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        return False
    return True


def open_regular(directory: int, name: str, flags: int) -> int:
    """Open one entry and make sure that it is a regular file that has no second name elsewhere."""
    try:
        descriptor = os.open(name, flags | _FILE, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise InvalidFileName(f"Not a regular file: {name}") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise InvalidFileName(f"Not a regular file: {name}")
    return descriptor


def remove_entry(name: str, parent: int, whole: bool) -> None:
    """Remove a directory in an open one, with all that it holds if `whole`; else it has to be empty."""
    if not whole:
        os.rmdir(name, dir_fd=parent)
        return
    shutil.rmtree(name, ignore_errors=True, dir_fd=parent)
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=parent)  # a link where the directory should be
