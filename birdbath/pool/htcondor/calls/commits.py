"""What becomes of a commit in the schedd: its jobs are queued, let run, or taken back."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from typing import Any

import htcondor2

from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.calls.link import FILES_AWAITED, Link, quoted, told
from birdbath.pool.htcondor.connection import PoolRefused
from birdbath.pool.htcondor.requests import Submission

_SURE_FOR = 2.0
"""Seconds after a submission for which the schedd is taken to be where it was."""


class CommitCalls(Link):
    """The calls of a commit."""

    _prepared_at = -_SURE_FOR

    def prepare(self, submissions: Sequence[Submission]) -> list[int]:
        """Queue clusters with their files, all guarded; their ids in the schedd. One that fails leaves the
        others, for `undo`.
        """
        schedd = self.connected()
        if time.monotonic() - self._prepared_at > _SURE_FOR:
            schedd = self.asked(_present)
        results = [self._submit(schedd, submission) for submission in submissions]
        self._transferring()
        for result in results:
            told(schedd.spool, result)
        self._prepared_at = time.monotonic()
        return [int(result.cluster()) for result in results]

    def _submit(self, schedd: Any, submission: Submission) -> Any:
        commands = dict(submission.commands)
        if submission.pool_program:
            folder = told(htcondor2.RemoteParam, self.address).get("BIN")
            commands["MY.Cmd"] = quoted(f"{folder}/{submission.pool_program}")
        description = htcondor2.Submit(commands)
        result = told(schedd.submit, description, itemdata=iter(submission.rows), spool=True)
        if sys.version_info < (3, 12):  # the bindings drop a reference to None that they do not have
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
        if result.num_procs() != submission.procs or result.first_proc() != 0:
            raise PoolRefused(f"The schedd queued {result.num_procs()} of {submission.procs} jobs")
        return result

    def decide(self, constraint: str, jobs: Sequence[str] = ()) -> None:
        """Let the guarded jobs that the constraint selects be seen and run. They are found by it, unless all
        of `jobs`, their ids, are there: a schedd looks at its whole queue for a constraint.
        """
        if jobs:
            try:
                told(self.connected().edit, list(jobs), names.COMMITTED, "true")
            except PoolRefused:  # one is not there any more, and none was edited
                pass
            else:
                return
        try:
            told(self.connected().edit, constraint, names.COMMITTED, "true")
        except PoolRefused:
            # None may be left, removed meanwhile; which the schedd calls an error.
            if self.is_there(_undecided(constraint)):
                raise

    def release_waiting(self, constraint: str) -> None:
        """Release jobs that were on hold until their commit was decided, once their files are in place."""
        spooling = f"({constraint}) && JobStatus == 5 && HoldReasonCode =?= {names.SPOOLING}"
        self.wait_while_there_is(spooling, FILES_AWAITED)
        if self.is_there(constraint):
            schedd = self.connected()
            held = f"({constraint}) && JobStatus == 5"
            told(schedd.act, htcondor2.JobAction.Release, held, ("The transaction was committed", 0))
            told(schedd.edit, constraint, names.WAITS, "false")

    def undo(self, constraint: str) -> None:
        """Take guarded jobs out of the queue, whatever they say about leaving it: none is there then."""
        undecided = _undecided(constraint)
        if self.is_there(undecided):
            schedd = self.connected()
            told(schedd.edit, undecided, "LeaveJobInQueue", "false")
            for action in (htcondor2.JobAction.Remove, htcondor2.JobAction.RemoveX):
                told(schedd.act, action, undecided, ("The transaction was not committed", 0))
            self.wait_while_there_is(undecided, "The schedd has not taken the jobs back yet")


def _undecided(constraint: str) -> str:
    return f"({constraint}) && {names.COMMITTED} =!= true"


def _present(schedd: Any) -> Any:
    """The schedd, which answers."""
    schedd.query("false", ["ProcId"], limit=1)
    return schedd
