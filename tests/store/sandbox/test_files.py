"""Files in sandboxes, and what is listed of them."""

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from birdbath.errors import UnknownFile
from birdbath.store import Writer, sandbox
from birdbath.store.sandbox import FileInfo, Sandbox, Spool
from tests.store.sandbox import put

GIB = 1 << 30

# ---------------------------------------------------------------- files


def test_sandboxes_lie_where_htcondor_puts_them(spool: Spool) -> None:
    box = spool.sandbox(123456, 10002)
    assert box.path == spool.root / "3456" / "2" / "cluster123456.proc10002.subproc0"
    assert not box.exists()
    box.create()
    box.create()
    assert box.exists()
    assert box.path.stat().st_mode & 0o777 == 0o700


def test_chunks_in_any_order_with_overlaps_and_gaps(writer: Writer, box: Sandbox) -> None:
    put(writer, box, "a", b"789", 7)
    put(writer, box, "a", b"2345", 2)
    put(writer, box, "a", b"01x", 0)
    put(writer, box, "a", b"2", 2)
    put(writer, box, "a", b"", 99)
    assert box.read("a") == b"012345\x00789"
    assert box.read("a", 1, 3) == b"123"
    assert box.read("a", 8, 100) == b"89"
    assert box.read("a", 10, 1) == box.read("a", 2**40, 1) == box.read("a", 2**70, 5) == b""
    assert box.size("a") == 10
    assert (box.path / "a").stat().st_mode & 0o777 == 0o600


def test_declaring_again_changes_nothing(writer: Writer, box: Sandbox) -> None:
    put(writer, box, "a", b"data")
    writer.write_now(lambda unit: box.declare(unit, "a"))
    assert box.read("a") == b"data"


def test_replacing_and_appending(writer: Writer, box: Sandbox) -> None:
    writer.write_now(lambda unit: box.replace(unit, "a", b"long content"))
    writer.write_now(lambda unit: box.replace(unit, "a", b"short"))
    assert box.read("a") == b"short"
    writer.write_now(lambda unit: box.replace(unit, "a", b"er", append=True))
    writer.write_now(lambda unit: box.replace(unit, "b", b"new", append=True))
    assert (box.read("a"), box.read("b")) == (b"shorter", b"new")


def test_copying(writer: Writer, box: Sandbox) -> None:
    put(writer, box, "a", b"0123456789")
    put(writer, box, "b", b"")
    writer.write_now(lambda unit: box.copy(unit, "a", "b", 2, 1, 3))
    assert box.read("b") == b"\x00234"
    for source, target in (("a", "none"), ("none", "b")):
        with pytest.raises(UnknownFile):
            writer.write_now(partial(box.copy, source=source, target=target, start=0, offset=0, length=1))


def test_files_beyond_two_gib(writer: Writer, box: Sandbox) -> None:
    put(writer, box, "a", b"start")
    for offset in (2 * GIB - 2, 4 * GIB - 2, 5 * GIB):
        put(writer, box, "a", b"here", offset)
        assert box.read("a", offset, 4) == b"here"
        assert box.read("a", offset - 1, 6)[:5] == b"\x00here"
    assert box.size("a") == 5 * GIB + 4
    assert box.read("a", 5 * GIB + 2, 100) == b"re"
    assert box.entries() == [FileInfo("a", 5 * GIB + 4)]
    assert (box.path / "a").stat().st_blocks < 1000


@pytest.mark.parametrize("offset", [-1, 2**63, 2**70])
def test_offsets_that_no_file_has(offset: int, writer: Writer, box: Sandbox) -> None:
    put(writer, box, "a", b"data")
    with pytest.raises(OSError, match=r"Invalid|too large"):
        put(writer, box, "a", b"x", offset)
    assert box.read("a") == b"data"


def test_a_full_disk(writer: Writer, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        put(writer, box, "a", b"data")
    with pytest.raises(OSError, match="No space"):
        writer.write_now(lambda unit: box.replace(unit, "a", b"data"))


def test_what_is_not_there(writer: Writer, spool: Spool) -> None:
    box = spool.sandbox(1, 0)
    for _ in range(2):
        with pytest.raises(UnknownFile):
            box.read("a")
        with pytest.raises(UnknownFile):
            box.size("a")
        with pytest.raises(UnknownFile):
            writer.write_now(lambda unit: box.write(unit, "a", 0, b"x"))
        assert box.entries() == []
        box.create()
    box.remove()
    box.remove()


# ---------------------------------------------------------------- entries


def test_entries_of_all_kinds(writer: Writer, box: Sandbox, outside: Path) -> None:
    for name in ("b", "a", "é", " spaced ", "-rf"):
        put(writer, box, name, name.encode())
    (box.path / "folder").mkdir()
    (box.path / "folder" / "inner").write_text("x")
    (box.path / "link").symlink_to(outside / "secret")
    os.mkfifo(box.path / "pipe")
    (box.path / os.fsdecode(b"not utf-8 \xff")).write_text("x")
    entries = {info.name: info.size for info in box.entries()}
    assert list(entries) == sorted(entries)
    assert entries["é"] == 2
    assert entries["link"] == len(str(outside / "secret"))
    assert entries["not utf-8 \ufffd"] == 1
    assert entries.keys() == {
        "b", "a", "é", " spaced ", "-rf", "folder", "link", "pipe", "not utf-8 \ufffd",
    }  # fmt: skip
    for name in entries:
        name.encode()
    box.remove()
    assert not box.exists()


def test_an_entry_that_is_removed_while_the_directory_is_read(
    writer: Writer, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, box, "a", b"x")
    put(writer, box, "b", b"x")
    info = sandbox._info

    def removing(entry: os.DirEntry[str]) -> FileInfo | None:
        (box.path / "a").unlink(missing_ok=True)
        return info(entry)

    monkeypatch.setattr(sandbox, "_info", removing)
    assert box.entries() == [FileInfo("b", 1)]
