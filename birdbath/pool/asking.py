"""Calls that need an answer from far away, and whoever makes them may not wait.

The operations of a call are synchronous, and those that write run on the event loop. A pool on the other side
of a network has them raise `Waiting`; the backend awaits that and runs the operation again, which finds the
answer then. Everywhere else, in threads and tools, `Answers.ask` simply waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from birdbath.errors import BirdbathError
from birdbath.store.unit_of_work import UnitOfWork

T = TypeVar("T")
Steps = Iterator["Future[Any] | Callable[[UnitOfWork], object]"]
"""What has to be done for an answer, one after the other: a future to wait for, or work for a unit of its
own. The result, or the error, of each is sent into the generator; what that returns is the answer."""


@dataclass(frozen=True)
class Relaxed:
    """Work for a unit of its own which a machine that loses power may lose, but not a process that is
    killed.
    """

    work: Callable[[UnitOfWork], object]

    def __call__(self, unit: UnitOfWork) -> object:
        return self.work(unit)


class Waiting(Exception):
    """The call has to wait: run `steps` and then the call again. Nothing of it was done."""

    def __init__(self, key: object, steps: Callable[[], Any]) -> None:
        super().__init__("to be awaited")
        self.key = key
        self.steps = steps


class Answers:
    """What one call was answered so far, and what is to be done when it has come to nothing after all."""

    def __init__(self) -> None:
        self._known: dict[object, tuple[Any, BirdbathError | None]] = {}
        self.marker: str | None = None
        """The commit that the call is in the middle of."""
        self.defers = False
        """Whether what is done to jobs is done when that commit is decided."""
        self.concluded_by: list[Callable[[], Any]] = []
        """Steps to run at the end of the call, whatever became of it."""

    def get(self, key: object, steps: Callable[[], Any]) -> Any:
        """The answer that was kept under `key`. Raises Waiting when there is none, and errors that were the
        answer.
        """
        if key not in self._known:
            raise Waiting(key, steps)
        value, error = self._known[key]
        if error is not None:
            raise error
        return value

    def keep(self, key: object, value: Any, error: BirdbathError | None = None) -> None:
        """Keep an answer for the next run of the call."""
        self._known[key] = value, error


_current: ContextVar[Answers | None] = ContextVar("birdbath_answers", default=None)


def current() -> Answers | None:
    """The answers of the call that runs; None where waiting is allowed."""
    return _current.get()


@contextmanager
def answering(answers: Answers | None) -> Iterator[None]:
    """Let operations in the block find their answers here; with None they wait themselves."""
    token = _current.set(answers)
    try:
        yield
    finally:
        _current.reset(token)


class _Course:
    """Steps on their way: `step` is what has to be done now, None when they have come to `answer`."""

    def __init__(self, steps: Any) -> None:
        self._steps = steps
        self.answer: Any = None
        self.done(None)

    def done(self, value: object) -> None:
        """The step came to `value`."""
        self._go(self._steps.send, value)

    def failed(self, error: BirdbathError) -> None:
        """The step came to an error, which the steps may handle."""
        self._go(self._steps.throw, error)

    def _go(self, on: Callable[[Any], Any], outcome: object) -> None:
        try:
            self.step = on(outcome)
        except StopIteration as end:
            self.step, self.answer = None, end.value


def run_steps(steps: Any, write: Callable[[Callable[[UnitOfWork], object]], object]) -> Any:
    """Run steps in this thread, which may wait."""
    course = _Course(steps)
    while (step := course.step) is not None:
        try:
            value = step.result() if isinstance(step, Future) else write(step)
        except BirdbathError as error:
            course.failed(error)
        else:
            course.done(value)
    return course.answer


async def await_steps(steps: Any, write: Callable[..., Any]) -> Any:
    """Run steps on the event loop; `write` is as `Writer.write`."""
    course = _Course(steps)
    while (step := course.step) is not None:
        try:
            if isinstance(step, Future):
                value = await asyncio.wrap_future(step)
            elif isinstance(step, Relaxed):
                value = await write(step, relaxed=True)
            else:
                value = await write(step)
        except BirdbathError as error:
            course.failed(error)
        else:
            course.done(value)
    return course.answer


def answer(key: object, steps: Callable[[], Any]) -> Any:
    """What `steps`, which write nothing, come to: found among the call's answers, or waited for where that is
    allowed.
    """
    answers = current()
    if answers is None:
        return run_steps(steps(), _cannot_write)
    return answers.get(key, steps)


def _cannot_write(work: object) -> object:
    raise AssertionError("these steps do not write")
