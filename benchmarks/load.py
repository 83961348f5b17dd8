"""The load: requests over keep-alive connections, from a process of its own so that it disturbs no figure.

`drive` starts it and says what it measured. What a connection sends is a program: a list of steps, each a template of a
request and the name under which the id in its reply is kept; `{name}` in later templates stands for that id. The
programs are repeated `count` times in all, shared between the connections.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from benchmarks.messages import integer
from benchmarks.servers import ROOT

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NAME = re.compile(rb"\{(\w+)\}")
_TIMEOUT = 600.0
_GOOD = re.compile(rb"<code>SUCCESS</code>")
_CODE = re.compile(rb"<code>")


@dataclass(frozen=True)
class Step:
    """A request; `keep` names the id in its reply. `line` is the request line without the version."""

    body: bytes = b""
    keep: str = ""
    line: str = "POST /"


@dataclass(frozen=True)
class Program:
    """What each connection does: once what is in `before`, then `steps` again and again."""

    steps: Sequence[Step]
    before: Sequence[Step] = field(default_factory=tuple)


@dataclass(frozen=True)
class Result:
    """How long the repetitions took, in seconds from the first request to the last reply, and how much came back."""

    seconds: float
    count: int
    received: int

    @property
    def each(self) -> float:
        """Seconds a repetition."""
        return self.seconds / self.count


def drive(port: int, program: Program, connections: int, count: int) -> Result:
    """Run the load against a port and wait for it."""
    order = {
        "port": port,
        "connections": connections,
        "count": count,
        "before": [_as_json(step) for step in program.before],
        "steps": [_as_json(step) for step in program.steps],
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        cwd=ROOT,
        input=json.dumps(order).encode(),
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])
    return Result(**json.loads(done.stdout))


def _as_json(step: Step) -> dict[str, str]:
    return {"body": base64.b64encode(step.body).decode(), "keep": step.keep, "line": step.line}


class _Connection(asyncio.Protocol):
    """One request at a time; only the end of a reply is looked for."""

    def __init__(self) -> None:
        self.received = 0
        self._buffer = bytearray()
        self._missing = -1
        self._tail = b""
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("the server hung up"))

    def request(self, data: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future is its reply's head and (the beginning of) its body."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            assert length is not None
            self._missing = int(length[1]) - (len(self._buffer) - end - 4)
        else:
            # What follows the first piece is counted, not kept: replies may have 80 MB.
            self._missing -= len(data)
        if self._missing == 0:
            reply, self._missing = bytes(self._buffer), -1
            self._buffer.clear()
            assert self._waiting is not None
            self._waiting.set_result(reply)


def _request(step: dict[str, str], ids: dict[bytes, bytes]) -> bytes:
    body = base64.b64decode(step["body"])
    line = step["line"].encode()
    if ids:
        body = _NAME.sub(lambda match: ids.get(match[1], match[0]), body)
        line = _NAME.sub(lambda match: ids.get(match[1], match[0]), line)
    head = b"%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    return head % (line, len(body)) + body


class _Worker:
    """A connection that runs the program."""

    def __init__(self, connection: _Connection, number: int, steps: list[dict[str, str]]) -> None:
        self.connection = connection
        self._ids = {b"connection": b"%d" % number}
        self._fixed = [_request(step, self._ids) for step in steps]
        self._steps = steps
        self._repetition = 0

    async def run(self, turns: list[int]) -> None:
        while turns:
            self._ids[b"turn"] = b"%d" % turns.pop()
            for step, fixed in zip(self._steps, self._fixed, strict=True):
                await self.one(step, fixed)

    async def one(self, step: dict[str, str], fixed: bytes) -> None:
        reply = await self.connection.request(_request(step, self._ids) if _NAME.search(fixed) else fixed)
        if b" 200 " not in reply[:16] or (_CODE.search(reply) and not _GOOD.search(reply)):
            raise RuntimeError(f"{fixed[:600]!r}\n{reply[:800]!r}")
        if step["keep"]:
            self._ids[step["keep"].encode()] = b"%d" % integer(reply)


async def _main(order: dict[str, Any]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    workers = []
    for number in range(order["connections"]):
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", order["port"])
        worker = _Worker(connection, number, order["steps"])
        for step in order["before"]:
            await worker.one(step, _request(step, worker._ids))
        workers.append(worker)
    turns = list(range(order["count"]))
    before = sum(worker.connection.received for worker in workers)
    started = time.perf_counter()
    await asyncio.gather(*(worker.run(turns) for worker in workers))
    seconds = time.perf_counter() - started
    received = sum(worker.connection.received for worker in workers) - before
    return {"seconds": seconds, "count": order["count"], "received": received}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(json.loads(sys.stdin.buffer.read())))))
