"""The load: requests over keep-alive connections, from a process of its own so that it disturbs no figure.

`drive` starts it and says what it measured. What a connection sends is a program: a list of steps, each a
template of a request and the name (txn, cluster or proc) under which the id in its reply is kept; `{name}`
in later templates stands for that id, `{turn}` for the number of the repetition, from 1, `{offset}` for the
repetitions before this one times `stride`. The programs are repeated `count` times in all, shared between
the connections.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.messages import integer
from benchmarks.servers import ROOT

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSED = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_NAME = re.compile(rb"\{(txn|cluster|proc|turn|offset)\}")
_HEAD = (
    b"%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
)
_LAST_PIECE = b"\r\n0\r\n\r\n"
_TIMEOUT = 600.0
_PAUSE = 0.02
"""Seconds before a refused request is sent again."""
_KEPT = 64 * 1024
"""Of a reply; the rest is counted: some have 80 MB."""
_GOOD = re.compile(rb"<code>SUCCESS</code>")
_CODE = re.compile(rb"<code>")


@dataclass(frozen=True)
class Step:
    """A request; `keep` names the id in its reply. `line` is the request line without the version, `headers`
    more headers, each in a line.
    """

    body: bytes = b""
    keep: str = ""
    line: str = "POST /"
    headers: str = ""


@dataclass(frozen=True)
class Program:
    """What each connection does: once what is in `before`, then `steps` again and again.

    With `refusals` an answer 503 is counted and no failure: the request is sent again soon, on a new
    connection if the server ends this one, so that `count` is of requests that were answered. `in_turn`
    makes a repetition of each step, the next one, instead of all: for requests that can be sent only once.
    """

    steps: Sequence[Step]
    before: Sequence[Step] = ()
    stride: int = 0
    refusals: bool = False
    in_turn: bool = False


@dataclass(frozen=True)
class Result:
    """How long the repetitions took, in seconds from the first request to the last reply, and how many
    bytes came back.

    `times` is what each step took on average, from the caller's side.
    """

    seconds: float
    count: int
    received: int
    times: list[float]
    refused: int = 0

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
        "stride": program.stride,
        "refusals": program.refusals,
        "in_turn": program.in_turn,
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
    return {
        "body": base64.b64encode(step.body).decode(),
        "keep": step.keep,
        "line": step.line,
        "headers": step.headers,
    }


class _Connection(asyncio.Protocol):
    """One request at a time; only the end of a reply is looked for."""

    def __init__(self) -> None:
        self.received = 0
        self._buffer = bytearray()
        self._missing = -1
        self._in_pieces = False
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
            # An answer without a length comes in pieces, the last of them empty.
            self._in_pieces = length is None
            self._missing = 1 if length is None else int(length[1]) - (len(self._buffer) - end - 4)
        else:
            self._missing -= 0 if self._in_pieces else len(data)
            if len(self._buffer) < _KEPT:
                self._buffer += data
        if self._in_pieces:
            self._tail = (self._tail + data)[-len(_LAST_PIECE) :]
            self._missing = 0 if self._tail == _LAST_PIECE else 1
        if self._missing == 0:
            reply, self._missing, self._in_pieces = bytes(self._buffer), -1, False
            self._buffer.clear()
            assert self._waiting is not None
            self._waiting.set_result(reply)


class _Template:
    """A request with names in it that stand for ids; cut at the names once, because chunks of files are
    long.
    """

    def __init__(self, step: dict[str, str], known: dict[bytes, bytes]) -> None:
        self.keep = step["keep"].encode()
        self._headers = b"".join(line.encode() + b"\r\n" for line in step["headers"].splitlines())
        self._line = _NAME.split(_filled(step["line"].encode(), known))
        self._body = _NAME.split(_filled(base64.b64decode(step["body"]), known))

    def request(self, ids: dict[bytes, bytes]) -> bytes:
        body = _joined(self._body, ids)
        return _HEAD % (_joined(self._line, ids), self._headers, len(body)) + body


def _filled(text: bytes, known: dict[bytes, bytes]) -> bytes:
    return _NAME.sub(lambda match: known.get(match[1], match[0]), text)


def _joined(parts: list[bytes], ids: dict[bytes, bytes]) -> bytes:
    return b"".join(ids[part] if index % 2 else part for index, part in enumerate(parts))


class _Worker:
    """A connection that runs the program."""

    def __init__(self, connection: _Connection, order: dict[str, Any]) -> None:
        self.connection = connection
        self.refused = 0
        self.times = [0.0] * len(order["steps"])
        self._ids: dict[bytes, bytes] = {}
        self._order = order
        self._templates: list[_Template] = []

    async def prepare(self) -> None:
        for step in self._order["before"]:
            await self._one(_Template(step, self._ids))
        self._templates = [_Template(step, self._ids) for step in self._order["steps"]]

    async def run(self, turns: Iterator[int]) -> None:
        for turn in turns:
            self._ids[b"turn"] = b"%d" % (turn + 1)
            self._ids[b"offset"] = b"%d" % (turn * self._order["stride"])
            all_steps = range(len(self._templates))
            for index in [turn % len(all_steps)] if self._order["in_turn"] else all_steps:
                started = time.perf_counter()
                await self._one(self._templates[index])
                self.times[index] += time.perf_counter() - started

    async def _one(self, template: _Template) -> None:
        request = template.request(self._ids)
        reply = await self.connection.request(request)
        while self._order["refusals"] and b" 503 " in reply[:16]:
            self.refused += 1
            await asyncio.sleep(_PAUSE)
            if _CLOSED.search(reply):
                self.connection = await _connected(self._order["port"])
            reply = await self.connection.request(request)
        if b" 200 " not in reply[:16] or (_CODE.search(reply) and not _GOOD.search(reply)):
            raise RuntimeError(f"{request[:600]!r}\n{reply[:800]!r}")
        if template.keep:
            self._ids[template.keep] = b"%d" % integer(reply)


async def _connected(port: int) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    return connection


async def _main(order: dict[str, Any]) -> dict[str, Any]:
    workers = []
    for _ in range(order["connections"]):
        workers.append(_Worker(await _connected(order["port"]), order))
        await workers[-1].prepare()
    turns = iter(range(order["count"]))
    before = sum(worker.connection.received for worker in workers)
    started = time.perf_counter()
    await asyncio.gather(*(worker.run(turns) for worker in workers))
    seconds = time.perf_counter() - started
    received = sum(worker.connection.received for worker in workers) - before
    times = [
        sum(column) / order["count"] for column in zip(*(worker.times for worker in workers), strict=True)
    ]
    refused = sum(worker.refused for worker in workers)
    return {
        "seconds": seconds,
        "count": order["count"],
        "received": received,
        "times": times,
        "refused": refused,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(json.loads(sys.stdin.buffer.read())))))
