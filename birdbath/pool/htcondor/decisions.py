"""Taking the guard off commits that were decided: one call of the schedd for all that wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from birdbath.pool.htcondor.connection import PoolUnreachable

_MOST = 100
"""Commits in one call: a schedd answers constraints of more than 400 terms with nothing."""


class Decisions:
    """`ask` begins a call of the schedd with a constraint. Thread-safe."""

    def __init__(self, ask: Callable[[str], Future[Any]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._asked = False

    def take_off(self, constraint: str) -> Future[None]:
        """Let the guarded jobs of one commit, which the constraint selects, be seen and run.

        While a call is at it, those that come meanwhile wait for the next, and share it. When that fails, all
        of its commits have to be tried again.
        """
        with self._lock:
            future = self._waiting.setdefault(constraint, Future())
            if self._asked:
                return future
            self._asked = True
        self._go_on()
        return future

    def _go_on(self) -> None:
        with self._lock:
            chosen = {name: self._waiting.pop(name) for name in list(self._waiting)[:_MOST]}
            self._asked = bool(chosen)
        if not chosen:
            return
        # Who waits for one may have given up; nobody can from now on.
        waiting = [future for future in chosen.values() if future.set_running_or_notify_cancel()]
        try:
            call = self._ask(" || ".join(f"({constraint})" for constraint in chosen))
        except RuntimeError:
            call = Future()
            call.cancel()
        call.add_done_callback(lambda done: self._tell(done, waiting))

    def _tell(self, done: Future[Any], waiting: list[Future[None]]) -> None:
        self._go_on()
        error = PoolUnreachable("The gateway is going down") if done.cancelled() else done.exception()
        for future in waiting:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
