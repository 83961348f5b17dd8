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
    """`ask` begins a call of the schedd with a constraint. Thread-safe."""

    def __init__(self, ask: Callable[[str], Future[Any]]) -> None:
        self._ask = ask
        self._together: Together[str, None] = Together(self._begin, _MOST)

    def take_off(self, constraint: str) -> Future[None]:
        """Let the guarded jobs of one commit, which the constraint selects, be seen and run.

        When a call that several share fails, all of them have to be tried again.
        """
        return self._together.take(constraint)

    def _begin(self, constraints: list[str]) -> Future[Sequence[None]]:
        call = self._ask(" || ".join(f"({constraint})" for constraint in constraints))
        return then(call, lambda _: [None] * len(constraints))
