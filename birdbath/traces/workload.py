"""The Standard Workload Format (version 2.2) of the Parallel Workloads Archive.

One job a line, 18 numbers, -1 for what is not known; lines that begin with a semicolon are comments, some of
them with a label such as `MaxProcs`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import isfinite

from birdbath.traces.records import Trace, TraceError, TraceJob

_LABEL = re.compile(r";\s*(\w+):\s*(.*\S)")
_FIELDS = 18
_SUBMIT, _WAIT, _RUNTIME, _ALLOCATED, _USED_MEMORY = 1, 2, 3, 4, 6
_REQUESTED, _REQUESTED_MEMORY, _STATUS, _USER = 7, 9, 10, 11
_PRECEDING, _THINK = 16, 17
_PARTIAL = (2, 3, 4)
"""Status of lines that tell of parts of a job; another line tells of the whole."""


def read_workload(lines: Iterable[str], name: str) -> Trace:
    """The jobs of a trace. Raises TraceError for a line that is not of the format."""
    jobs: list[TraceJob] = []
    skipped: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(";"):
            if match := _LABEL.match(text):
                labels.setdefault(match[1], match[2])
            continue
        if not text:
            continue
        job = _job(_numbers(text, name, number))
        if isinstance(job, str):
            skipped[job] += 1
        else:
            jobs.append(job)
    return Trace(
        tuple(sorted(jobs, key=lambda job: (job.submit, job.number))), _processors(labels), dict(skipped)
    )


def _numbers(text: str, name: str, number: int) -> list[float]:
    try:
        fields = [float(field) for field in text.split()]
        if not all(map(isfinite, fields)):
            raise ValueError
    except ValueError:
        raise TraceError(f"{name}, line {number}: not a line of numbers: {text[:60]}") from None
    if len(fields) != _FIELDS:
        raise TraceError(f"{name}, line {number}: {len(fields)} fields instead of {_FIELDS}")
    return fields


def _job(fields: list[float]) -> TraceJob | str:
    """The job, or why it is none to replay."""
    cpus = int(fields[_ALLOCATED] if fields[_ALLOCATED] > 0 else fields[_REQUESTED])
    memory = fields[_REQUESTED_MEMORY] if fields[_REQUESTED_MEMORY] > 0 else fields[_USED_MEMORY]
    if fields[_STATUS] in _PARTIAL:
        return "parts of jobs that another line tells of"
    if fields[_RUNTIME] < 0 or fields[_SUBMIT] < 0:
        return "no run time or submit time"
    if fields[_RUNTIME] == 0 and fields[_STATUS] == 5:
        return "cancelled before they started"
    if cpus <= 0:
        return "no number of processors"
    return TraceJob(
        number=int(fields[0]),
        submit=fields[_SUBMIT],
        runtime=fields[_RUNTIME],
        cpus=cpus,
        user=f"user{int(fields[_USER])}" if fields[_USER] >= 0 else "user",
        memory=-(-int(memory) * cpus // 1024) if memory > 0 else None,
        wait=fields[_WAIT] if fields[_WAIT] >= 0 else None,
        preceding=int(fields[_PRECEDING]) if fields[_PRECEDING] > 0 else None,
        think=fields[_THINK] if fields[_THINK] >= 0 else None,
    )


def _processors(labels: dict[str, str]) -> int | None:
    for label in ("MaxProcs", "MaxNodes"):
        if match := re.match(r"[0-9]+", labels.get(label, "")):
            return int(match[0]) or None
    return None
