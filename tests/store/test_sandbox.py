"""Sandboxes: nothing leads out of them, and what was written in them is on disk."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.errors import UnknownFile
from birdbath.store import UnitOfWork, Writer, open_engine, sandbox
from birdbath.store.sandbox import FileInfo, InvalidFileName, Sandbox, Spool, check_file_name
from tests.store.test_unit_of_work import open_files

GIB = 1 << 30


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('database')}/a.sqlite")
    writer = Writer(engine)
    yield writer
    writer.close()
    engine.dispose()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def box(spool: Spool) -> Sandbox:
    return spool.sandbox(7, 0)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder next to the spool with a file that nobody may read, change or remove."""
    folder = tmp_path / "outside"
    (folder / "0" / "cluster7.proc0.subproc0").mkdir(parents=True)
    for secret in (folder / "secret", folder / "0" / "cluster7.proc0.subproc0" / "secret"):
        secret.write_text("secret")
    yield folder
    for secret in (folder / "secret", folder / "0" / "cluster7.proc0.subproc0" / "secret"):
        assert secret.read_text() == "secret"
    assert sum(1 for _ in folder.rglob("*")) == 4


@pytest.fixture(autouse=True)
def no_descriptor_leaks(writer: Writer, spool: Spool) -> Iterator[None]:
    writer.write_now(lambda unit: None)
    before = open_files()
    yield
    assert open_files() - before == set()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files and directories that were synced, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    return paths


def put(writer: Writer, box: Sandbox, name: str, data: bytes, offset: int = 0) -> None:
    def work(unit: UnitOfWork) -> None:
        box.declare(unit, name)
        box.write(unit, name, offset, data)

    writer.write_now(work)


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


# ---------------------------------------------------------------- names

BAD_NAMES = [
    None,
    "",
    ".",
    "..",
    "/etc/passwd",
    "../secret",
    "a/../../secret",
    "a/b",
    "/",
    "a\0b",
    "\0",
    "x" * 256,
    "é" * 128,
    "\udcff",
    "a\ud800",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str | None, writer: Writer, box: Sandbox) -> None:
    box.create()
    calls: list[Callable[[UnitOfWork], object]] = [
        lambda unit: box.declare(unit, name),  # type: ignore[arg-type]
        lambda unit: box.write(unit, name, 0, b"x"),  # type: ignore[arg-type]
        lambda unit: box.replace(unit, name, b"x"),  # type: ignore[arg-type]
        lambda unit: box.replace(unit, name, b"x", append=True),  # type: ignore[arg-type]
        lambda unit: box.copy(unit, name, "b", 0, 0, 1),  # type: ignore[arg-type]
        lambda unit: box.read(name),  # type: ignore[arg-type]
        lambda unit: box.size(name),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    assert box.entries() == []


@given(st.one_of(st.text(max_size=300), st.text("./\0a~-", min_size=1, max_size=4)))
def test_a_name_that_passes_means_a_direct_entry(name: str) -> None:
    try:
        assert check_file_name(name) == name
    except InvalidFileName:
        return
    assert Path("/box", name).parent == Path("/box")
    assert os.path.normpath(f"/box/{name}") == f"/box/{name}"
    assert len(os.fsencode(name)) <= 255


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "...", "~", "-", "a\\b", "C:", " ", "\n", "con\x01"])
def test_odd_names_that_are_fine(name: str, writer: Writer, box: Sandbox) -> None:
    put(writer, box, name, b"data")
    assert box.read(name) == b"data"
    assert box.entries() == [FileInfo(name, 4)]


# ---------------------------------------------------------------- what somebody planted


def _touch_all(box: Sandbox, name: str) -> list[Callable[[UnitOfWork], object]]:
    return [
        lambda unit: box.declare(unit, name),
        lambda unit: box.write(unit, name, 0, b"x"),
        lambda unit: box.replace(unit, name, b"x"),
        lambda unit: box.replace(unit, name, b"x", append=True),
        lambda unit: box.copy(unit, name, name, 0, 0, 1),
        lambda unit: box.read(name),
        lambda unit: box.size(name),
    ]


def _plant_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "secret")


def _plant_dangling_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "new")


def _plant_relative_link(path: Path, outside: Path) -> None:
    path.symlink_to("../../../../outside/secret")


def _plant_hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "secret")


def _plant_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _plant_directory(path: Path, outside: Path) -> None:
    path.mkdir()


def _plant_socket(path: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(path.parent)  # an address has room for short paths only
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)


def _plant_device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make devices")


