"""One call of the schedd for all that wait for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from birdbath.pool.htcondor.connection import PoolRefused, PoolUnreachable, RefusedTogether

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """`ask` begins a call for some items, and its result is that of each, in order; for `most` of them at a
    time. Thread-safe.

    While a call is at it, what comes meanwhile waits for the next, and shares it. Items with different keys
    have different calls. When a call of several is refused, each of them hears RefusedTogether: it may not
    be to blame.
    """

    def __init__(self, ask: Callable[[list[Item]], Future[Sequence[Result]]], most: int) -> None:
        self._ask = ask
        self._most = most
        self._lock = threading.Lock()
        self._waiting: defaultdict[Hashable, list[tuple[Item, Future[Result]]]] = defaultdict(list)
        """Of each key that a call is at; who waits for the next."""

    def take(self, item: Item, key: Hashable = None) -> Future[Result]:
        """The result of an item. Who gives up, cancels it, before its call began is left out."""
        future: Future[Result] = Future()
        with self._lock:
            begins = key not in self._waiting
            self._waiting[key].append((item, future))
        if begins:
            self._go_on(key)
        return future

    def _go_on(self, key: Hashable) -> None:
        with self._lock:
            chosen: list[tuple[Item, Future[Result]]] = []
            while not chosen and self._waiting[key]:
                some = self._waiting[key][: self._most]
                del self._waiting[key][: self._most]
                chosen = [(item, told) for item, told in some if told.set_running_or_notify_cancel()]
            if not chosen:
                del self._waiting[key]
                return
        try:
            call = self._ask([item for item, _ in chosen])
        except RuntimeError:  # nobody is left to make it
            call = Future()
            call.cancel()
        call.add_done_callback(lambda done: self._tell(done, [told for _, told in chosen], key))

    def _tell(self, done: Future[Sequence[Result]], waiting: list[Future[Result]], key: Hashable) -> None:
        self._go_on(key)
        try:
            results = done.result()
        except CancelledError:
            self._fail(waiting, PoolUnreachable("The gateway is going down"))
        except PoolRefused as error:
            self._fail(waiting, RefusedTogether(str(error)) if len(waiting) > 1 else error)
        except Exception as error:  # whoever waits is told
            self._fail(waiting, error)
        else:
            for future, result in zip(waiting, results, strict=True):
                future.set_result(result)

    def _fail(self, waiting: list[Future[Result]], error: Exception) -> None:
        for future in waiting:
            future.set_exception(error)
