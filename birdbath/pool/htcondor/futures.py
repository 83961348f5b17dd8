"""Futures of what other futures come to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def then(asked: Future[T], convert: Callable[[T], U]) -> Future[U]:
    """What `convert` makes of the result, or the error of either."""
    found: Future[U] = Future()

    def told(done: Future[T]) -> None:
        if not found.set_running_or_notify_cancel():
            return
        try:
            found.set_result(convert(done.result()))
        except BaseException as error:  # whoever awaits it is told
            found.set_exception(error)

    asked.add_done_callback(told)
    return found
