"""A job as a trace tells of it, and a job as a run went. Plain values; times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.errors import BirdbathError


class TraceError(BirdbathError):
    """The trace cannot be read; the text says which file, which line, and why."""


@dataclass(frozen=True)
class TraceJob:
    """A job to be replayed: `submit` and `runtime` in seconds, `memory` in MiB (None: not told).

    `wait` is how long it waited when the trace was recorded, None when that is not told. A job with a
    `preceding` one (its number) comes `think` seconds after that one has ended; with no think time told, when
    it came, but not before that end.
    """

    number: int
    submit: float
    runtime: float
    cpus: int
    user: str = "user"
    memory: int | None = None
    wait: float | None = None
    preceding: int | None = None
    think: float | None = None

    def recorded(self) -> JobRecord | None:
        """The run that the trace itself reports, if it does."""
        if self.wait is None:
            return None
        start = self.submit + self.wait
        return JobRecord(self.number, self.submit, start, start + self.runtime, self.cpus, self.user)


@dataclass(frozen=True)
class Trace:
    """Jobs by submit time, the processors of the machine they ran on (None: not told), and what was left out.

    `skipped` counts lines by the reason why they are no jobs to replay.
    """

    jobs: tuple[TraceJob, ...]
    processors: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRecord:
    """A job that ran from `start` to `end`, on `cpus` processors of `machine`."""

    number: int
    submit: float
    start: float
    end: float
    cpus: int
    user: str
    machine: str = ""

    @property
    def wait(self) -> float:
        return self.start - self.submit

    @property
    def runtime(self) -> float:
        return self.end - self.start

    @property
    def response(self) -> float:
        return self.end - self.submit
