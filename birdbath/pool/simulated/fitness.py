"""Whether a job can run in the simulated pool at all. The original let a job that lacks something wait for
ever.
"""

from __future__ import annotations

from birdbath.classads import Ad
from birdbath.pool.base import incomplete
from birdbath.pool.simulated.lifecycle import Hold

INCOMPLETE_JOB = 24
"""HTCondor's code for a job that no shadow can run."""

_UNIVERSES = frozenset({1, 5, 7, 8, 10, 11, 12, 13})
_GRID = 9
_CRONTAB = ("CronMinute", "CronHour", "CronDayOfMonth", "CronMonth", "CronDayOfWeek")


def unfitness(ad: Ad) -> Hold | None:
    """Why the job is to be held at once, or None."""
    if reason := incomplete(ad):
        return Hold(reason, INCOMPLETE_JOB, system=True)
    universe = ad.integer("JobUniverse", -1)
    if universe == _GRID:
        reason = "The job cannot run: this pool has no grid resources (JobUniverse 9)"
    elif universe not in _UNIVERSES:
        reason = f"The job cannot run: there is no JobUniverse {universe}"
    elif not ad.string("Owner") or not ad.string("Cmd"):
        reason = "The job cannot run: Owner and Cmd must be strings that are not empty"
    elif timed := next((name for name in _CRONTAB if name in ad), None):
        # It would run at once, and one that is to run for ever without a pause.
        reason = f"The job cannot run: this pool starts no jobs by a crontab ({timed})"
    else:
        return None
    return Hold(reason, INCOMPLETE_JOB, system=True)
