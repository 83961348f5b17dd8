"""Sandboxes made, found, removed, and on disk when they have to be."""

import errno
import os
import stat

import pytest

from birdbath.store import UnitOfWork, Writer, sandbox, settled
from birdbath.store.sandbox import Sandbox, Spool
from tests.store.sandbox import put

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
        unit.after_commit(lambda: committed.append(sorted(synced)))
        assert synced == []

    writer.write_now(work)
    root = str(spool.root)
    expected = [root, f"{root}/7", f"{root}/7/1", str(box.path), f"{box.path}/a"]
    assert committed == [expected]

    synced.clear()
    put(writer, box, "b", b"x")
    assert sorted(synced) == [str(box.path), f"{box.path}/b"], "what is above the sandbox was synced before"
    synced.clear()
    writer.write_now(lambda unit: box.write(unit, "a", 5, b"x"))
    writer.write_now(lambda unit: box.replace(unit, "a", b"x"))
    assert sorted(synced) == [str(box.path), f"{box.path}/a", f"{box.path}/a"]


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
    monkeypatch.setattr(settled, "_MOST_PLACES", 3)
    for proc in range(10):
        put(writer, spool.sandbox(7, proc), "a", b"x")
        assert 1 <= len(spool._settled) <= 3


def test_what_cannot_be_given_away_is_not_left_open(
    writer: Writer, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write_now(lambda unit: box.declare(unit, "input"))

    def refusing(descriptor: int, uid: int, gid: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refusing)
    with pytest.raises(PermissionError):
        box.give(1, 1)
