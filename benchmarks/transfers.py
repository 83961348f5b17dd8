"""File chunks up and down, against plain HTTP upload and download of the same bytes."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import chunk, message
from benchmarks.scale import Scale
from benchmarks.servers import Server, bare, birdbath
from benchmarks.submissions import BEGIN, CLUSTER, JOB, TXN, WHERE

CHUNKS = ((64 << 10, "64 KiB"), (1 << 20, "1 MiB"))
LEAST = 1 / 3


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """sendFile and getFile, one connection, a file of which every chunk is on disk when it is answered."""
    found = []
    with birdbath(folder / "transfers") as server, bare(folder / "plain", b"") as plain:
        for size, name in CHUNKS:
            count = max(1, scale.transfer // size)
            data = random.Random(size).randbytes(size)
            sent, put = alternated(
                [partial(_send, server, data, count), partial(_put, plain, data, count)], scale.repeats
            )
            found.append(_figure(f"sendFile, {name}", sent, "plain upload", put))
            got, plain_got = alternated(
                [partial(_get, server, size, count), partial(_plain_get, plain, size, count)], scale.repeats
            )
            found.append(_figure(f"getFile, {name}", got, "plain download", plain_got))
    return found


def _figure(name: str, rate: float, reference_name: str, reference: float) -> Figure:
    return compared("transfers", name, rate / 1e6, "MB/s", reference_name, reference / 1e6, at_least=LEAST)


_DECLARE = Step(
    message(
        "declareFile", TXN, WHERE, "<name>big</name><size>0</size><hashType>NOHASH</hashType><hash></hash>"
    )
)
_BEFORE = (BEGIN, CLUSTER, JOB, _DECLARE)


def _send(server: Server, data: bytes, count: int) -> float:
    step = Step(chunk(TXN, WHERE, "big", 0, data).replace(b"<offset>0<", b"<offset>{offset}<"))
    return len(data) * count / drive(server.port, Program([step], _BEFORE, len(data)), 1, count).seconds


def _get(server: Server, size: int, count: int) -> float:
    """What `_send` has written first: cluster 1 has as many bytes."""
    rest = f"<name>big</name><offset>{{offset}}</offset><length>{size}</length>"
    step = Step(message("getFile", "<clusterId>1</clusterId><jobId>0</jobId>", rest))
    return size * count / drive(server.port, Program([step], (), size), 1, count).seconds


def _put(server: Server, data: bytes, count: int) -> float:
    step = Step(data, line="PUT /big?{offset}")
    return len(data) * count / drive(server.port, Program([step], (), len(data)), 1, count).seconds


def _plain_get(server: Server, size: int, count: int) -> float:
    step = Step(line=f"GET /big?{{offset}}-{size}")
    return size * count / drive(server.port, Program([step], (), size), 1, count).seconds
