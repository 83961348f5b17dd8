"""What the pool keeps in memory of the database: interruptions, lost connections, nothing left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from birdbath.classads import Ad, AdMemory, AdRecord, Constraint
from birdbath.pool.base import AdKind, JobId, JobStatus
from birdbath.pool.simulated import SimulatedPool, mirror
from birdbath.pool.simulated.mirror import QueueMirror
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool
from tests.pool.harness import becomes, status_of, submit, submit_many
from tests.pool.simulated.harness import SimulatedHarness
from tests.store import postgresql
from tests.toolkit import require


class Interrupted(BaseException):
    """What a signal raises in the middle of anything."""


class Interruption:
    """Stands in for AdRecord: the record after so many is not made."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, source: str, memory: AdMemory, key: tuple[int, int]) -> AdRecord:
        self._left -= 1
        if self._left < 0:
            raise Interrupted
        return AdRecord(source, memory, key)


@pytest.fixture
def queue(simulated: SimulatedHarness) -> Iterator[QueueMirror]:
    """A mirror that has not read anything yet."""
    queue = QueueMirror(simulated.engine, AdMemory())
    yield queue
    queue.close()


def interrupt(queue: QueueMirror, after: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirror, "AdRecord", Interruption(after))
        with pytest.raises(Interrupted):
            queue.count()


def shown(queue: QueueMirror) -> list[JobId]:
    records = queue.select(Constraint(None), 0.0)
    return sorted(JobId(*record.key) for record in records)


def remove(simulated: SimulatedHarness, job: JobId) -> None:
    simulated.wait_for(becomes(simulated, job, None))


# ---------------------------------------------------------------- interrupted half-way


@pytest.mark.parametrize("after", range(4))
def test_an_interrupted_refresh_loses_nothing(
    simulated: SimulatedHarness, queue: QueueMirror, after: int
) -> None:
    old = submit_many(simulated, 2, "/bin/sleep", "50")
    assert queue.count() == 2
    new = submit_many(simulated, 3, "/bin/sleep", "50", Requirements=False)
    simulated.wait_for(lambda: all(status_of(simulated, job) is JobStatus.RUNNING for job in old))
    interrupt(queue, after)
    assert shown(queue) == old + new
    assert queue.census() == {"alice": Counter({JobStatus.RUNNING: 2, JobStatus.IDLE: 3})}


def test_an_interrupted_load_leaves_nothing_that_has_left_since(
    simulated: SimulatedHarness, queue: QueueMirror
) -> None:
    leaving = submit(simulated, "/bin/true", LeaveJobInQueue=False)
    staying = submit(simulated, "/bin/true", Requirements=False)
    interrupt(queue, 1)
    remove(simulated, leaving)
    assert shown(queue) == [staying]
    assert queue.get(leaving) is None
    assert queue.count("alice") == 1
    assert queue.census() == {"alice": Counter({JobStatus.IDLE: 1})}


def test_a_refresh_without_interruption_keeps_the_records(
    simulated: SimulatedHarness, queue: QueueMirror
) -> None:
    first = submit(simulated, "/bin/true", Requirements=False)
    record = queue.get(first)
    submit(simulated, "/bin/true", Requirements=False)
    assert queue.get(first) is record


# ---------------------------------------------------------------- nothing is left over


def test_an_owner_whose_last_job_left_takes_no_memory(
    simulated: SimulatedHarness, queue: QueueMirror
) -> None:
    def submitters() -> int:
        found = simulated.directory.query([AdKind.SUBMITTOR], Constraint(None), simulated.clock.time())
        return len(found.records)

    job = submit(simulated, "/bin/sleep", "50", LeaveJobInQueue=False)
    assert (submitters(), queue.count()) == (1, 1)
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    assert (submitters(), queue.count()) == (1, 1)
    directory = simulated.pool.directory
    assert list(directory._since) == ["submitter alice"]
    assert dict(queue._census) == {("alice", JobStatus.RUNNING): 1}
    remove(simulated, job)
    assert (submitters(), queue.count()) == (0, 0)
    assert not directory._since
    assert not queue._census


# ---------------------------------------------------------------- lost connections


class OnPostgresql(SimulatedHarness):
    """The simulated pool on a PostgreSQL database that drops connections."""

    def __init__(self, home: Path, server: postgresql.Server) -> None:
        self._server = server
        self._url = server.new_database()
        super().__init__(home)

    def _open(self) -> None:
        self.engine = open_engine(self._url)
        self._writer = Writer(self.engine, self.clock.time)
        self.spool = Spool(self._home / "spool")
        self.pool = SimulatedPool(self.engine, self.spool, clock=self.clock)

    def drop_connections(self) -> None:
        self._server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.engine.url.database}'"
        )


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[OnPostgresql]:
    programs = postgresql.programs()
    require("postgresql (initdb, pg_ctl)", programs is not None)
    assert programs is not None
    with postgresql.running(programs) as server:
        harness = OnPostgresql(tmp_path, server)
        yield harness
        harness.close()


def insert_storage(remote: OnPostgresql, name: str) -> None:
    ad = Ad()
    ad.update({"MyType": "Storage", "Name": name})

    def work(unit: UnitOfWork, key: str) -> bool:
        return remote.directory.insert(unit, AdKind.STORAGE, key, ad, remote.clock.time() + 900)

    assert remote.write(partial(work, key=name))


@pytest.mark.toolkit
def test_a_pool_reads_on_after_its_connections_were_dropped(remote: OnPostgresql) -> None:
    def found(kind: AdKind) -> int:
        return len(remote.directory.query([kind], Constraint(None), remote.clock.time()).records)

    jobs: list[JobId] = []
    slots = found(AdKind.STARTD)
    for round_ in range(1, 4):
        jobs.append(submit(remote, "/bin/sleep", "5000"))
        insert_storage(remote, f"store-{round_}")
        remote.drop_connections()
        assert [remote.queue.job(job) is not None for job in jobs] == [True] * round_
        assert found(AdKind.STORAGE) == round_
        assert found(AdKind.STARTD) == slots
        remote.drop_connections()
        assert found(AdKind.STARTD) == slots
        assert found(AdKind.SUBMITTOR) == 1
    remote.wait_for(lambda: all(status_of(remote, job) is JobStatus.RUNNING for job in jobs))
