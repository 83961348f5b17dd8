"""Tasks that are ended."""

from __future__ import annotations

import asyncio

import pytest

from birdbath.notify import tasks

pytestmark = pytest.mark.anyio


async def test_a_task_that_swallows_a_cancellation_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PATIENCE", 0.01)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    async def failing() -> None:
        raise OSError("no")

    running = [asyncio.ensure_future(stubborn()), asyncio.ensure_future(failing())]
    await asyncio.sleep(0)
    await tasks.end(*running)
    assert swallowed == 2
    assert running[0].cancelled()
    assert isinstance(running[1].exception(), OSError)
    await tasks.end()
