"""How much of the history the simulated pool keeps, and how long a query of it may take."""

from __future__ import annotations

from functools import partial

import pytest

from birdbath.classads import Constraint
from birdbath.classads.constraints import TooManySeconds
from birdbath.pool.base import ActionDetails, JobAction, JobId
from birdbath.pool.simulated import history
from birdbath.pool.simulated.history import HistoryRetention, prune
from tests.pool.harness import submit_many
from tests.pool.simulated.harness import SimulatedHarness
from tests.pool.test_queue_contract import left

FORCED = ActionDetails(force=True)


def removed(simulated: SimulatedHarness, count: int) -> list[JobId]:
    """So many jobs that were removed, one after the other."""
    jobs = submit_many(simulated, count, "/bin/true", Requirements=False)
    for job in jobs:
        simulated.write(partial(simulated.queue.act, action=JobAction.REMOVE, job=job, details=FORCED))
    return jobs


def pruned(simulated: SimulatedHarness, retention: HistoryRetention, most: int = 100) -> int:
    return simulated.write(lambda unit: prune(unit, retention, simulated.clock.time(), most))


def test_what_is_too_many_goes_the_first_that_left_first(simulated: SimulatedHarness) -> None:
    jobs = removed(simulated, 6)
    (queued,) = submit_many(simulated, 1, "/bin/true", Requirements=False)
    retention = HistoryRetention(max_jobs=2)
    assert [pruned(simulated, retention, 3) for _ in range(3)] == [3, 1, 0]
    assert left(simulated) == [jobs[5], jobs[4]]
    assert simulated.queue.job(queued) is not None


def test_what_is_too_old_goes(simulated: SimulatedHarness) -> None:
    old = removed(simulated, 2)
    simulated.clock.step(100)
    young = removed(simulated, 1)
    simulated.clock.step(50)
    assert pruned(simulated, HistoryRetention(max_age=200)) == 0
    assert pruned(simulated, HistoryRetention(max_age=100)) == len(old)
    assert left(simulated) == young


def test_without_limits_all_stay(simulated: SimulatedHarness) -> None:
    jobs = removed(simulated, 3)
    simulated.clock.step(1e9)
    assert simulated.write(simulated.pool.prune_history) == 0
    assert left(simulated) == jobs[::-1]


def test_the_history_is_read_some_at_a_time(
    simulated: SimulatedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "AT_ONCE", 4)
    jobs = removed(simulated, 10)
    assert left(simulated, most=100) == jobs[::-1]
    assert left(simulated, "ProcId % 3 == 0", most=2) == [jobs[9], jobs[6]]
    assert left(simulated, f"ClusterId == {jobs[0].cluster} && ProcId < 2", before=jobs[1]) == [jobs[0]]


def test_a_query_of_the_history_has_its_time_in_all(
    simulated: SimulatedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "AT_ONCE", 1)
    removed(simulated, 2)
    constraint = Constraint("ProcId > 100", seconds=1e-9)
    with pytest.raises(TooManySeconds):
        simulated.queue.history(constraint, None, 10, simulated.clock.time())
