"""Calls that wait for a worker process: each fails in its own time, whatever the others wait for."""

from __future__ import annotations

import threading

import pytest

from birdbath.pool.htcondor import workers
from birdbath.pool.htcondor.connection import Connection, PoolUnreachable
from birdbath.pool.htcondor.workers import Call, Workers

PATIENCE = 60.0


class Stuck:
    """A process whose call never comes to an end, until it is killed."""

    begun = threading.Event()

    def __init__(self, connection: Connection, gateway: str, account: str) -> None:
        self._killed = threading.Event()

    def ask(self, call: Call, end: float) -> object:
        self.begun.set()
        assert self._killed.wait(PATIENCE)
        raise EOFError

    def kill(self) -> None:
        self._killed.set()


def test_who_waits_behind_a_long_transfer_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_Worker", Stuck)
    pool = Workers(Connection(), "nobody", 1)
    try:
        long = pool.ask(Call("fetch", (), PATIENCE, transfer=10 * PATIENCE))
        assert Stuck.begun.wait(PATIENCE)
        for _ in range(3):
            with pytest.raises(PoolUnreachable, match="too busy with other calls"):
                pool.ask(Call("ping", (), 0.01)).result(PATIENCE)
        assert not long.done()
        pool.give_up()
        for call in (long, pool.ask(Call("ping", (), PATIENCE))):
            with pytest.raises(PoolUnreachable, match="The gateway is going down"):
                call.result(PATIENCE)
    finally:
        pool.close()
