"""A recorded run as HTCondor's job event log has it: text, XML or JSON, by HTCondor's own reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from birdbath.traces.records import Trace, TraceError, TraceJob

_SUBMIT, _EXECUTE, _EVICTED, _TERMINATED, _ABORTED = 0, 1, 4, 5, 9


@dataclass
class _Life:
    """A job as far as the log has told of it."""

    submit: float
    first_start: float | None = None
    start: float | None = None
    end: float | None = None
    ran: float = 0.0
    cpus: int = 1
    memory: int | None = None


def read_event_log(path: Path) -> Trace:
    """The jobs of the log that ran to their end, each with the time for which it ran in all.

    Raises TraceError when it is no event log.
    """
    import htcondor2  # slow to import, and needed by this command only

    lives: dict[tuple[int, int], _Life] = {}
    try:
        for event in htcondor2.JobEventLog(str(path)).events(stop_after=0):
            _follow(lives, event)
    except (htcondor2.HTCondorException, OSError) as error:
        raise TraceError(f"{path}: not an event log: {error}") from None
    skipped: Counter[str] = Counter()
    jobs: list[TraceJob] = []
    for number, life in enumerate(lives.values(), 1):
        if life.end is None or life.first_start is None:
            skipped["did not run to their end"] += 1
        else:
            wait = life.first_start - life.submit
            jobs.append(TraceJob(number, life.submit, life.ran, life.cpus, memory=life.memory, wait=wait))
    return Trace(tuple(sorted(jobs, key=lambda job: (job.submit, job.number))), None, dict(skipped))


def _follow(lives: dict[tuple[int, int], _Life], event: Any) -> None:
    key, when, kind = (event.cluster, event.proc), float(event.timestamp), int(event.type)
    if kind == _SUBMIT:
        lives[key] = _Life(when)
    elif (life := lives.get(key)) is not None:
        if kind == _EXECUTE:
            life.start = when
            life.first_start = when if life.first_start is None else life.first_start
        elif kind in (_EVICTED, _TERMINATED, _ABORTED) and life.start is not None:
            life.ran += when - life.start
            life.start = None
        if kind == _TERMINATED:
            life.end = when
            life.cpus = _positive(event.get("RequestCpus")) or 1
            life.memory = _positive(event.get("RequestMemory"))


def _positive(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
