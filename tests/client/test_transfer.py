"""Chunks, resumption, and the limits of the wire."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from birdbath.client import InvalidValue, ServerFault, TransferFailed
from birdbath.client.errors import ConnectionFailed, InvalidOffset
from birdbath.client.transfer import MAX_CHUNK, JobFile, download, download_to_path, upload
from birdbath.client.wire import Reply

GIB = 2**30
TRUNCATED = 2**32


class Store:
    """A server's file, in memory or only counted, and the calls that came for it."""

    def __init__(self, data: bytes = b"", *, bits: int = 64, counted: bool = False) -> None:
        self.data = bytearray(data)
        self.wrap = 1 << bits
        self.counted = counted
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.before: Callable[[str, int], None] = lambda operation, offset: None

    def __call__(self, operation: str, /, *, repeatable: bool = False, **arguments: object) -> Reply:
        offset = int(str(arguments.get("offset", 0)))
        self.before(operation, offset)
        self.calls.append((operation, {k: v for k, v in arguments.items() if k != "data"}))
        offset %= self.wrap
        if operation == "sendFile" and not self.counted:
            chunk = arguments["data"]
            assert isinstance(chunk, bytes)
            self.data[offset : offset + len(chunk)] = chunk
        if operation == "getFile":
            length = int(str(arguments["length"]))
            found = b"x" if self.counted and offset == 0 else bytes(self.data[offset : offset + length])
            return Reply(SimpleNamespace(data=found))
        return Reply(None)

    def offsets(self, operation: str) -> list[object]:
        return [arguments["offset"] for called, arguments in self.calls if called == operation]


def send(
    store: Store,
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    chunk_size: int = 4,
    checksum: bool = False,
) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    upload(
        JobFile(store, 1, 0, "f"),
        source,
        chunk_size=chunk_size,
        lease=60,
        progress=lambda done, total: seen.append((done, total)),
        checksum=checksum,
    )
    return seen


@pytest.mark.parametrize(
    ("data", "offsets"), [(b"", []), (b"abcd", [0]), (b"abcde", [0, 4]), (b"abcdefgh", [0, 4])]
)
def test_a_file_goes_up_in_chunks(data: bytes, offsets: list[int]) -> None:
    store = Store()

    seen = send(store, data)

    assert store.data == data
    assert store.offsets("sendFile") == offsets
    assert (
        seen == [(min(done, len(data)), len(data)) for done in range(0, len(data) + 4, 4)][: len(offsets) + 1]
    )
    assert store.calls[0] == (
        "declareFile",
        {"clusterId": 1, "jobId": 0, "name": "f", "size": len(data), "hashType": "NOHASH", "hash": None},
    )


