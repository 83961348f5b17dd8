"""A real pool: its parts put together, and what has to be done in the background."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from birdbath.classads import AdMemory
from birdbath.errors import BirdbathError
from birdbath.pool import asking
from birdbath.pool.base import JobId
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.commits import Commits
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.directory import HTCondorDirectory
from birdbath.pool.htcondor.identities import UserTokens
from birdbath.pool.htcondor.jobs import Jobs
from birdbath.pool.htcondor.journal import Journal
from birdbath.pool.htcondor.names import View
from birdbath.pool.htcondor.queue import HTCondorQueue
from birdbath.pool.htcondor.reach import READY_WITHIN, questions
from birdbath.pool.htcondor.workers import Call, Workers
from birdbath.store.sandbox import Spool
from birdbath.store.unit_of_work import UnitOfWork

_log = logging.getLogger(__name__)

QUERIES, TRANSFERS, LOOKS = 3, 8, 2
"""How many worker processes there may be at a time for the schedd, for files, and for the collector."""

Write = Callable[[Callable[[UnitOfWork], object]], Awaitable[object]]


class HTCondorPool:
    """One pool by its name in the settings. `seconds` is what a call of it may take.

    `address` is the gateway's own, `host:port`. A pool built anew on the same database concludes what the
    former one was in the middle of, in `tend`, which somebody has to call now and then. With `tells_mail`
    somebody reads the pool's events and sends the mail that actions ask for. Jobs are submitted with
    tokens of their owners when there are `user_tokens`, a folder, or the pool's `signing_key`. The ids of
    clusters are remembered for `remembered` seconds after they left the queue; 0: for good.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        gateway: str,
        spool: Spool,
        connection: Connection,
        address: str,
        memory: AdMemory | None = None,
        seconds: float = 20.0,
        dagman_configuration: str | None = None,
        tells_mail: bool = True,
        user_tokens: Path | None = None,
        signing_key: Path | None = None,
        remembered: float = 0.0,
    ) -> None:
        memory = memory or AdMemory()
        connection = replace(connection, address=f"<{address}>")
        self.name = name
        self.gateway = gateway
        self._spool = spool
        self._seconds = seconds
        self._remembered = remembered
        self.journal = Journal(engine, name)
        self._schedd = Workers(connection, gateway, QUERIES)
        self._tokens: UserTokens | None = None
        if user_tokens is not None or signing_key is not None:
            self._tokens = UserTokens(user_tokens, signing_key, self._domains)
        identified = None if self._tokens is None else self._tokens.connection
        self._transfers = Workers(connection, gateway, TRANSFERS, identified)
        self._collector = Workers(connection, gateway, LOOKS)
        self._jobs = Jobs(self.journal, View(gateway), self._schedd, self._transfers, seconds, tells_mail)
        self._commits = Commits(
            self.journal, self._jobs, self._sandbox, dagman_configuration, self._tokens is not None
        )
        self._taken_up = False
        self._out_of_reach = ""
        self.queue = HTCondorQueue(self._jobs, self._commits, spool, memory)
        self.directory = HTCondorDirectory(
            self._collector, memory, seconds, gateway, address, connection.schedd, self.journal
        )

    def _sandbox(self, job: JobId) -> Any:
        return self._spool.sandbox(job.cluster, job.proc)

    def _domains(self) -> tuple[str, str]:
        found: tuple[str, str] = self._schedd.ask(Call("domains", (), self._seconds)).result()
        return found

    def give_up(self) -> None:
        """Let calls that wait for the pool, now or later, fail: the gateway is about to stop."""
        for workers in (self._schedd, self._transfers, self._collector):
            workers.give_up()

    def close(self) -> None:
        """End the worker processes, and give the database connection back."""
        for workers in (self._schedd, self._transfers, self._collector):
            workers.close()
        if self._tokens is not None:
            self._tokens.close()
        self.journal.close()

    def resume(self, unit: UnitOfWork) -> None:
        """At a start: transactions whose commit a killed gateway had not decided are their clients' again.
        What is in the schedd of them is taken back when the pool is tended.
        """
        for marker in self.journal.undecided():
            self.journal.give_up(unit, marker)

    async def tend(self, write: Write) -> None:
        """Conclude commits that nobody concludes; the first time, take back what no journal knows as well.

        Has to be called again and again: what the pool does not allow now is tried again.
        """
        try:
            for marker in self._commits.left_over():
                await asking.await_steps(self._commits.conclude(marker), write)
            if not self._taken_up:
                await asking.await_steps(self._commits.take_back_strays(), write)
                self._taken_up = True
        except BirdbathError as error:
            if self._out_of_reach != str(error):
                _log.error("Commits wait for the pool: %s", error)
            self._out_of_reach = str(error)
        else:
            self._out_of_reach = ""

    async def trouble(self) -> str | None:
        """What keeps the pool from being used, if anything: for readiness."""
        workers = {"schedd": self._schedd, "collector": self._collector}
        within = min(self._seconds, READY_WITHIN)
        asked = {part: workers[part].ask(call) for part, call in questions(within).items()}
        found = []
        for part, future in asked.items():
            try:
                await asking.await_steps(_one(future), _no_write)
            except BirdbathError as error:
                found.append(f"{part}: {error}")
        return "; ".join(found) or None

    async def sweep(self, write: Write, older_than: float, now: float, staged: Iterable[JobId]) -> int:
        """Note which clusters have left the queue, forget those of long ago, and delete sandboxes that belong
        to no job in the queue nor to a `staged` one, and were not touched for `older_than` seconds; how many.
        """
        before = self.journal.clusters()
        asked = self._jobs.ask("query_jobs", self._jobs.view.all_own, names.IDS, -1)
        try:
            found = await asking.await_steps(_one(asked), _no_write)
        except BirdbathError:
            return 0  # another time; readiness tells
        present = {JobId(cluster, proc) for cluster, proc, _ in found}
        clusters = {job.cluster for job in present}
        for cluster in before.keys() - clusters:
            await write(lambda unit, gone=cluster: self.journal.leave(unit, gone))  # type: ignore[misc]
        if self._remembered:
            await write(lambda unit: self.journal.forget(unit, self._remembered))
        kept = present.union(staged)
        removed = 0
        for cluster, proc in list(self._spool.jobs()):
            job = JobId(cluster, proc)
            if job not in kept and self._untouched(job, now - older_than):
                self._sandbox(job).remove()
                self._jobs.forget([job])
                removed += 1
        return removed

    def _untouched(self, job: JobId, since: float) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self._sandbox(job).path).st_mtime <= since
        return False


def _one(future: Any) -> Any:
    return (yield future)


async def _no_write(work: object) -> object:
    raise AssertionError("these steps do not write")
