"""What a small call costs the server's processor, against a bare ASGI reply."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.scale import Scale
from benchmarks.servers import Server, bare, birdbath

CONNECTIONS = 16
VERSION = Step(message("getVersionString"))


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """getVersionString over 16 keep-alive connections."""
    with birdbath(folder / "small") as server, bare(folder / "bare", _reply()) as reference:
        cost, bare_cost = alternated(
            [
                partial(cpu_per_call, server, VERSION, scale.calls),
                partial(cpu_per_call, reference, VERSION, 3 * scale.calls),
            ],
            scale.repeats,
        )
        begin = cpu_per_call(
            server, Step(message("beginTransaction", "<duration>60</duration>")), scale.calls // 2
        )
        rate, bare_rate = (
            scale.calls / drive(s.port, Program([VERSION]), CONNECTIONS, scale.calls).seconds
            for s in (server, reference)
        )
    return [
        compared(
            "small calls", "getVersionString, CPU", cost * 1e6, "us", "bare ASGI", bare_cost * 1e6, at_most=12
        ),
        compared("small calls", "getVersionString, 16 connections", rate, "calls/s", "bare ASGI", bare_rate),
        compared(
            "small calls", "beginTransaction (durable), CPU", begin * 1e6, "us", "bare ASGI", bare_cost * 1e6
        ),
    ]


def cpu_per_call(server: Server, step: Step, calls: int, before: tuple[Step, ...] = ()) -> float:
    """Seconds of the server's processor time a call takes."""
    started = server.cpu()
    drive(server.port, Program([step], before), CONNECTIONS, calls)
    return (server.cpu() - started) / calls


def _reply() -> bytes:
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope'
        b' xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>'
        + b" "
        * 400
        + b"</SOAP-ENV:Body>"
        b"</SOAP-ENV:Envelope>"
    )