PLANTED = [
    _plant_link,
    _plant_dangling_link,
    _plant_relative_link,
    _plant_hard_link,
    _plant_pipe,
    _plant_directory,
    _plant_socket,
    _plant_device,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.removeprefix("_plant_"))
def test_only_regular_files_are_touched(
    plant: Callable[[Path, Path], None], writer: Writer, box: Sandbox, outside: Path
) -> None:
    box.create()
    plant(box.path / "a", outside)
    for call in _touch_all(box, "a"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    box.remove()
    assert not box.exists()


@pytest.mark.parametrize("plant", [_plant_link, _plant_hard_link, _plant_pipe])
def test_a_file_that_is_exchanged_after_it_was_declared(
    plant: Callable[[Path, Path], None], writer: Writer, box: Sandbox, outside: Path
) -> None:
    put(writer, box, "a", b"data")
    (box.path / "a").unlink()
    plant(box.path / "a", outside)
    for call in _touch_all(box, "a"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("used_before", [False, True])
def test_links_in_place_of_directories(
    level: int, used_before: bool, writer: Writer, spool: Spool, outside: Path
) -> None:
    box = spool.sandbox(7, 0)
    replaced = spool.root.joinpath(*box.path.relative_to(spool.root).parts[:level])
    if used_before:
        put(writer, box, "secret", b"data")
        replaced.rename(spool.root / "moved")
    replaced.parent.mkdir(parents=True, exist_ok=True)
    target = (outside, outside / "0", outside / "0" / "cluster7.proc0.subproc0")[level - 1]
    replaced.symlink_to(target)
    for call in _touch_all(box, "secret"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    for refused in (box.create, box.entries):
        with pytest.raises(InvalidFileName):
            refused()
    assert not box.exists()
    assert list(spool.jobs()) == []
    box.remove()


def test_a_directory_that_is_exchanged_while_the_sandbox_is_opened(
    writer: Writer, spool: Spool, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever swaps a directory for a link just before it is entered gains nothing."""
    box = spool.sandbox(7, 0)
    enter = sandbox._enter

    def exchanging(directory: int, step: str) -> int:
        if step == "7" and not (spool.root / "7").is_symlink():
            (spool.root / "7").rename(spool.root / "moved")
            (spool.root / "7").symlink_to(outside)
        return enter(directory, step)

    for call in _touch_all(box, "secret"):
        box.create()
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "_enter", exchanging)
            with pytest.raises(InvalidFileName):
                writer.write_now(call)
        (spool.root / "7").unlink()
        (spool.root / "moved").rename(spool.root / "7")


def test_removing_follows_no_links(writer: Writer, spool: Spool, outside: Path) -> None:
    box = spool.sandbox(7, 0)
    put(writer, box, "a", b"x")
    (box.path / "folder").symlink_to(outside)
    (box.path / "real").mkdir()
    (box.path / "real" / "link").symlink_to(outside)
    box.remove()
    assert list(spool.root.iterdir()) == []


def test_a_link_in_place_of_the_sandbox_is_removed_itself(spool: Spool, outside: Path) -> None:
    box = spool.sandbox(7, 0)
    box.path.parent.mkdir(parents=True)
    box.path.symlink_to(outside)
    box.remove()
    assert list(spool.root.iterdir()) == []


# ---------------------------------------------------------------- removing, finding


def test_numbered_folders_stay_while_other_jobs_are_in_them(spool: Spool) -> None:
    boxes = [spool.sandbox(7, 0), spool.sandbox(7, 1), spool.sandbox(10_007, 0)]
    for box in boxes:
        box.create()
    assert sorted(spool.jobs()) == [(7, 0), (7, 1), (10_007, 0)]
    boxes[0].remove()
    assert [box.exists() for box in boxes] == [False, True, True]
    boxes[2].remove()
    assert [path.name for path in (spool.root / "7").iterdir()] == ["1"]
    boxes[1].remove()
    assert list(spool.root.iterdir()) == []


def test_what_is_no_sandbox_is_not_taken_for_one(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.sandbox(7, 0).create()
    for name in ("clusterX.proc0.subproc0", "cluster7.proc0", "cluster7.proc-1.subproc0", "junk"):
        (spool.root / "7" / "0" / name).mkdir()
    (spool.root / "7" / "0" / "cluster8.proc0.subproc0").write_text("a file")
    (spool.root / "7" / "x").mkdir()
    (spool.root / "7" / "file").write_text("")
    (spool.root / "lost+found").mkdir()
    assert list(spool.jobs()) == [(7, 0)]


def test_a_folder_that_goes_while_jobs_are_listed(spool: Spool) -> None:
    spool.sandbox(7, 0).create()
    spool.sandbox(8, 0).create()
    found = []
    for job in spool.jobs():
        found.append(job)
        for other in ((7, 0), (8, 0)):
            if other != job:
                spool.sandbox(*other).remove()
    assert len(found) == 1


def test_a_folder_that_another_process_removes_while_it_is_entered(
    writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = sandbox._enter
    left = 2

    def removing(directory: int, step: str) -> int:
        nonlocal left
        if step == "0" and left:
            left -= 1
            os.rmdir(step, dir_fd=directory)
        return enter(directory, step)

    monkeypatch.setattr(sandbox, "_enter", removing)
    put(writer, spool.sandbox(7, 0), "a", b"x")
    assert spool.sandbox(7, 0).read("a") == b"x"
    left = 100
    with pytest.raises(FileNotFoundError):
        spool.sandbox(8, 0).create()


def test_a_spool_that_is_gone(spool: Spool) -> None:
    spool.root.rmdir()
    box = spool.sandbox(7, 0)
    assert box.entries() == []
    assert not box.exists()
    assert list(spool.jobs()) == []
    with pytest.raises(FileNotFoundError):
        box.create()
    box.remove()


def test_a_spool_that_may_not_be_written(
    writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(PermissionError):
        writer.write_now(lambda unit: spool.sandbox(7, 0).declare(unit, "a"))
    monkeypatch.undo()
    spool.sandbox(7, 0).create()
    open_file = os.open

    def refusing(path: str, flags: int, *arguments: int, **options: int) -> int:
        if path in ("a", "0"):
            refuse()
        return open_file(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PermissionError):
        spool.sandbox(7, 0).read("a")


# ---------------------------------------------------------------- durable


def test_everything_is_synced_before_the_commit(writer: Writer, spool: Spool, synced: list[str]) -> None:
    box = spool.sandbox(7, 1)
    committed: list[list[str]] = []

    def work(unit: UnitOfWork) -> None:
        box.declare(unit, "a")
        box.write(unit, "a", 0, b"x")
        box.write(unit, "a", 1, b"x")
        unit.after_commit(lambda: committed.append(list(synced)))
        assert synced == []

    writer.write_now(work)
    root = str(spool.root)
    expected = [root, f"{root}/7", f"{root}/7/1", str(box.path), f"{box.path}/a"]
    assert committed == [expected]

    synced.clear()
    put(writer, box, "b", b"x")
    assert synced == [str(box.path), f"{box.path}/b"], "what is above the sandbox was synced before"
    synced.clear()
    writer.write_now(lambda unit: box.write(unit, "a", 5, b"x"))
    writer.write_now(lambda unit: box.replace(unit, "a", b"x"))
    assert synced == [f"{box.path}/a", str(box.path), f"{box.path}/a"]


def test_directories_that_were_there_are_synced_unless_this_process_did(
    writer: Writer, spool: Spool, synced: list[str]
) -> None:
    """Somebody who made them may have died before he synced them."""
    spool.sandbox(7, 1).create()
    put(writer, Spool(spool.root).sandbox(7, 1), "a", b"x")
    assert len(synced) == 5
    synced.clear()
    put(writer, Spool(spool.root).sandbox(7, 1), "a", b"x")
    assert len(synced) == 5


def test_a_sandbox_whose_first_unit_was_undone_is_synced_by_the_next(
    writer: Writer, spool: Spool, synced: list[str]
) -> None:
    box = spool.sandbox(7, 1)

    def failing(unit: UnitOfWork) -> None:
        box.declare(unit, "a")
        raise KeyError

    with pytest.raises(KeyError):
        writer.write_now(failing)
    assert synced == []
    put(writer, box, "a", b"x")
    assert len(synced) == 5


def test_a_sandbox_that_is_made_again_is_synced_again(
    writer: Writer, spool: Spool, synced: list[str]
) -> None:
    box = spool.sandbox(7, 1)
    put(writer, box, "a", b"x")
    box.remove()
    synced.clear()
    put(writer, box, "a", b"x")
    assert len(synced) == 5


def test_what_is_known_to_be_synced_is_bounded(
    writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_SETTLED_LIMIT", 3)
    for proc in range(10):
        put(writer, spool.sandbox(7, proc), "a", b"x")
        assert 1 <= len(spool._settled) <= 3
