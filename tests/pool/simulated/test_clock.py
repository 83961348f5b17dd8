"""Clocks, and what the pool tells whoever drives it."""

from __future__ import annotations

import time
from math import inf

import pytest

from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated import ClockState, ManualClock, VirtualClock
from birdbath.pool.simulated.clock import KEPT_AHEAD
from birdbath.pool.simulated.state import keep_time, read_clock, save_clock
from birdbath.store import UnitOfWork
from tests.pool.harness import becomes, new_job, submit
from tests.pool.simulated.harness import SimulatedHarness


def test_a_manual_clock_moves_when_it_is_stepped() -> None:
    clock = ManualClock(100.0)
    assert clock.time() == 100.0
    assert clock.step(2.5) == clock.time() == 102.5
    assert clock.delay(102.5) == 0.0
    assert clock.delay(103.0) == float("inf")
    with pytest.raises(ValueError, match="back"):
        clock.step(-1)


def test_a_clock_of_normal_speed_is_the_walls() -> None:
    clock = VirtualClock(ClockState(time.time()))
    assert abs(clock.time() - time.time()) < 5
    assert clock.delay(0.0) == 0.0
    assert 90 < clock.delay(clock.time() + 100) <= 100


def test_a_paused_clock_shows_what_it_showed_after_a_restart(simulated: SimulatedHarness) -> None:
    """Nothing has happened in the pool since it was paused, that would have been written with its time."""
    wall = [0.0]
    simulated.write(lambda unit: save_clock(unit, ClockState(1000.0, speed=60.0)))
    clock = VirtualClock(ClockState(1000.0, speed=60.0), wall=lambda: wall[0])
    wall[0] = 10.0
    simulated.write(lambda unit: save_clock(unit, clock.change(paused=True)))
    assert simulated.write(read_clock) == ClockState(1600.0, speed=60.0, paused=True)


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


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_clock_runs_faster_but_never_past_what_is_still_to_be_done() -> None:
    wall = Wall()
    clock = VirtualClock(ClockState(1000.0, speed=60.0), wall)
    clock.expect(1300.0)
    wall.now += 4
    assert clock.time() == 1240.0
    assert clock.delay(1300.0) == 1.0
    assert not clock.reach(1300.0)
    wall.now += 3
    assert clock.time() == 1300.0, "what is due at 1300 has not been done yet"
    assert clock.reach(1300.0)
    clock.expect(None)
    assert clock.time() == 1420.0, "it has caught up with the 7 seconds that passed"
    wall.now += 1
    assert clock.time() == 1480.0


def test_a_clock_without_limits_stands_still_until_something_is_due() -> None:
    clock = VirtualClock(ClockState(1000.0, speed=inf), Wall())
    clock.expect(None)
    assert clock.time() == 1000.0
    assert clock.delay(5000.0) == 0.0
    assert clock.reach(5000.0)
    assert clock.time() == 5000.0


@pytest.mark.parametrize("speed", [1.0, inf])
def test_a_clock_pauses_at_its_limit(speed: float) -> None:
    wall = Wall()
    clock = VirtualClock(ClockState(1000.0, speed=speed, limit=1100.0), wall)
    wall.now += 200
    assert clock.reach(1099.0)
    assert not clock.reach(1101.0)
    clock.expect(1101.0)
    assert clock.state == ClockState(1100.0, speed, paused=True)


def test_a_paused_clock_goes_on_step_by_step() -> None:
    clock = VirtualClock(ClockState(1000.0), Wall())
    told: list[bool] = []
    clock.on_change(lambda: told.append(True))
    clock.change(paused=True)
    assert not clock.reach(1010.0)
    clock.step()
    assert told == [True, True]
    assert clock.delay(1010.0) == 0.0
    assert clock.reach(1010.0)
    assert clock.reach(1010.0)
    assert not clock.reach(1011.0)
    assert clock.time() == 1010.0


def test_keeping_the_time_leaves_the_settings_of_the_clock_alone(simulated: SimulatedHarness) -> None:
    simulated.write(lambda unit: keep_time(unit, ClockState(1_800_000_100.0, speed=60.0)))
    assert simulated.write(read_clock) == ClockState(1_800_000_100.0, speed=60.0)
    simulated.write(lambda unit: save_clock(unit, ClockState(1_800_000_200.0, paused=True)))
    simulated.write(lambda unit: keep_time(unit, ClockState(1_800_000_300.0, speed=60.0)))
    assert simulated.write(read_clock) == ClockState(1_800_000_300.0, paused=True)


def test_a_clock_shows_no_time_before_it_is_kept() -> None:
    wall = Wall()
    clock = VirtualClock(ClockState(1000.0, speed=60.0), wall, keeps=lambda state: True)
    wall.now += 1
    assert clock.time() == 1000.0
    kept = clock.to_keep()
    assert kept is not None
    assert kept[0] == ClockState(1000.0 + 60 * KEPT_AHEAD, speed=60.0)
    assert clock.time() == 1000.0, "it is not durable yet"
    kept[1]()
    assert clock.time() == 1060.0
    assert clock.to_keep() is None, "it has only just been kept"
    wall.now += 100
    assert clock.time() == kept[0].time
    later = clock.to_keep()
    assert later is not None
    assert later[0].time == kept[0].time + 60 * KEPT_AHEAD


def test_what_was_kept_says_nothing_of_a_clock_that_was_set_since() -> None:
    wall = Wall()
    clock = VirtualClock(ClockState(1000.0, speed=60.0), wall, keeps=lambda state: True)
    kept = clock.to_keep()
    assert kept is not None
    clock.change(speed=2.0)
    kept[1]()
    wall.now += 1
    assert clock.time() == 1000.0


@pytest.mark.parametrize(
    ("state", "keeps"),
    [
        (ClockState(1000.0, speed=60.0), False),
        (ClockState(1000.0, speed=inf), True),
        (ClockState(1000.0, speed=60.0, paused=True), True),
    ],
)
def test_a_clock_whose_restart_shows_no_earlier_time_is_not_kept(state: ClockState, keeps: bool) -> None:
    wall = Wall()
    clock = VirtualClock(state, wall, keeps=lambda state: keeps)
    assert clock.to_keep() is None
    wall.now += 100
    assert clock.time() == (1000.0 if keeps else 7000.0)


def test_a_clock_is_kept_no_further_than_to_its_limit() -> None:
    clock = VirtualClock(ClockState(1000.0, speed=60.0, limit=1100.0), Wall(), keeps=lambda state: True)
    kept = clock.to_keep()
    assert kept is not None
    assert kept[0].time == 1100.0
    kept[1]()
    assert clock.to_keep() is None


def test_a_clock_needs_a_speed() -> None:
    with pytest.raises(ValueError, match="above 0"):
        VirtualClock(ClockState(1000.0, speed=0.0))
