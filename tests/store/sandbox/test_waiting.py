"""Files that wait for a commit to be synced."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from birdbath.errors import BirdbathError
from birdbath.store import UnitOfWork, Writer, settled
from birdbath.store.sandbox import Sandbox, Spool
from birdbath.store.settled import MOST_BYTES, MOST_CHUNK
from tests.syncs import sync_by


def send(writer: Writer, box: Sandbox, name: str, size: int) -> None:
    writer.write_now(lambda unit: box.write(unit, name, 0, bytes(size), later=True))


def send_long_chunk(writer: Writer, box: Sandbox) -> None:
    send(writer, box, "a", MOST_CHUNK + 1)


def settle(writer: Writer, box: Sandbox) -> None:
    writer.write_now(lambda unit: box.settle(unit, ["a"]))


def declare(writer: Writer, box: Sandbox, *names: str) -> None:
    def work(unit: UnitOfWork) -> None:
        for name in names:
            box.declare(unit, name, later=True)

    writer.write_now(work)


def test_what_waits_is_synced_with_all_above_it_when_it_is_settled(
    writer: Writer, spool: Spool, synced: list[str]
) -> None:
    box = spool.sandbox(7, 1)
    declare(writer, box, "a", "b")
    send(writer, box, "a", 100)
    assert synced == []
    writer.write_now(lambda unit: box.settle(unit, ["a", "b", "never declared"]))
    root = str(spool.root)
    assert sorted(synced) == sorted(
        [root, f"{root}/7", f"{root}/7/1", str(box.path), f"{box.path}/a", f"{box.path}/b"]
    )
    synced.clear()
    writer.write_now(lambda unit: box.settle(unit, ["a"]))
    assert sorted(synced) == [str(box.path), f"{box.path}/a"]


def test_a_sandbox_that_is_not_there_is_settled(writer: Writer, spool: Spool, synced: list[str]) -> None:
    writer.write_now(lambda unit: spool.sandbox(7, 1).settle(unit, ["a"]))
    assert not spool.sandbox(7, 1).exists()


@pytest.mark.parametrize("step", [settle, send_long_chunk])
def test_what_could_not_be_synced_stays_lost(
    step: Callable[[Writer, Sandbox], None], writer: Writer, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports it once, and calls the pages clean from then on."""
    box = spool.sandbox(7, 1)
    declare(writer, box, "a")
    send(writer, box, "a", 100)
    with monkeypatch.context() as sick:
        sync_by(sick, fail)
        with pytest.raises(OSError, match="Input/output"):
            step(writer, box)
    for _ in range(2):
        with pytest.raises(BirdbathError, match="could not be brought to disk"):
            settle(writer, box)
    box.remove()
    declare(writer, box, "a")
    settle(writer, box)


def fail(descriptor: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_long_chunk_does_not_wait(writer: Writer, spool: Spool, synced: list[str]) -> None:
    box = spool.sandbox(7, 1)
    declare(writer, box, "a")
    send(writer, box, "a", MOST_CHUNK)
    assert synced == []
    send(writer, box, "a", MOST_CHUNK + 1)
    assert synced == [f"{box.path}/a"]


def test_many_small_chunks_do_not_wait(writer: Writer, spool: Spool, synced: list[str]) -> None:
    box = spool.sandbox(7, 1)
    declare(writer, box, "a")
    chunks = 2 * MOST_BYTES // MOST_CHUNK + 2
    for _ in range(chunks):
        send(writer, box, "a", MOST_CHUNK)
    assert synced == [f"{box.path}/a"] * 2


def test_no_more_than_some_files_wait(
    writer: Writer, spool: Spool, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "MOST_FILES", 3)
    first, second = spool.sandbox(7, 0), spool.sandbox(8, 0)
    declare(writer, first, "a", "b")
    declare(writer, second, "a")
    assert synced == []
    declare(writer, second, "b")
    assert len(synced) == 4, "the root, and the directories of the second"
    synced.clear()
    send(writer, second, "b", 1)
    assert synced == [f"{second.path}/b"]
    synced.clear()
    first.remove()
    send(writer, second, "b", 1)
    declare(writer, second, "c")
    assert synced == [], "there is room again"
