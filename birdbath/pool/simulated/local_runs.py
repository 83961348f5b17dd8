"""Real execution: the runs of jobs as processes of this machine, in place of simulated ones.

A process is started when its job's start is durable, and killed when the job is held, removed or evicted.
What came of it waits in memory until the unit that takes it up is durable. A job whose process is gone
without that, because the server was killed, goes back to Idle.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import select

from birdbath.classads import Ad
from birdbath.classads.arguments import UnbalancedQuotes
from birdbath.errors import BirdbathError
from birdbath.execution import Command, Ended, Limits, Processes
from birdbath.pool.base import JobId
from birdbath.pool.simulated.clock import LATEST
from birdbath.pool.simulated.command_line import arguments, environment
from birdbath.pool.simulated.execution import FAILED_TO_CREATE_PROCESS, CannotRun
from birdbath.pool.simulated.queued_job import EXECUTING, QueuedJob
from birdbath.store.sandbox import Sandbox, check_file_name
from birdbath.store.tables import simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c
_EXECUTING = select(_s.cluster_id, _s.proc_id).where(_s.due_at > 0, _s.phase == EXECUTING)
_NULL_DEVICES = frozenset({"", "/dev/null", "NUL"})
_ENOENT, _EINVAL = 2, 22


@dataclass(frozen=True)
class LocalLimits:
    """Bounds of every job besides the memory of its slot: CPU in seconds, files in bytes; 0 for none."""

    cpu: int = 0
    file_size: int = 0


class LocalRuns:
    """The processes of a pool's jobs. `news` is called, in any thread, when one has ended."""

    def __init__(self, processes: Processes, limits: LocalLimits | None = None) -> None:
        self._processes = processes
        self._limits = limits or LocalLimits()
        self._lock = threading.Lock()
        self._ended: dict[tuple[JobId, int], Ended] = {}
        self._numbers: dict[JobId, int] = {}
        self.news: Callable[[], None] = lambda: None

    def command(self, ad: Ad, sandbox: Sandbox, slot: str, memory: int) -> Command:
        """What the job runs on a slot with so much memory, in MiB. Raises CannotRun."""
        try:
            words, own = arguments(ad), environment(ad)
        except UnbalancedQuotes as error:
            raise CannotRun(FAILED_TO_CREATE_PROCESS, _EINVAL, str(error)) from None
        added = {"BATCH_SYSTEM": "HTCondor", "_CONDOR_SLOT": slot.partition("@")[0]}
        return Command(
            program=_program(ad, sandbox, slot),
            arguments=words,
            environment={**own, **added},
            directory=sandbox.path,
            stdin=_stream(ad, "In"),
            stdout=_stream(ad, "Out"),
            stderr=_stream(ad, "Err"),
            limits=Limits(memory << 20, self._limits.cpu, self._limits.file_size),
        )

    def start(
        self, unit: UnitOfWork, job: QueuedJob, command: Command, sandbox: Sandbox, until: float | None
    ) -> None:
        """Start the program of a job that was just put on its slot, once that is durable. It is due `until`
        then, if it must not run for ever.
        """
        job.phase, job.due_at = EXECUTING, LATEST if until is None else min(until, LATEST)
        unit.after_commit(partial(self._begin, job.id, job.ad.integer("JobRunCount"), command, sandbox))

    def kill(self, job: JobId) -> None:
        """Kill the job's process, if it has one."""
        number = self._numbers.pop(job, None)
        if number is not None:
            self._processes.kill((job, number))

    def ended(self) -> list[tuple[JobId, int, Ended]]:
        """What has ended and was not forgotten yet: jobs, the number of their run, and how."""
        with self._lock:
            return [(*key, self._ended[key]) for key in sorted(self._ended)]

    def forget(self, job: JobId, number: int) -> None:
        """An end was taken up, and that is durable."""
        with self._lock:
            self._ended.pop((job, number), None)
            if self._numbers.get(job) == number:
                del self._numbers[job]

    def close(self) -> None:
        """Kill all processes."""
        self._processes.close()

    def _begin(self, job: JobId, number: int, command: Command, sandbox: Sandbox) -> None:
        try:
            sandbox.create()
            if command.program.startswith("./"):
                sandbox.make_executable(command.program[2:])
            if self._processes.account is not None:
                sandbox.give(*self._processes.account)
        except (BirdbathError, OSError) as error:
            self._note(job, number, Ended(errno=getattr(error, "errno", 0) or _EINVAL, error=str(error)))
            return
        self._numbers[job] = number
        self._processes.start((job, number), command, partial(self._note, job, number))

    def _note(self, job: JobId, number: int, ended: Ended) -> None:
        with self._lock:
            self._ended[job, number] = ended
        self.news()


def lost(unit: UnitOfWork) -> list[JobId]:
    """The jobs that are in execution according to the database: after a start none of them has a process."""
    return [JobId(row[0], row[1]) for row in unit.execute(_EXECUTING)]


def _program(ad: Ad, sandbox: Sandbox, slot: str) -> str:
    """The uploaded program, or else the one of the machine that Cmd names. Raises CannotRun."""
    cmd = ad.string("Cmd")
    name = cmd.rpartition("/")[2]
    if ad.get("TransferExecutable") is not False and _is_there(sandbox, name):
        return f"./{name}"
    if cmd.startswith("/") and os.path.isfile(cmd) and os.access(cmd, os.X_OK):
        return cmd
    reason = f"Error from {slot}: Failed to execute '{cmd}': (errno=2: 'No such file or directory')"
    raise CannotRun(FAILED_TO_CREATE_PROCESS, _ENOENT, reason)


def _is_there(sandbox: Sandbox, name: str) -> bool:
    try:
        sandbox.size(name)
    except (BirdbathError, OSError):
        return False
    return True


def _stream(ad: Ad, attribute: str) -> str | None:
    path = ad.string(attribute)
    return None if path in _NULL_DEVICES else check_file_name(path.rpartition("/")[2])
