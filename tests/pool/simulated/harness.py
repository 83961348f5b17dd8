"""The simulated pool under test: its clock stands still until a test lets time pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from birdbath.pool.base import AdDirectory, JobQueue
from birdbath.pool.simulated import ManualClock, PoolDescription, SimulatedPool
from birdbath.pool.simulated.hosted import ProgramFactory
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool

T = TypeVar("T")


class SimulatedHarness:
    """See `tests.pool.harness.Harness`. The clock moves only in `wait_for` and `pass_time`."""

    owners = ("alice", "bob")
    domain = "example.org"

    _open_ones: ClassVar[list[SimulatedHarness]] = []

    def __init__(
        self,
        home: Path,
        description: PoolDescription | None = None,
        programs: ProgramFactory = lambda ad, sandbox: None,
    ) -> None:
        self._home = home
        self._programs = programs
        self._description = description
        self.clock = ManualClock()
        self._open()
        self._open_ones.append(self)

    @classmethod
    def close_all(cls) -> None:
        """Close what tests left open."""
        while cls._open_ones:
            cls._open_ones.pop().close()

    def _open(self) -> None:
        self.engine = open_engine(f"sqlite:///{self._home}/pool.db")
        self._writer = Writer(self.engine, self.clock.time)
        self.spool = Spool(self._home / "spool")
        self.pool = SimulatedPool(
            self.engine, self.spool, self._description, self.clock, programs=self._programs
        )

    @property
    def queue(self) -> JobQueue:
        return self.pool.queue

    @property
    def directory(self) -> AdDirectory:
        return self.pool.directory

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        return self._writer.write_now(work)

    def step(self) -> float | None:
        """Let the pool do what is due now, and say when something is due next."""
        for _ in range(10_000):
            due = self.write(self.pool.advance)
            if due is None or due > self.clock.time():
                return due
        raise AssertionError("the pool always has more to do")

    def wait_for(self, condition: Callable[[], bool], within: float = 1000.0) -> None:
        end = self.clock.time() + within
        while True:
            due = self.step()
            if condition():
                return
            assert due is not None, "nothing will happen any more"
            assert due <= end, f"it did not come true within {within} s"
            self.clock.step(due - self.clock.time())

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, with all that is due in them at its time."""
        end = self.clock.time() + seconds
        while (due := self.step()) is not None and due <= end:
            self.clock.step(due - self.clock.time())
        self.clock.step(end - self.clock.time())
        self.step()

    def restart(self) -> None:
        """What a kill and a new start leave: only the database and the spool folder."""
        self.close()
        self._open()

    def close(self) -> None:
        self.pool.close()
        self._writer.close()
        self.engine.dispose()
