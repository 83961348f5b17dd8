"""Bytes to and from open files, and directories that stay."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from birdbath.store import files


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_new_directories_are_synced_into_those_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    files.make_directory(tmp_path / "a" / "b")
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a")]
    assert (tmp_path / "a" / "b").is_dir()
    synced.clear()
    files.make_directory(tmp_path / "a" / "b")
    assert synced == []


def test_short_writes_are_continued(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, bytes(data[:3]), offset))
    files.write_all(descriptor, b"0123456789", 2)
    assert os.pread(descriptor, 20, 0) == b"\0\0" + b"0123456789"


def test_offsets_beyond_what_files_can_have(descriptor: int) -> None:
    for offset in (2**63 - 1, 2**63, 2**70):
        with pytest.raises(OSError, match=r"too large|Invalid"):
            files.write_all(descriptor, b"xx", offset)
        assert files.read_range(descriptor, offset, 5) == b""


def test_short_reads_are_continued(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.pwrite(descriptor, b"0123456789", 0)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: pread(fd, min(length, 3), offset))
    assert files.read_range(descriptor, 0, 100) == b"0123456789"
    assert files.read_range(descriptor, 1, 3) == b"123"
    assert files.read_range(descriptor, 1, 8) == b"12345678"
    assert files.read_range(descriptor, 10, 8) == b""


def test_a_file_that_shrinks_while_it_is_read(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.pwrite(descriptor, b"0123456789", 0)
    pread = os.pread

    def shrinking(descriptor: int, length: int, offset: int) -> bytes:
        os.ftruncate(descriptor, 4)
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", shrinking)
    assert files.read_range(descriptor, 0, 10) == b"0123"


def refusing(number: int) -> Callable[..., int]:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [None, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_copying(
    number: int | None, descriptor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.pwrite(descriptor, b"0123456789", 0)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    if number is not None:
        monkeypatch.setattr(os, "copy_file_range", refusing(number))
        monkeypatch.setattr(files, "_COPY_CHUNK", 3)
    files.copy_range(descriptor, target, 2, 1, 5)
    assert os.pread(target, 20, 0) == b"\0" + b"23456"
    files.copy_range(descriptor, target, 8, 6, 100)
    assert os.pread(target, 20, 0) == b"\0" + b"2345689"
    files.copy_range(descriptor, target, 10, 0, 5)
    os.close(target)


def test_copying_to_a_full_disk(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "copy_file_range", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        files.copy_range(descriptor, descriptor, 0, 0, 1)
