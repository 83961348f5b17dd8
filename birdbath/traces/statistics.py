"""What is reported of a schedule: waits, slowdown, utilisation.

Definitions are those of the literature on parallel job scheduling: wait = start - submit, response = end -
submit, slowdown = response / run time, bounded slowdown = max(1, response / max(run time, 10 s)),
utilisation = the share of all processors' time, from the first submission to the last end, that jobs had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median

from birdbath.traces.records import JobRecord

BOUND = 10.0


@dataclass(frozen=True)
class Summary:
    """Times in seconds; `utilisation` from 0 to 1, of `processors`."""

    jobs: int
    processors: int
    makespan: float
    work: float
    utilisation: float
    mean_wait: float
    median_wait: float
    p95_wait: float
    max_wait: float
    mean_response: float
    mean_slowdown: float
    mean_bounded_slowdown: float
    jobs_per_hour: float


def summarize(records: Sequence[JobRecord], processors: int) -> Summary:
    """The figures of a run; of no job at all they are 0."""
    if not records:
        return Summary(0, processors, *(0.0,) * 11)
    waits = sorted(record.wait for record in records)
    makespan = max(record.end for record in records) - min(record.submit for record in records)
    work = sum(record.runtime * record.cpus for record in records)
    slowdowns = [record.response / record.runtime for record in records if record.runtime > 0]
    return Summary(
        jobs=len(records),
        processors=processors,
        makespan=makespan,
        work=work,
        utilisation=work / (makespan * processors) if makespan > 0 else 0.0,
        mean_wait=fmean(waits),
        median_wait=median(waits),
        p95_wait=waits[-(-len(waits) * 95 // 100) - 1],
        max_wait=waits[-1],
        mean_response=fmean(record.response for record in records),
        mean_slowdown=fmean(slowdowns) if slowdowns else 0.0,
        mean_bounded_slowdown=fmean(max(1.0, r.response / max(r.runtime, BOUND)) for r in records),
        jobs_per_hour=len(records) / makespan * 3600 if makespan > 0 else 0.0,
    )


def curve(changes: Sequence[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """The level after each of the changes (time, by how much), as times and levels, times ascending once."""
    total: dict[float, int] = {}
    for when, by in changes:
        total[when] = total.get(when, 0) + by
    times = sorted(total)
    return times, list(accumulate(total[when] for when in times))


def busy(records: Sequence[JobRecord]) -> tuple[list[float], list[int]]:
    """How many processors had a job, over time."""
    return curve(
        [(r.start, r.cpus) for r in records] + [(r.end, -r.cpus) for r in records if r.end >= r.start]
    )


def queued(records: Sequence[JobRecord]) -> tuple[list[float], list[int]]:
    """How many jobs waited, over time."""
    return curve([(r.submit, 1) for r in records] + [(r.start, -1) for r in records])


def lanes(records: Sequence[JobRecord]) -> list[tuple[JobRecord, list[int]]]:
    """For every job the processors that it may be drawn on: the lowest ones of its machine that are free.

    Processors are numbered over all machines, in the order in which machines were first used.
    """
    free_at: dict[str, list[float]] = {}
    chosen: list[tuple[JobRecord, list[int]]] = []
    for record in sorted(records, key=lambda r: (r.start, r.number)):
        machine = free_at.setdefault(record.machine, [])
        mine = [lane for lane, free in enumerate(machine) if free <= record.start][: record.cpus]
        while len(mine) < record.cpus:
            mine.append(len(machine))
            machine.append(0.0)
        for lane in mine:
            machine[lane] = record.end
        chosen.append((record, mine))
    first = dict(zip(free_at, accumulate((len(m) for m in free_at.values()), initial=0), strict=False))
    return [(record, [first[record.machine] + lane for lane in mine]) for record, mine in chosen]