def test_a_path_and_a_stream_are_sources_too(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    by_path, by_stream = Store(), Store()

    send(by_path, path, checksum=True)
    with path.open("rb") as stream:
        stream.seek(3)
        send(by_stream, stream)

    assert by_path.data == b"0123456789"
    assert by_path.calls[0][1]["hashType"] == "MD5HASH"
    assert by_path.calls[0][1]["hash"] == "781e5e245d69b566979b86e28d23f2c7"
    assert by_stream.data == b"3456789"
    assert by_stream.calls[0][1]["size"] == 7


def test_a_source_of_unknown_size_is_refused() -> None:
    reader, writer = os.pipe()
    os.close(writer)

    with (
        os.fdopen(reader, "rb") as pipe,
        pytest.raises(InvalidValue, match="size of the source is not known"),
    ):
        send(Store(), pipe)


def test_a_file_that_grows_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abcdef")
    store = Store()
    store.before = lambda operation, offset: (path.write_bytes(b"abcdefgh"), None)[1] if offset == 4 else None

    with pytest.raises(TransferFailed, match="changed while it was being uploaded: 6 bytes before"):
        send(store, path, chunk_size=2)


@pytest.mark.parametrize("size", [0, -1, MAX_CHUNK + 1])
def test_a_chunk_that_cannot_be_carried_is_refused(size: int) -> None:
    with pytest.raises(InvalidValue, match="a chunk has"):
        send(Store(), b"abc", chunk_size=size)


def test_chunks_become_smaller_when_one_takes_a_good_part_of_the_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("birdbath.client.transfer.time.monotonic", lambda: now)
    store = Store()

    def slow(operation: str, offset: int) -> None:
        nonlocal now
        now += 20.0 if offset < 200_000 else 1.0

    store.before = slow
    send(store, bytes(500_000), chunk_size=128 * 1024)

    assert store.offsets("sendFile")[:4] == [0, 131072, 196608, 229376]
    assert len(store.data) == 500_000


class Zeros(io.RawIOBase):
    """A large file of nothing, that takes no room."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        return self.position

    def read(self, size: int = -1) -> bytes:
        taken = min(size, self.size - self.position)
        self.position += taken
        return ZEROS[:taken]


ZEROS = bytes(MAX_CHUNK)


def test_beyond_2_gib_the_server_is_asked_first() -> None:
    store = Store(counted=True)

    send(store, Zeros(2 * GIB + 2 * MAX_CHUNK), chunk_size=MAX_CHUNK)  # type: ignore[arg-type]

    assert store.offsets("getFile") == [TRUNCATED]
    last = store.offsets("sendFile")[-1]
    assert isinstance(last, int)
    assert last > 2 * GIB


def test_a_server_that_cuts_offsets_is_found_out_before_it_does_harm() -> None:
    store = Store(counted=True, bits=32)

    with pytest.raises(TransferFailed, match="beyond 2 GiB"):
        send(store, Zeros(2 * GIB + 2 * MAX_CHUNK), chunk_size=MAX_CHUNK)  # type: ignore[arg-type]
    assert all(isinstance(offset, int) and offset < 2 * GIB for offset in store.offsets("sendFile"))


@pytest.mark.parametrize(
    ("error", "fits"),
    [(InvalidOffset("past the end"), True), (ServerFault("not within 32 bits", None), False)],
)
def test_what_the_server_says_to_a_long_offset_decides(error: Exception, fits: bool) -> None:
    store = Store(counted=True)

    def answer(operation: str, offset: int) -> None:
        if operation == "getFile" and offset == 2 * TRUNCATED:
            raise error
        if operation == "getFile":
            raise ConnectionFailed("went on", "url")

    store.before = answer
    with pytest.raises(ConnectionFailed if fits else TransferFailed):
        fetch(store, 5 * GIB, io.BytesIO(), start=4 * GIB)


def fetch(
    store: Store, size: int, target: BinaryIO, *, start: int = 0, chunk_size: int = 4
) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    download(
        JobFile(store, 1, 0, "f"),
        size,
        target,
        start=start,
        chunk_size=chunk_size,
        progress=lambda done, total: seen.append((done, total)),
    )
    return seen


def test_a_file_comes_down_in_chunks_and_never_beyond_its_end() -> None:
    store, target = Store(b"0123456789"), io.BytesIO()

    seen = fetch(store, 10, target)

    assert target.getvalue() == b"0123456789"
    assert [(c["offset"], c["length"]) for _, c in store.calls] == [(0, 4), (4, 4), (8, 2)]
    assert seen == [(0, 10), (4, 10), (8, 10), (10, 10)]


def test_a_file_that_ends_early_is_an_error() -> None:
    with pytest.raises(TransferFailed, match="ends after 3 of 10 bytes"):
        fetch(Store(b"abc"), 10, io.BytesIO())


def to_path(store: Store, path: Path, *, resume: bool) -> None:
    download_to_path(
        JobFile(store, 1, 0, "f"), len(store.data), path, resume=resume, chunk_size=4, progress=None
    )


def test_a_path_appears_only_when_it_is_whole_and_a_part_is_taken_up_again(tmp_path: Path) -> None:
    path = tmp_path / "out"
    store = Store(b"0123456789")

    def broken(operation: str, offset: int) -> None:
        if offset == 8:
            raise ConnectionFailed("broken", "url")

    store.before = broken
    with pytest.raises(ConnectionFailed):
        to_path(store, path, resume=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.part"]

    store.before = lambda operation, offset: None
    store.calls.clear()
    to_path(store, path, resume=True)

    assert store.offsets("getFile") == [8]
    assert path.read_bytes() == b"0123456789"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_part_of_another_file_is_not_continued(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "out.part").write_bytes(b"x" * 100)

    to_path(Store(b"0123456789"), tmp_path / "out", resume=resume)

    assert (tmp_path / "out").read_bytes() == b"0123456789"


def test_memory_does_not_grow_with_the_file() -> None:
    size, chunk = 256 * 2**20, 2**20
    tracemalloc.start()
    try:
        send(Store(counted=True), Zeros(size), chunk_size=chunk)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 8 * chunk
