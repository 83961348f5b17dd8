"""What the probes tell, and whom."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from birdbath.access import Caller, Level
from birdbath.http.metrics import Metrics
from birdbath.http.probes import READY, Health, Probes

DISK = "3 MiB free in /home/birdbath"
POOL = "schedd.inside.example.org does not answer"


async def _well() -> str | None:
    return None


async def _full() -> str | None:
    return DISK


async def _away() -> str | None:
    return POOL


def ready(*levels: Level) -> tuple[int, dict[str, Any]]:
    async def ask() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        probes = Probes(Health({"database": _well, "disk": _full}), Metrics())
        probes.tell_of({"away": Health({"pool": _away})})
        await probes(READY, Caller("192.0.2.1", None, frozenset({Level.NONE, *levels})), send, head=False)
        return sent

    start, *rest = asyncio.run(ask())
    return start["status"], orjson.loads(b"".join(message["body"] for message in rest))


def test_who_may_read_is_told_why() -> None:
    status, answer = ready(Level.READ)
    assert status == 503
    assert answer == {"status": "unwell", "troubles": {"disk": DISK}, "pools": {"away": {"pool": POOL}}}


def test_others_are_told_which_part_is_unwell_but_not_why() -> None:
    status, answer = ready()
    assert status == 503
    assert answer == {
        "status": "unwell",
        "checks": {"database": "well", "disk": "unwell"},
        "pools": {"away": {"pool": "unwell"}},
    }
