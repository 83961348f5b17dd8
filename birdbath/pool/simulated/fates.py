"""What becomes of a run: how long it takes, what goes wrong with it, and when it has to be over.

A pure function of the pool's description and seed, the job and the number of its run; so it is the same
whenever it is asked for, before a kill or after it.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from birdbath.classads import Ad
from birdbath.pool.base import JobId
from birdbath.pool.simulated.description import FaultDescription, PoolDescription
from birdbath.pool.simulated.evaluation import evaluate_at
from birdbath.pool.simulated.execution import Run
from birdbath.pool.simulated.outages import draw
from birdbath.pool.simulated.programs import LONGEST_RUN

_PER_RUN = frozenset({"eviction", "shadow exception", "exit code", "signal", "transfer failure"})


class Cut(enum.Enum):
    """What ends a run before its program does."""

    EVICTION = "eviction"
    SHADOW_EXCEPTION = "shadow exception"
    TRANSFER_FAILURE = "transfer failure"
    JOB_DURATION = "job duration"
    EXECUTE_DURATION = "execute duration"


@dataclass(frozen=True)
class Fate:
    """A run as it comes to pass: `run.duration` is how long it lasts, `cut` what ends it then, if not the
    program itself, which may end by `signal` (0: it exits).
    """

    run: Run
    cut: Cut | None = None
    signal: int = 0


def fate(description: PoolDescription, ad: Ad, job: JobId, number: int, run: Run, now: float) -> Fate:
    """What becomes of the run of that number, whose program would do what `run` says."""
    cmd = ad.string("Cmd")
    known = next((program for program in description.programs if _is(cmd, program.cmd)), None)
    if known is not None:
        if known.runtime is not None and "SimRuntime" not in ad:
            chance = random.Random(f"{description.seed}/run/{job}/{number}")
            run = replace(run, duration=min(draw(known.runtime, chance), LONGEST_RUN))
        run = replace(run, exit_code=run.exit_code or known.exit_code)
    found = Fate(run)
    for index, fault in enumerate(description.faults):
        if fault.kind in _PER_RUN and _is(cmd, fault.cmd):
            found = _suffer(description, index, fault, job, number, found)
    return _within_limits(ad, found, now)


def is_lasting(ad: Ad, found: Fate) -> bool:
    """Whether `fate` says the same whenever it is asked for during the run, see `Run.lasting`."""
    limits = ("AllowedExecuteDuration", "AllowedJobDuration")
    return found.run.lasting and not any(ad.is_expression(name) for name in limits)


def _is(cmd: str, pattern: str) -> bool:
    return fnmatchcase(cmd, pattern) or fnmatchcase(cmd.rpartition("/")[2], pattern)


def _strikes(
    description: PoolDescription, index: int, fault: FaultDescription, job: JobId, number: int
) -> bool:
    """Whether the fault befalls this run, having befallen fewer than `most` before it."""
    struck = [
        run
        for run in range(number + 1)
        if random.Random(f"{description.seed}/fault/{index}/{job}/{run}").random() < fault.probability
    ]
    return number in struck[: fault.most]


def _suffer(
    description: PoolDescription, index: int, fault: FaultDescription, job: JobId, number: int, found: Fate
) -> Fate:
    if found.cut is not None or not _strikes(description, index, fault, job, number):
        return found
    if fault.kind == "exit code":
        return replace(found, run=replace(found.run, exit_code=fault.value))
    if fault.kind == "signal":
        return replace(found, signal=fault.value)
    duration = found.run.duration
    chance = random.Random(f"{description.seed}/moment/{index}/{job}/{number}")
    after = chance.uniform(0.0, duration) if fault.after is None else fault.after
    if after > duration:
        return found
    return Fate(replace(found.run, duration=after), Cut(fault.kind))


def allowed(ad: Ad, now: float) -> tuple[float, Cut] | None:
    """How long the job lets a run last by AllowedExecuteDuration or AllowedJobDuration (without transfers
    they are one), and what cuts it then; None for as long as it takes.
    """
    found = []
    for name, cut in (
        ("AllowedExecuteDuration", Cut.EXECUTE_DURATION),
        ("AllowedJobDuration", Cut.JOB_DURATION),
    ):
        seconds = evaluate_at(ad, name, now)
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0:
            found.append((float(seconds), cut))
    return min(found, key=lambda limit: limit[0], default=None)


def _within_limits(ad: Ad, found: Fate, now: float) -> Fate:
    """Cut a run that outlasts what is allowed."""
    limit = allowed(ad, now)
    if limit is None or limit[0] >= found.run.duration:
        return found
    return Fate(replace(found.run, duration=limit[0]), limit[1])
