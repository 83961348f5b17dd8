"""Files in and out of a job's sandbox, chunk by chunk: memory does not grow with the file (reference 3.7,
3.8, 3.18).

The wire's offsets are `xsd:int`. A Birdbath server takes larger numbers; the original server silently cut
them to 32 bits, which would write into the wrong place. So before the first offset that does not fit, the
server is asked for a byte beyond the end of the file, and the transfer stops with a clear error if it sends
one.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from birdbath.client.errors import InvalidOffset, InvalidValue, ServerFault, TransferFailed
from birdbath.client.wire import Reply

Progress = Callable[[int, int], None]
"""Called with (bytes carried so far, bytes in all): at the start, and after every chunk."""

FileSource = str | os.PathLike[str] | bytes | BinaryIO

DEFAULT_CHUNK = 1024 * 1024
MAX_CHUNK = 7 * 1024 * 1024  # an XML reader refuses texts over 10 MB; base64 adds a third
_MIN_CHUNK = 16 * 1024
_INT_MAX = 2**31 - 1


class Caller(Protocol):
    """Carries out an operation; see `Endpoint.call`."""

    def __call__(self, operation: str, /, *, repeatable: bool = False, **arguments: object) -> Reply: ...


class JobFile(NamedTuple):
    """A file in a job's sandbox, and how to call the server about it."""

    call: Caller
    cluster: int
    proc: int
    name: str

    def ask(self, operation: str, **arguments: object) -> Reply:
        """A call about this file. They all may be repeated, but for `declareFile`."""
        return self.call(
            operation,
            repeatable=operation != "declareFile",
            clusterId=self.cluster,
            jobId=self.proc,
            name=self.name,
            **arguments,
        )


def upload(
    file: JobFile,
    source: FileSource,
    *,
    chunk_size: int,
    lease: int,
    progress: Progress | None,
    checksum: bool,
) -> None:
    """Declare `file` and send all of `source`.

    Every chunk renews the lease of `lease` seconds. On a slow line chunks become smaller, so that each one
    arrives well within it. With `checksum` the MD5 goes along, for a server that verifies it; the source is
    read twice then. Raises `TransferFailed` when the source changes its size meanwhile.
    """
    _check_chunk(chunk_size)
    report = progress or _silent
    with _opened(source) as (stream, size):
        digest = _md5(stream) if checksum else None
        file.ask("declareFile", size=size, hashType="MD5HASH" if digest else "NOHASH", hash=digest)
        report(0, size)
        done, wide = 0, False
        while chunk := stream.read(chunk_size):
            wide = wide or _widened(file, done, size)
            began = time.monotonic()
            file.ask("sendFile", offset=done, data=chunk)
            if time.monotonic() - began > lease / 4:
                chunk_size = max(_MIN_CHUNK, chunk_size // 2)
            done += len(chunk)
            report(done, size)
    if done != size:
        raise TransferFailed(
            f"{file.name} changed while it was being uploaded: {size} bytes before, {done} read"
        )


def download(
    file: JobFile, size: int, target: BinaryIO, *, start: int, chunk_size: int, progress: Progress | None
) -> None:
    """Write the bytes of `file` from `start` up to its `size` to `target`, in order.

    Raises `TransferFailed` when the file turns out to be shorter. What was written until an error is right,
    so that the transfer can be taken up again from there.
    """
    _check_chunk(chunk_size)
    report = progress or _silent
    report(start, size)
    done, wide = start, False
    while done < size:
        wide = wide or _widened(file, done, size)
        data = file.ask("getFile", offset=done, length=min(chunk_size, size - done)).data("data")
        if not data:
            raise TransferFailed(f"{file.name} ends after {done} of {size} bytes; did it change meanwhile?")
        target.write(data[: size - done])
        done += len(data)
        report(min(done, size), size)


def download_to_path(
    file: JobFile, size: int, path: Path, *, resume: bool, chunk_size: int, progress: Progress | None
) -> None:
    """Download to `path`, which appears or is replaced only when the file is complete.

    Until then the bytes are in `path` with `.part` added; it stays after an error, and `resume` goes on from
    its end.
    """
    part = path.with_name(path.name + ".part")
    with part.open("ab" if resume else "wb") as target:
        if target.tell() > size:
            target.truncate(0)
            target.seek(0)
        download(file, size, target, start=target.tell(), chunk_size=chunk_size, progress=progress)
    part.replace(path)


def _widened(file: JobFile, offset: int, size: int) -> bool:
    """False while `offset` fits the wire's type. Then the server is asked once if it takes longer ones."""
    if offset <= _INT_MAX:
        return False
    beyond = (size // 2**32 + 1) * 2**32  # past the end; cut to 32 bits it would be the first byte
    try:
        cut = bool(file.ask("getFile", offset=beyond, length=1).data("data"))
    except InvalidOffset:
        cut = False  # a strict server: it understood
    except ServerFault:
        cut = True
    if cut:
        raise TransferFailed(
            f"{file.name}: this server cannot reach what lies beyond 2 GiB in a file ({size} bytes)"
        )
    return True


@contextmanager
def _opened(source: FileSource) -> Iterator[tuple[BinaryIO, int]]:
    """The source as a stream at its beginning (a file object: where it stands), and the bytes that are to
    come.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    elif source.seekable():
        here = source.tell()
        end = source.seek(0, os.SEEK_END)
        source.seek(here)
        yield source, end - here
    else:
        raise InvalidValue(
            "the size of the source is not known: it must be a path, bytes, or a file that can seek"
        )


def _md5(stream: BinaryIO) -> str:
    here = stream.tell()
    digest = hashlib.md5(usedforsecurity=False)
    while block := stream.read(DEFAULT_CHUNK):
        digest.update(block)
    stream.seek(here)
    return digest.hexdigest()


def _check_chunk(chunk_size: int) -> None:
    if not 1 <= chunk_size <= MAX_CHUNK:
        raise InvalidValue(f"a chunk has 1 to {MAX_CHUNK} bytes, not {chunk_size}")


def _silent(done: int, total: int) -> None:
    pass
