"""The files of a job: declared, sent, listed and fetched (reference sections 3.7, 3.8, 3.16 to 3.18)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from birdbath.errors import AlreadyExists, BirdbathError, InvalidOffset, UnknownFile
from birdbath.pool.base import JobId
from birdbath.schedd import limits, ranges, staging
from birdbath.schedd.context import ScheddContext
from birdbath.schedd.staging import StagedFile
from birdbath.schedd.transactions import Lease
from birdbath.store.sandbox import FileInfo, check_file_name

MAX_RANGES = 10_000
"""A file whose chunks leave more gaps meanwhile is written all the same, but strict checks will find it
incomplete.
"""
SMALL_READ = 1 << 20


@contextmanager
def _system_errors() -> Iterator[None]:
    """The operating system's refusal as a FAIL with its text."""
    try:
        yield
    except OSError as error:
        raise BirdbathError(os.strerror(error.errno or 0)) from error


def declare(
    context: ScheddContext,
    lease: Lease,
    job: JobId,
    name: str | None,
    size: int,
    hash_type: int,
    hash: str | None,
) -> None:
    """Declare a file of a staged job; it exists in the sandbox, whatever it held before, when this is
    answered, and is on disk when the transaction's part of the database is.
    """
    declared = staging.writable_files(context.unit, lease.id, job)
    name = check_file_name(name)
    if any(file.name == name for file in declared):
        raise AlreadyExists(f"The file {name} has been declared already")
    with _system_errors():
        context.sandbox(job).declare(context.unit, name, later=context.deferring)
    staging.add_file(context.unit, job, len(declared), StagedFile(name, size, hash_type, hash, []))


def send(
    context: ScheddContext, lease: Lease, job: JobId, name: str | None, offset: int, data: bytes | None
) -> None:
    """Write a chunk of a declared file, anywhere and in any order; the bytes are on disk when this is
    answered; with `deferring`, a small one's at the latest when the transaction is committed.
    """
    file = staging.writable_file(context.unit, lease.id, job, name or "")
    if file is None:
        raise context.lenient(UnknownFile(f"The file {name} has not been declared"))
    if offset < 0:
        raise context.lenient(InvalidOffset("The offset is negative"))
    if not data:
        return
    end, more = offset + len(data), 0

    def admit(size: int) -> None:
        nonlocal more
        more = end - size
        limits.check_staged(context, more)

    with _system_errors():
        sandbox = context.sandbox(job)
        limits.check_disk(context, sandbox.root, len(data))
        sandbox.write(context.unit, file.name, offset, data, admit, later=context.deferring)
    limits.count_staged(context, lease.id, more)
    received = ranges.add(file.ranges, offset, end)
    if received != file.ranges and len(received) <= MAX_RANGES:
        staging.set_ranges(context.unit, job, file.name, received)


def get(context: ScheddContext, job: JobId, name: str | None, offset: int, length: int) -> bytes:
    """The bytes that the file has between `offset` and `offset + length`; none when it ends before."""
    if length <= 0:
        raise BirdbathError("The length must be greater than 0")
    if offset < 0:
        raise context.lenient(InvalidOffset("The offset is negative"))

    def admit(size: int) -> None:
        if context.settings.strict and offset > size:
            raise InvalidOffset(f"The file {name} has {size} bytes")
        context.expect(small=min(length, size - offset) <= SMALL_READ)
        if min(length, size - offset) > context.settings.max_file_reply:
            raise BirdbathError(f"At most {context.settings.max_file_reply} bytes can be fetched at once")

    try:
        with _system_errors():
            return context.sandbox(job).read(name or "", offset, length, admit)
    except UnknownFile:
        raise context.unknown_file(name) from None


def entries(context: ScheddContext, job: JobId) -> list[FileInfo]:
    """The sandbox's entries by name; an unknown job has none, and none is made for it."""
    with _system_errors():
        return context.sandbox(job).entries()
