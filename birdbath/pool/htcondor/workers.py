"""The worker processes of a pool: who of them is free, how long one may take, and when it is replaced."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection as pipes
from typing import Any

from birdbath.pool.htcondor.connection import Connection, PoolUnreachable

_RECYCLED_AFTER = 2000
"""Calls that a worker answers before a new one takes its place: the bindings leak a little with each."""
_OLDEST = 6 * 3600.0
"""Seconds for which a worker is used: the token that it may have is not good for ever."""

_GOING_DOWN = "The gateway is going down"


@dataclass(frozen=True)
class Call:
    """A function of `calls.Session`, its arguments, and the seconds that it may take, waiting included.

    `account` is as whom it is to be made; empty: as the gateway itself. `transfer` is how many seconds more
    it may take once files are on their way: a call that does not get as far has none of them.
    """

    name: str
    arguments: tuple[Any, ...]
    seconds: float
    account: str = ""
    transfer: float = 0.0


class Workers:
    """A few processes that answer calls, each one at a time.

    A call that is not answered in its time fails with PoolUnreachable, also one that waits for a process all
    the while; the process that was at it is killed and replaced. A process makes the calls of one account
    only, as which it connects by `identified(connection, account)`. Thread-safe.
    """

    def __init__(
        self,
        connection: Connection,
        gateway: str,
        count: int,
        identified: Callable[[Connection, str], Connection] | None = None,
    ) -> None:
        self._connection = connection
        self._identified = identified
        self._count = count
        self._gateway = gateway
        # As many again wait for a process, each no longer than its call may: transfers take theirs for long.
        self._threads = ThreadPoolExecutor(2 * count, thread_name_prefix="birdbath-htcondor")
        self._free = threading.Semaphore(count)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    def ask(self, call: Call) -> Future[Any]:
        """Begin a call; the result comes in the future."""
        return self._threads.submit(self._answered, call, time.monotonic() + call.seconds)

    def give_up(self) -> None:
        """End all processes; calls in progress fail, and all that are still asked for."""
        with self._lock:
            self._closed = True
            workers = [*self._idle, *self._busy]
        for worker in workers:
            worker.kill()

    def close(self) -> None:
        """`give_up`, and wait until the calls have failed."""
        self.give_up()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _answered(self, call: Call, end: float) -> Any:
        if not self._free.acquire(timeout=max(0.0, end - time.monotonic())):
            raise PoolUnreachable("The pool was too busy with other calls to answer in time")
        try:
            fine, value = self._answer(call, end)
        finally:
            self._free.release()
        if fine:
            return value
        raise value

    def _answer(self, call: Call, end: float) -> tuple[bool, Any]:
        worker = self._take(call.account)
        try:
            answer = worker.ask(call, end)
        except PoolUnreachable:
            self._drop(worker)
            raise
        except (EOFError, OSError):
            self._drop(worker)
            why = _GOING_DOWN if self._closed else "The call to the pool was broken off"
            raise PoolUnreachable(why) from None
        self._give_back(worker)
        return answer

    def _take(self, account: str) -> _Worker:
        worker = self._waiting(account)
        if worker is None:
            connection = self._connection
            if account and self._identified is not None:
                connection = self._identified(connection, account)
            worker = self._made(connection, account)
        return worker

    def _waiting(self, account: str) -> _Worker | None:
        with self._lock:
            worker = next((one for one in reversed(self._idle) if one.account == account), None)
            if worker is not None:
                self._idle.remove(worker)
                self._busy.add(worker)
            return worker

    def _made(self, connection: Connection, account: str) -> _Worker:
        with self._lock:
            if self._closed:
                raise PoolUnreachable(_GOING_DOWN)
            # The one that has waited longest, for another account, makes room.
            surplus = self._idle.pop(0) if len(self._idle) + len(self._busy) >= self._count else None
            worker = _Worker(connection, self._gateway, account)
            self._busy.add(worker)
        if surplus is not None:
            surplus.kill()
        return worker

    def _give_back(self, worker: _Worker) -> None:
        if worker.answered >= _RECYCLED_AFTER or time.monotonic() > worker.started + _OLDEST:
            self._drop(worker)
            return
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker)

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.kill()


class _Worker:
    """One process."""

    def __init__(self, connection: Connection, gateway: str, account: str) -> None:
        self.account = account
        self.started = time.monotonic()
        own, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "birdbath.pool.htcondor.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=connection.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
            )
        self._pipe = pipes.Connection(own.detach())
        self._pipe.send((connection, gateway))
        self.answered = 0
        self._ending = threading.Lock()

    def ask(self, call: Call, end: float) -> tuple[bool, Any]:
        """The answer. Raises PoolUnreachable when it does not come in time."""
        late = f"The pool did not answer within {call.seconds:.3g} seconds"
        self._pipe.send((call.name, call.arguments))
        while self._pipe.poll(max(0.0, end - time.monotonic())):
            answer: tuple[bool, Any] | None = self._pipe.recv()
            if answer is not None:
                self.answered += 1
                return answer
            end += call.transfer
            late = f"The files were not transferred within {call.seconds + call.transfer:.3g} seconds"
        raise PoolUnreachable(late)

    def kill(self) -> None:
        """End the process, whatever it does."""
        # Who closes all of them and who asked this one may do so at the same time.
        with self._ending:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
