"""Background work: what fails or hangs is known, and forgotten when it goes again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from birdbath.background import PATIENCE, Watch
from birdbath.notify import tasks
from birdbath.notify.tasks import Tasks


def doing(*outcomes: float | Exception) -> Callable[[], Awaitable[float]]:
    left = iter(outcomes)

    async def work() -> float:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return work


def test_work_that_fails_is_told_until_it_succeeds() -> None:
    async def run() -> None:
        watch, work = Watch(), doing(OSError(28, "full"), ValueError("odd"), TimeoutError(), 7.0)
        for told in ("The server's disk is full", "ValueError", "TimeoutError"):
            assert await watch.unless_it_fails("sweeping", work, 0.0) == 0.0
            assert list(watch.troubles()) == [f"failed while sweeping: {told}"]
        assert await watch.unless_it_fails("sweeping", work, 0.0) == 7.0
        assert list(watch.troubles()) == []

    asyncio.run(run())


def test_work_that_hangs_is_told() -> None:
    async def run() -> None:
        now, release = [100.0], asyncio.Event()

        async def hang() -> float:
            await release.wait()
            return 1.0

        watch = Watch(lambda: now[0])
        task = asyncio.create_task(watch.unless_it_fails("advancing", hang, 0.0))
        await asyncio.sleep(0)
        assert list(watch.troubles()) == []
        now[0] += PATIENCE + 1
        assert list(watch.troubles()) == ["advancing has taken 61 seconds so far"]
        release.set()
        assert await task == 1.0
        assert list(watch.troubles()) == []

    asyncio.run(run())


def test_a_task_that_fails_is_told_until_it_has_run_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE", 0.0)

    async def run() -> None:
        started, fail = asyncio.Semaphore(0), asyncio.Event()
        seen: list[dict[str, str]] = []
        running = Tasks()

        async def work() -> None:
            seen.append(running.troubles())
            started.release()
            await fail.wait()
            fail.clear()
            raise RuntimeError("broken")

        running.start("relay", work)
        await started.acquire()
        fail.set()
        await started.acquire()  # the second run
        assert seen == [{}, {"relay": "RuntimeError"}]
        while running.troubles():  # the pause has no length here
            await asyncio.sleep(0)
        fail.set()
        await started.acquire()
        assert seen[2] == {"relay": "RuntimeError"}
        await running.stop("relay")
        assert running.troubles() == {}

    asyncio.run(run())
