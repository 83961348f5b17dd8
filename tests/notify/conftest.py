"""An event log in a database of its own, and followers of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from birdbath.notify import Notifier, RetentionSettings, Visibility
from birdbath.store import Writer, open_engine
from tests.notify.broker import broker, certificates, shared_broker
from tests.notify.house import House

__all__ = ["broker", "certificates", "shared_broker"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broker does not confirm in time is published again, and comes twice: it may be as slow as the
    machine.
    """
    monkeypatch.setattr("birdbath.notify.amqp.connection.CONNECT_TIMEOUT", 240.0)
    monkeypatch.setattr("birdbath.notify.amqp.publisher.CONFIRM_TIMEOUT", 240.0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(f"sqlite:///{tmp_path / 'birdbath.db'}")
    yield opened
    opened.dispose()


@pytest.fixture
def house(engine: Engine) -> Callable[..., object]:
    """Opens a house on the database: as often as a test starts its server again."""

    @asynccontextmanager
    async def opened(visibility: Visibility | None = None, **kinds: object) -> AsyncIterator[House]:
        writer = Writer(engine)
        # The events of tests have times of long ago, and would be deleted as soon as retention looks at them.
        notifier = Notifier(engine, writer, visibility, retention=RetentionSettings(max_age=0))
        notifier.kinds.update(kinds)  # type: ignore[arg-type]
        try:
            async with notifier.running():
                yield House(writer, notifier)
        finally:
            notifier.close()
            writer.close()

    return opened
