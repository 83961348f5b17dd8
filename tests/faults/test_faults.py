"""A disk that fails at every single call of a submission: nothing is ever confirmed that is not there, and
the store goes on when the disk does.
"""

from __future__ import annotations

import errno
import itertools
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.wire import Wire
from tests.faults.sick_disk import MAKE, RENAME, SYNC, WRITE, Illness, SickDisk, compile_library
from tests.faults.submission import Submission
from tests.server_process import ServerProcess, running_server

pytestmark = [pytest.mark.toolkit, pytest.mark.slow]

ILLNESSES = {
    "disk full, once": Illness(WRITE | MAKE, errno.ENOSPC),
    "disk full until space returns": Illness(WRITE | MAKE, errno.ENOSPC, sticky=True),
    "read-only until it is mounted anew": Illness(WRITE | MAKE | RENAME, errno.EROFS, sticky=True),
    "failing sync": Illness(SYNC, errno.EIO),
    "failing sync, for a while": Illness(SYNC, errno.EIO, sticky=True),
    "failing rename": Illness(RENAME, errno.EIO),
    "short writes": Illness(WRITE, 0, sticky=True),
}
IN_MEMORY = Path("/dev/shm")
"""Nothing here depends on how long a real disk takes to sync."""

NEVER_CALLED = {"failing rename"}
"""Nothing is renamed in a submission: files are written in place, SQLite keeps a write-ahead log."""


@dataclass
class Ward:
    """A server on a disk that can fail, and all that was submitted to it."""

    home: Path
    disk: SickDisk
    server: ServerProcess
    wire: Wire
    submissions: list[Submission] = field(default_factory=list)

    def submit(self) -> Submission:
        submission = Submission(self.wire, self.disk.heal)
        self.submissions.append(submission)
        submission.run()
        return submission


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp("sick"))


@pytest.fixture
def ward(library: Path) -> Iterator[Ward]:
    with TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        yield from hospitalised(library, Path(folder) / "home")


def hospitalised(library: Path, home: Path) -> Iterator[Ward]:
    disk = SickDisk(library, home)
    with running_server(home, environment=disk.environment) as server, closing(wire_to(server)) as wire:
        yield Ward(home, disk, server, wire)


def wire_to(server: ServerProcess) -> Wire:
    return Wire(int(server.url.rpartition(":")[2]))


@pytest.mark.parametrize("name", ILLNESSES)
def test_a_disk_that_fails_at_every_call_of_a_submission(name: str, ward: Ward) -> None:
    illness = ILLNESSES[name]
    for nth in itertools.count(1):
        ward.disk.fall_ill(illness, nth)
        submission = ward.submit()
        ill = ward.disk.failed > 0
        ward.disk.heal()
        submission.check(ward.wire)
        if not ill:
            break
    least = 5 if "sync" in name else 10  # a submission is synced chunk by long chunk, and at its commit
    assert nth == 1 if name in NEVER_CALLED else nth > least
    assert ward.submit().failures == []
    ward.server.stop(signal.SIGKILL)
    check_store(ward)


def check_store(ward: Ward) -> None:
    """The database is sound, and a new server on a healthy disk has all that was confirmed."""
    with closing(sqlite3.connect(ward.home / "birdbath.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with running_server(ward.home) as server, closing(wire_to(server)) as wire:
        for submission in ward.submissions:
            submission.check(wire)
        known = {submission.cluster for submission in ward.submissions}
        assert {int(ad["ClusterId"][1]) for ad in wire.job_ads("")} <= known
