"""Job sandboxes: the spool folder's directories, one a job, and the only way to touch a file in them.

A sandbox is reached by opening its directory step by step without following links, and a file in it by one path
component relative to that open directory, again without following links. So no name, and no link that somebody plants
meanwhile, leads out of it (reference sections 3.7, 3.18: the original could be made to write anywhere).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from birdbath.errors import BirdbathError, UnknownFile
from birdbath.store.unit_of_work import UnitOfWork

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_NAME_BYTES = 255


class InvalidFileName(BirdbathError):
    """The name is not that of an entry directly in the sandbox."""


@dataclass(frozen=True)
class FileInfo:
    """One entry of a sandbox; size in bytes."""

    name: str
    size: int


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


class Spool:
    """The spool folder. Sandboxes lie where HTCondor 7.5.5 and later put them (reference section 3.4)."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.resolve()

    def sandbox(self, cluster: int, proc: int) -> Sandbox:
        """The sandbox of a job; it need not exist."""
        return Sandbox(self.root, f"{cluster % 10000}", f"{proc % 10000}", f"cluster{cluster}.proc{proc}.subproc0")

    def jobs(self) -> Iterator[tuple[int, int]]:
        """(cluster, proc) of every sandbox there is."""
        for path in self.root.glob("*/*/cluster*.proc*.subproc0"):
            cluster, proc, _ = path.name.split(".")
            yield int(cluster.removeprefix("cluster")), int(proc.removeprefix("proc"))


class Sandbox:
    """The directory of one job. Every method raises OSError as the operating system does, InvalidFileName for bad names."""

    def __init__(self, root: Path, *steps: str) -> None:
        self._root = root
        self._steps = steps
        self.path = root.joinpath(*steps)

    def _open(self, create: bool = False) -> int:
        descriptor = os.open(self._root, _DIRECTORY)
        for step in self._steps:
            try:
                if create:
                    try:
                        os.mkdir(step, 0o700, dir_fd=descriptor)
                    except FileExistsError:
                        pass
                inner = os.open(step, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def create(self) -> None:
        """Make the directory if it is not there."""
        os.close(self._open(create=True))

    def exists(self) -> bool:
        return self.path.is_dir()

    def declare(self, unit: UnitOfWork, name: str) -> None:
        """Create the file if need be, without changing what it holds; its entry is on disk when the unit is."""
        directory = self._open(create=True)
        try:
            os.close(self._checked(directory, name, os.O_RDWR | os.O_CREAT))
        finally:
            unit.sync_later(str(self.path), directory)
        path = self.path.parent
        while path != self._root.parent:
            unit.sync_later(str(path), os.open(path, _DIRECTORY))
            path = path.parent

    def write(self, unit: UnitOfWork, name: str, offset: int, data: bytes) -> None:
        """Write `data` at byte `offset` of an existing file; the bytes are on disk when the unit is."""
        descriptor = self._open_entry(name, os.O_RDWR)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset)
                offset += written
                view = view[written:]
        except BaseException:
            os.close(descriptor)
            raise
        unit.sync_later(str(self.path / name), descriptor)

    def read(self, name: str, offset: int = 0, length: int = -1) -> bytes:
        """At most `length` bytes (-1: all) from byte `offset`; fewer at the end of the file, none past it."""
        descriptor = self._open_entry(name, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            wanted = max(size - offset, 0) if length < 0 else min(length, max(size - offset, 0))
            return self._read_all(descriptor, offset, wanted)
        finally:
            os.close(descriptor)

    @staticmethod
    def _read_all(descriptor: int, offset: int, wanted: int) -> bytes:
        data = os.pread(descriptor, wanted, offset)
        if len(data) == wanted or not data:
            return data
        parts = [data]
        got = len(data)
        while got < wanted and (data := os.pread(descriptor, wanted - got, offset + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def size(self, name: str) -> int:
        """The file's size in bytes."""
        descriptor = self._open_entry(name, os.O_RDONLY)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def replace(self, unit: UnitOfWork, name: str, data: bytes, append: bool = False) -> None:
        """Make `data` the file's whole content, or its end; created if need be, on disk when the unit is."""
        directory = self._open(create=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
            descriptor = self._checked(directory, name, flags)
        finally:
            unit.sync_later(str(self.path), directory)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
        finally:
            unit.sync_later(f"{self.path}/{name}#{descriptor}", descriptor)

    def copy(self, unit: UnitOfWork, source: str, target: str, start: int, offset: int, length: int) -> None:
        """Copy `length` bytes from byte `start` of one file to byte `offset` of another, existing one.

        Fewer when the source ends earlier. Memory stays flat; the bytes are on disk when the unit is.
        """
        reading = self._open_entry(source, os.O_RDONLY)
        try:
            writing = self._open_entry(target, os.O_RDWR)
            try:
                _copy_range(reading, writing, start, offset, length)
            except BaseException:
                os.close(writing)
                raise
            unit.sync_later(f"{self.path / target}", writing)
        finally:
            os.close(reading)

    def entries(self) -> list[FileInfo]:
        """The entries directly in the sandbox, by name; empty when the sandbox does not exist."""
        try:
            directory = self._open()
        except FileNotFoundError:
            return []
        try:
            with os.scandir(directory) as entries:
                found = [FileInfo(e.name, e.stat(follow_symlinks=False).st_size) for e in entries]
        finally:
            os.close(directory)
        return sorted(found, key=lambda info: info.name)

    def remove(self) -> None:
        """Delete the sandbox with all it holds; the numbered folders above it too when that leaves them empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        for parent in (self.path.parent, self.path.parent.parent):
            try:
                parent.rmdir()
            except OSError:
                break

    def _open_entry(self, name: str, flags: int) -> int:
        check_file_name(name)
        try:
            directory = self._open()
        except FileNotFoundError:
            raise UnknownFile(f"No such file: {name}") from None
        try:
            return self._checked(directory, name, flags)
        except FileNotFoundError:
            raise UnknownFile(f"No such file: {name}") from None
        finally:
            os.close(directory)

    def _checked(self, directory: int, name: str, flags: int) -> int:
        """Open one entry and make sure that it is a regular file that has no second name elsewhere."""
        check_file_name(name)
        try:
            descriptor = os.open(name, flags | _FILE, 0o600, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise InvalidFileName(f"Not a regular file: {name}") from None
            raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(descriptor)
            raise InvalidFileName(f"Not a regular file: {name}")
        return descriptor


_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_COPY_CHUNK = 1 << 20


def _copy_range(reading: int, writing: int, start: int, offset: int, length: int) -> None:
    while length > 0:
        try:
            copied = os.copy_file_range(reading, writing, length, start, offset)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            copied = os.pwrite(writing, os.pread(reading, min(length, _COPY_CHUNK), start), offset)
        if copied == 0:
            return
        start, offset, length = start + copied, offset + copied, length - copied
