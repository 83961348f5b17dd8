"""Taking the guard off commits that were decided: one call of the schedd for all that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from birdbath.pool.htcondor.futures import then
from birdbath.pool.htcondor.together import Together

_MOST = 100
"""Commits in one call: a schedd answers constraints of more than 400 terms with nothing."""


class Decisions:
    """`ask` begins a call of the schedd: a constraint, and ids of jobs if all are known. Thread-safe."""

    def __init__(self, ask: Callable[[str, Sequence[str]], Future[Any]]) -> None:
        self._ask = ask
        self._together: Together[tuple[str, Sequence[str]], None] = Together(self._begin, _MOST)

    def take_off(self, constraint: str, jobs: Sequence[str] = ()) -> Future[None]:
        """Let the guarded jobs of one commit, which the constraint selects, be seen and run; `jobs` are their
        ids in the schedd, if they are known for sure.

        When a call that several share fails, all of them have to be tried again.
        """
        return self._together.take((constraint, jobs))

    def _begin(self, commits: list[tuple[str, Sequence[str]]]) -> Future[Sequence[None]]:
        constraint = " || ".join(f"({constraint})" for constraint, _ in commits)
        known = all(jobs for _, jobs in commits)
        call = self._ask(constraint, [job for _, jobs in commits for job in jobs] if known else [])
        return then(call, lambda _: [None] * len(commits))
