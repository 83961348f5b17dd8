"""Clocks, and what the pool tells whoever drives it."""

from __future__ import annotations

import time

import pytest

from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated import ManualClock, RealClock
from birdbath.store import UnitOfWork
from tests.pool.harness import SimulatedHarness, becomes, new_job, submit


def test_a_manual_clock_moves_when_it_is_stepped() -> None:
    clock = ManualClock(100.0)
    assert clock.time() == 100.0
    assert clock.step(2.5) == clock.time() == 102.5
    assert clock.delay(102.5) == 0.0
    assert clock.delay(103.0) == float("inf")
    with pytest.raises(ValueError, match="back"):
        clock.step(-1)


def test_the_real_clock_is_the_walls() -> None:
    clock = RealClock()
    assert abs(clock.time() - time.time()) < 5
    assert clock.delay(0.0) == 0.0
    assert 90 < clock.delay(clock.time() + 100) <= 100


def test_an_empty_pool_waits_for_nothing(simulated: SimulatedHarness) -> None:
    assert simulated.write(simulated.pool.advance) is None


def test_a_submission_wakes_the_driver_once(simulated: SimulatedHarness) -> None:
    told: list[float] = []
    simulated.step()
    simulated.pool.on_change(lambda: told.append(simulated.clock.time()))
    submit(simulated, "/bin/true")
    assert len(told) == 1
    due = simulated.write(simulated.pool.advance)
    assert due is not None
    submit(simulated, "/bin/true")
    assert len(told) == 1
    assert simulated.write(simulated.pool.advance) == due > simulated.clock.time()


def test_a_unit_that_fails_wakes_nobody(simulated: SimulatedHarness) -> None:
    told: list[bool] = []
    simulated.step()
    simulated.pool.on_change(lambda: told.append(True))

    def work(unit: UnitOfWork) -> None:
        job = new_job(simulated, JobId(1, 0), "/bin/true")
        simulated.queue.accept(unit, [job])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated.write(work)
    assert told == []


def test_advance_says_when_something_is_due(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "100")
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    start = simulated.clock.time()
    assert simulated.step() == start + 2
    simulated.clock.step(2)
    assert simulated.step() == start + 100


def test_rescheduling_negotiates_at_once(simulated: SimulatedHarness) -> None:
    simulated.step()
    job = submit(simulated, "/bin/true")
    simulated.write(simulated.pool.advance)
    assert becomes(simulated, job, JobStatus.IDLE)()
    simulated.queue.reschedule()
    simulated.write(simulated.pool.advance)
    assert becomes(simulated, job, JobStatus.RUNNING)()
