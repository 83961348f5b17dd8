"""Job sandboxes: the spool folder's directories, one a job, and the only way to touch a file in them.

A sandbox is reached by opening its directory step by step without following links, and a file in it by one
path component relative to that open directory, again without following links. So no name, and no link that
somebody plants meanwhile, leads out of it (reference sections 3.7, 3.18: the original could be made to write
anywhere).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from birdbath.errors import BirdbathError, UnknownFile
from birdbath.store.entries import (
    InvalidFileName,
    check_file_name,
    make_entry,
    open_regular,
    remove_entry,
    scan,
)
from birdbath.store.files import copy_range, make_directory, read_range, write_all
from birdbath.store.settled import Settled
from birdbath.store.unit_of_work import UnitOfWork

__all__ = ["FileInfo", "InvalidFileName", "Sandbox", "Spool", "check_file_name"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_DIRECTORY = frozenset({errno.ELOOP, errno.ENOTDIR})
_JOB = re.compile(r"cluster([0-9]{1,10})\.proc([0-9]{1,10})\.subproc0")


@dataclass(frozen=True)
class FileInfo:
    """One entry of a sandbox; size in bytes."""

    name: str
    size: int


class Spool:
    """The spool folder. Sandboxes lie where HTCondor 7.5.5 and later put them (reference section 3.4)."""

    def __init__(self, root: Path) -> None:
        make_directory(root)
        self.root = root.resolve()
        self._settled = Settled()

    def sandbox(self, cluster: int, proc: int) -> Sandbox:
        """The sandbox of a job; it need not exist."""
        steps = f"{cluster % 10000}", f"{proc % 10000}", f"cluster{cluster}.proc{proc}.subproc0"
        return Sandbox(self.root, *steps, settled=self._settled)

    def jobs(self) -> Iterator[tuple[int, int]]:
        """(cluster, proc) of every sandbox there is."""
        for folder in self._folders(self._folders([self.root])):
            for entry in scan(folder):
                match = _JOB.fullmatch(entry.name)
                if match and entry.is_dir(follow_symlinks=False):
                    yield int(match[1]), int(match[2])

    @staticmethod
    def _folders(above: Iterator[Path] | list[Path]) -> Iterator[Path]:
        for folder in above:
            for entry in scan(folder):
                if entry.name.isdecimal() and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


class Sandbox:
    """The directory of one job.

    Every method raises OSError as the operating system does, and InvalidFileName for bad names, for what
    is no regular file, and when a link lies on the way.
    """

    def __init__(self, root: Path, *steps: str, settled: Settled | None = None) -> None:
        self._root = root
        self._steps = steps
        self._settled = Settled() if settled is None else settled
        self._place = "/".join((str(root), *steps))  # pathlib would take longer than the system calls

    @property
    def path(self) -> Path:
        """Where the directory is, or would be."""
        return Path(self._place)

    @property
    def location(self) -> str:
        """`path` as text."""
        return self._place

    @property
    def root(self) -> str:
        """The spool folder."""
        return str(self._root)

    def create(self) -> None:
        """Make the directory if it is not there; it is on disk when the first file declared in it is."""
        os.close(self._make(None))

    def exists(self) -> bool:
        """Whether the directory is there."""
        if self._is_absent():
            return False
        try:
            os.close(self._open())
        except (FileNotFoundError, InvalidFileName):
            return False
        return True

    def declare(self, unit: UnitOfWork, name: str, later: bool = False) -> None:
        """Create the file if need be, without changing what it holds; its entry is on disk when the unit
        is, or `later`, when `settle` was called.
        """
        check_file_name(name)
        if later and self._settled.may_wait(self._place, name, 0):
            directory = self._make(None)
            try:
                os.close(open_regular(directory, name, os.O_RDWR | os.O_CREAT))
            finally:
                os.close(directory)
        else:
            os.close(self._create_entry(unit, name, os.O_RDWR))

    def write(
        self,
        unit: UnitOfWork,
        name: str,
        offset: int,
        data: bytes,
        admit: Callable[[int], object] = lambda size: None,
        later: bool = False,
    ) -> None:
        """Write `data` at byte `offset` of an existing file; the bytes are on disk when the unit is, or when
        `settle` was called if they may wait till `later`: many may not.

        `admit` is told the file's size first: nothing is written when it raises.
        """
        descriptor = self._open_entry(name, os.O_RDWR)
        waits = later and self._settled.may_wait(self._place, name, len(data))
        with _closed(descriptor) if waits else self._synced(unit, name, descriptor):
            admit(os.fstat(descriptor).st_size)
            write_all(descriptor, data, offset)

    def settle(self, unit: UnitOfWork, names: Iterable[str]) -> None:
        """Let the directory, with those above it, and these files in it be on disk when the unit is, as far
        as they exist. Raises BirdbathError from the first failure to sync what waited on, until the sandbox
        is removed.
        """
        if self._settled.is_spoilt(self._place):
            raise BirdbathError("Files of the transaction could not be brought to disk: begin a new one")
        self._spoil_if_not_synced(unit)
        self._settled.has_come(self._place)
        with contextlib.suppress(FileNotFoundError):
            directory = self._make_once(unit, make=False)
            try:
                for name in names:
                    with contextlib.suppress(FileNotFoundError, InvalidFileName):
                        descriptor = open_regular(directory, name, os.O_RDONLY)
                        unit.sync_later(f"{self._place}/{name}", descriptor)
            finally:
                self._synced_with(unit, directory)

    def replace(self, unit: UnitOfWork, name: str, data: bytes, append: bool = False) -> None:
        """Make `data` the file's whole content, or its end; created if need be, on disk when the unit is."""
        check_file_name(name)
        descriptor = self._create_entry(unit, name, os.O_WRONLY)
        with self._synced(unit, name, descriptor):
            if not append:  # not by O_TRUNC: a link to a file elsewhere would be emptied before it is noticed
                os.ftruncate(descriptor, 0)
            write_all(descriptor, data, os.fstat(descriptor).st_size)

    def cut(self, unit: UnitOfWork, name: str, length: int) -> None:
        """Let a file end after `length` bytes; so it does on disk when the unit is."""
        descriptor = self._open_entry(name, os.O_RDWR)
        with self._synced(unit, name, descriptor):
            os.ftruncate(descriptor, length)

    def copy(self, unit: UnitOfWork, source: str, target: str, start: int, offset: int, length: int) -> None:
        """Copy `length` bytes from byte `start` of one file to byte `offset` of another, existing one.

        Fewer when the source ends earlier. Memory stays flat; the bytes are on disk when the unit is.
        """
        reading = self._open_entry(source, os.O_RDONLY)
        try:
            writing = self._open_entry(target, os.O_RDWR)
            with self._synced(unit, target, writing):
                copy_range(reading, writing, start, offset, length)
        finally:
            os.close(reading)

    def give(self, uid: int, gid: int) -> None:
        """Make the sandbox and the regular files in it another account's; needs the rights of root."""
        directory = self._open()
        try:
            os.fchown(directory, uid, gid)
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            for name in names:
                with contextlib.suppress(InvalidFileName, FileNotFoundError):
                    descriptor = open_regular(directory, name, os.O_RDONLY)
                    with _closed(descriptor):
                        os.fchown(descriptor, uid, gid)
        finally:
            os.close(directory)

    def make_executable(self, name: str) -> None:
        """Let the owner of a file in the sandbox execute it."""
        descriptor = self._open_entry(name, os.O_RDONLY)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)

    def read(
        self,
        name: str,
        offset: int = 0,
        length: int = -1,
        admit: Callable[[int], object] = lambda size: None,
    ) -> bytes:
        """At most `length` bytes (-1: all) from byte `offset`; fewer at the end of the file, none past it.

        `admit` is told the file's size first: nothing is read when it raises.
        """
        descriptor = self._open_entry(name, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            admit(size)
            return read_range(descriptor, offset, size if length < 0 else length)
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """The file's size in bytes."""
        descriptor = self._open_entry(name, os.O_RDONLY)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def entries(self) -> list[FileInfo]:
        """The entries directly in the sandbox, by name; empty when the sandbox does not exist.

        Names that are not UTF-8 are shown with replacement characters.
        """
        try:
            directory = self._open()
        except FileNotFoundError:
            return []
        try:
            with os.scandir(directory) as entries:
                found = [info for entry in entries if (info := _info(entry)) is not None]
        finally:
            os.close(directory)
        return sorted(found, key=lambda info: info.name)

    def remove(self) -> None:
        """Delete the sandbox with all it holds; the numbered folders above it too when that empties them."""
        self._settled.forget(self._place)
        if self._is_absent():
            return
        for level in range(len(self._steps) - 1, -1, -1):
            try:
                parent = self._open(self._steps[:level])
            except (OSError, InvalidFileName):
                return
            try:
                remove_entry(self._steps[level], parent, whole=level == len(self._steps) - 1)
            except OSError:
                return  # there are other jobs in it
            finally:
                os.close(parent)

    def _is_absent(self) -> bool:
        """Whether nothing is there for certain, by one system call."""
        try:
            os.lstat(self._place)
        except (FileNotFoundError, NotADirectoryError):
            return True
        return False

    def _open(self, steps: Sequence[str] | None = None) -> int:
        descriptor = os.open(self._root, _DIRECTORY)
        for step in self._steps if steps is None else steps:
            descriptor = _enter(descriptor, step)
        return descriptor

    def _make(self, unit: UnitOfWork | None) -> int:
        """Open the directory, made with those above it if need be; with a unit, they are synced when it
        is.
        """
        if unit is None or self._place in self._settled:
            with contextlib.suppress(FileNotFoundError):
                return self._open()
        for _ in range(3):
            # Another process may remove a numbered folder that its last job left just when it is entered
            # here.
            with contextlib.suppress(FileNotFoundError):
                return self._make_once(unit)
        return self._make_once(unit)

    def _make_once(self, unit: UnitOfWork | None, make: bool = True) -> int:
        settled = self._place in self._settled
        descriptor = os.open(self._root, _DIRECTORY)
        for level, step in enumerate(self._steps):
            try:
                made = make and make_entry(descriptor, step)
                if unit is not None and (made or not settled):
                    unit.sync_later("/".join((str(self._root), *self._steps[:level])), os.dup(descriptor))
            except BaseException:
                os.close(descriptor)
                raise
            descriptor = _enter(descriptor, step)
        return descriptor

    def _synced_with(self, unit: UnitOfWork, directory: int) -> None:
        """Hand the open directory to the unit; not before what is opened in it, for the unit closes at once
        what it has open already.
        """
        unit.sync_later(self._place, directory)
        if self._settled.has_waiting(self._place):
            self._spoil_if_not_synced(unit)
        unit.after_commit(lambda: self._settled.add(self._place))

    def _create_entry(self, unit: UnitOfWork, name: str, flags: int) -> int:
        directory = self._make(unit)
        try:
            return open_regular(directory, name, flags | os.O_CREAT)
        finally:
            self._synced_with(unit, directory)

    def _open_entry(self, name: str, flags: int) -> int:
        check_file_name(name)
        try:
            directory = self._open()
            try:
                return open_regular(directory, name, flags)
            finally:
                os.close(directory)
        except FileNotFoundError:
            raise UnknownFile(f"No such file: {name}") from None

    @contextlib.contextmanager
    def _synced(self, unit: UnitOfWork, name: str, descriptor: int) -> Iterator[None]:
        """Hand the descriptor to the unit after the block, whatever happened: part of the bytes may be
        written.
        """
        try:
            yield
        finally:
            unit.sync_later(f"{self._place}/{name}", descriptor)
            if self._settled.has_waiting(self._place):
                self._spoil_if_not_synced(unit)

    def _spoil_if_not_synced(self, unit: UnitOfWork) -> None:
        unit.if_not_synced(lambda: self._settled.spoil(self._place))


@contextlib.contextmanager
def _closed(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _enter(directory: int, step: str) -> int:
    """Open a directory in another, which is closed."""
    try:
        return os.open(step, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno in _NO_DIRECTORY:
            raise InvalidFileName("The sandbox is not a directory of the spool folder") from None
        raise
    finally:
        os.close(directory)


def _info(entry: os.DirEntry[str]) -> FileInfo | None:
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # removed while the directory was read
        return None
    return FileInfo(os.fsencode(entry.name).decode(errors="replace"), size)
