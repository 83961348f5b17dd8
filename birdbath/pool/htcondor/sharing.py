"""Small commits that come at the same time are one submission for the schedd.

A schedd makes a transaction, a connection and a process of its own of each submission with files: that is
most of what a small one costs. So clusters that are alike become procs of one cluster of the schedd. Which
they are there, the journal knows (docs/htcondor.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate

from birdbath.pool.htcondor.futures import then
from birdbath.pool.htcondor.journal import Queued
from birdbath.pool.htcondor.requests import Submission
from birdbath.pool.htcondor.together import Together
from birdbath.pool.htcondor.workers import Call

_MOST = 32
"""Clusters in one submission."""
_FEW = 10
_SMALL = 1 << 20
"""Jobs, and bytes of files, of a cluster that holds up nobody who shares with it."""
_SHORTEST = 1.0


@dataclass(frozen=True)
class _Asked:
    submission: Submission
    seconds: float
    transfer: float
    since: float


class Sharing:
    """`prepare` begins a call that queues clusters with their files, as it is asked of a worker."""

    def __init__(self, prepare: Callable[[Call, str], Future[list[int]]]) -> None:
        self._prepare = prepare
        self._together: Together[_Asked, Queued] = Together(self._begin, _MOST)

    def submit(self, submission: Submission, seconds: float, transfer: float = 0.0) -> Future[Queued]:
        """Queue a cluster that `may_share`, within so many seconds, waiting included, and `transfer` more for
        its files.

        RefusedTogether says that it was tried with others, and may be there, guarded.
        """
        asked = _Asked(submission, seconds, transfer, time.monotonic())
        alike = submission.owner, submission.commands["universe"], frozenset(submission.commands)
        return self._together.take(asked, alike)

    def _begin(self, asked: list[_Asked]) -> Future[Sequence[Queued]]:
        submissions = [one.submission for one in asked]
        seconds = max(_SHORTEST, min(one.since + one.seconds for one in asked) - time.monotonic())
        transfer = sum(one.transfer for one in asked)
        call = Call("prepare", ([joined(submissions)],), seconds, transfer=transfer)
        return then(self._prepare(call, submissions[0].owner), lambda found: _parts(submissions, *found))


def may_share(submission: Submission, size: int) -> bool:
    """Whether a cluster, with `size` bytes of files, can be some procs of a larger one: whether it is small,
    and not one of those whose jobs look at their ProcId.
    """
    texts = [*submission.commands.values(), *(text for row in submission.rows for text in row.values())]
    return (
        submission.commands["universe"] == "vanilla"
        and submission.procs <= _FEW
        and size <= _SMALL
        and not any("procid" in text.lower() for text in texts)
    )


def joined(submissions: Sequence[Submission]) -> Submission:
    """One cluster with the procs of several, whose commands have the same names."""
    first = submissions[0]
    if len(submissions) == 1:
        return first
    same = dict(set.intersection(*(set(one.commands.items()) for one in submissions)))
    varying = {name: f"v_{name.removeprefix('MY.')}" for name in first.commands.keys() - same.keys()}
    commands = same | {name: f"$({variable})" for name, variable in varying.items()}
    rows = [
        {**{variable: one.commands[name] for name, variable in varying.items()}, **row}
        for one in submissions
        for row in one.rows
    ]
    return Submission(first.cluster, first.owner, len(rows), commands, rows)


def _parts(submissions: Sequence[Submission], schedd_cluster: int) -> list[Queued]:
    begins = accumulate((one.procs for one in submissions), initial=0)
    return [
        Queued(one.cluster, one.procs, one.owner, schedd_cluster, begin)
        for one, begin in zip(submissions, begins, strict=False)
    ]
