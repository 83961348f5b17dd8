"""Many files brought to disk at once: by the kernel, by threads, and by both."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import caio
import pytest
from caio import linux_aio

from birdbath.store import syncing
from birdbath.store.syncing import sync_all
from tests.syncs import sync_by
from tests.toolkit import require


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[list[int]]:
    """A directory, and files in it with something that is not on disk yet."""
    found = [os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)]
    found += [os.open(tmp_path / f"{number}", os.O_RDWR | os.O_CREAT) for number in range(3)]
    for descriptor in found[1:]:
        os.write(descriptor, b"x" * 5000)
    yield found
    for descriptor in found:
        os.close(descriptor)


@pytest.fixture
def none_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked yet whether there is asynchronous I/O."""
    monkeypatch.setattr(syncing, "_idle", [])


def unwanted(descriptor: int) -> None:
    raise AssertionError("the kernel was to do it")


class Kernel:
    """Stands in for the kernel: takes what it `takes` and tells `results` of it."""

    def __init__(self, takes: int, results: list[int], interruptions: int = 0) -> None:
        self.takes = takes
        self.results = results
        self.interruptions = interruptions
        self.callbacks: list[Callable[[int], object]] = []

    def submit(self, *operations: Callable[[int], object]) -> int:
        if not self.takes:
            raise ValueError("EINVAL")
        self.callbacks += operations[: self.takes]
        return len(self.callbacks)

    def process_events(self, most: int, least: int, seconds: int) -> int:
        if self.interruptions:
            self.interruptions -= 1
            raise SystemError(errno.EINTR, "interrupted")
        assert least == len(self.callbacks)
        assert seconds < 0
        for callback, result in zip(self.callbacks, self.results, strict=True):
            callback(result)
        return least


class Operation:
    """Hands its callback over to the `Kernel`."""

    def set_callback(self, callback: Callable[[int], object]) -> None:
        self.ended = callback

    def __call__(self, result: int) -> None:
        self.ended(result)

    @classmethod
    def fsync(cls, descriptor: int) -> "Operation":
        return cls()


def stand_in(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> list[int]:
    """Use `kernel`; the descriptors that are synced one by one instead."""
    synced: list[int] = []
    sync_by(monkeypatch, synced.append)
    monkeypatch.setattr(syncing, "_kernel", lambda: kernel)
    monkeypatch.setattr(syncing, "_idle", [])
    monkeypatch.setattr(linux_aio, "Operation", Operation)
    return synced


# ---------------------------------------------------------------- by the kernel


def test_the_kernel_syncs_files_and_directories(
    descriptors: list[int], none_idle: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", unwanted)
    require("this kernel's asynchronous I/O, and leave to use it", syncing._kernel() is not None)
    for _ in range(2):
        sync_all(descriptors)
    sync_all([descriptors[1]] * 600)
    assert len(syncing._idle) == 1


def test_what_the_kernel_does_not_take_is_told_by_the_system_when_all_are_through(
    descriptors: list[int], none_idle: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    reading, writing = os.pipe()
    with pytest.raises(OSError, match="Invalid argument"):
        sync_all([*descriptors[:2], reading, *descriptors[2:]])
    assert sorted(synced)[-1] == max(reading, *descriptors)
    assert {reading, *descriptors[2:]} <= set(synced)
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_an_error_of_the_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(3, [0, (1 << 64) - errno.EIO, (1 << 64) - errno.ENOSPC])
    assert stand_in(monkeypatch, kernel) == []
    with pytest.raises(OSError, match="Input/output error") as told:
        sync_all([1, 2, 3])
    assert told.value.errno == errno.EIO


def test_a_signal_does_not_end_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    synced = stand_in(monkeypatch, kernel := Kernel(2, [0, 0], interruptions=2))
    sync_all([1, 2])
    assert kernel.interruptions == 0
    assert synced == []


def test_what_the_kernel_cannot_tell_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(2, [0, 0])
    stand_in(monkeypatch, kernel)

    def broken(most: int, least: int, seconds: int) -> int:
        raise SystemError(errno.EFAULT, "bad address")

    monkeypatch.setattr(kernel, "process_events", broken)
    with pytest.raises(OSError, match="bad address"):
        sync_all([1, 2])


@pytest.mark.parametrize("takes", [0, 1, 2])
def test_what_the_kernel_does_not_take_is_synced_all_the_same(
    takes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = stand_in(monkeypatch, Kernel(takes, [0] * takes))
    sync_all([1, 2, 3])
    assert sorted(synced) == [1, 2, 3][takes:]


# ---------------------------------------------------------------- by threads


def refused(requests: int) -> None:
    raise SystemError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_kernel_that_does_it_threads_sync(
    is_there: bool, descriptors: list[int], none_idle: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    if is_there:
        monkeypatch.setattr(linux_aio, "Context", refused)
    else:
        monkeypatch.setattr(caio, "linux_aio", None)
    monkeypatch.setattr(os, "fsync", synced.append)
    sync_all(descriptors)
    assert sorted(synced) == sorted(descriptors)


def test_threads_sync_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = threading.Barrier(3, timeout=60)
    sync_by(monkeypatch, lambda _: meeting.wait())
    sync_all([1, 2, 3])
    sync_all([])


@pytest.mark.parametrize("bad", [1, 2])
def test_a_sync_that_fails_is_told_when_all_are_through(bad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, ended = threading.Event(), []

    def sync(descriptor: int) -> None:
        if descriptor == bad:
            failed.set()
            raise OSError("no medium")
        assert failed.wait(60)
        ended.append(descriptor)

    sync_by(monkeypatch, sync)
    with pytest.raises(OSError, match="no medium"):
        sync_all([1, 2, 3])
    assert sorted([*ended, bad]) == [1, 2, 3]


def test_without_a_thread_left_they_are_synced_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync_by(monkeypatch, synced.append)
    monkeypatch.setattr(syncing, "_SYNCING", ThreadPoolExecutor(7))
    monkeypatch.setattr(threading.Thread, "start", no_thread_left)
    sync_all([1, 2, 3])
    assert sorted(synced) == [1, 2, 3]


def no_thread_left(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
