"""Submitting: the call alone, and whole submissions against small calls."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import chunk, items, job, job_attributes, message, transaction
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.small_calls import VERSION

FILE = 10 * 1024
SMALL_CALLS = 15
TXN = transaction(0).replace("<id>0<", "<id>{txn}<")
WHERE = job(0, 0).replace("<clusterId>0<", "<clusterId>{cluster}<").replace("<jobId>0<", "<jobId>{proc}<")
_SHOWN = [a for a in job_attributes(1, 0, 82) if a[0] not in ("ClusterId", "ProcId")]

BEGIN = Step(message("beginTransaction", "<duration>3600</duration>"), keep="txn")
CLUSTER = Step(message("newCluster", TXN), keep="cluster")
JOB = Step(message("newJob", TXN, "<clusterId>{cluster}</clusterId>"), keep="proc")
SUBMIT = Step(message("submit", TXN, WHERE, f"<jobAd>{items(_SHOWN)}</jobAd>"))
COMMIT = Step(message("commitTransaction", TXN))
_TEMPLATE = Step(
    message(
        "createJobTemplate",
        WHERE,
        "<owner>alice</owner><type>VANILLA</type><cmd>/bin/cat</cmd><args>in.dat</args><requirements>FALSE</requirements>",
    )
)
_DECLARE = Step(
    message(
        "declareFile",
        TXN,
        WHERE,
        f"<name>in.dat</name><size>{FILE}</size><hashType>NOHASH</hashType><hash></hash>",
    )
)
_SEND = Step(chunk(TXN, WHERE, "in.dat", 0, bytes(range(256)) * (FILE // 256)))
WHOLE = (BEGIN, CLUSTER, JOB, _TEMPLATE, _DECLARE, _SEND, SUBMIT, COMMIT)


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """submit of 80 attributes; the eight calls of a submission with a file of 10 KB, on disk when it is
    committed, and with each call on disk when it is answered, as without that setting.
    """
    with birdbath(folder / "commit", durable_at="commit") as server:
        found = [_wholes(server, connections, scale, "durable at commit", 1) for connections in (1, 16)]
        found.append(_processor_time(server, scale, "durable at commit"))
    with birdbath(folder / "call") as server:
        found += [_submits(server, connections, scale) for connections in (1, 16)]
        found += [_wholes(server, connections, scale, "durable at each call") for connections in (1, 16)]
        found.append(_processor_time(server, scale, "durable at each call"))
    return found


def _submits(server: Server, connections: int, scale: Scale) -> Figure:
    measures = [partial(_rate, server, step, connections, scale) for step in (SUBMIT, VERSION)]
    rate, small = alternated(measures, scale.repeats)
    name = f"submit of 80 attributes, {_over(connections)}"
    return compared("submitting", name, rate, "calls/s", "getVersionString", small)


def _wholes(
    server: Server, connections: int, scale: Scale, durable: str, at_most: float | None = None
) -> Figure:
    def small_calls() -> float:
        return SMALL_CALLS / _rate(server, VERSION, connections, scale)

    whole, small = alternated([partial(_whole, server, connections, scale), small_calls], scale.repeats)
    name = f"whole submission (8 calls), {durable}, {_over(connections)}"
    return compared("submitting", name, whole * 1e3, "ms", "15 small calls", small * 1e3, at_most=at_most)


def _processor_time(server: Server, scale: Scale, durable: str) -> Figure:
    def small_calls() -> float:
        return SMALL_CALLS * _cpu(server, Program([VERSION]), 8 * scale.submissions)

    whole, small = alternated(
        [partial(_cpu, server, Program(WHOLE), scale.submissions), small_calls], scale.repeats
    )
    name = f"whole submission, {durable}, the server's processor time"
    return compared("submitting", name, whole * 1e3, "ms", "15 small calls", small * 1e3)


def _over(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _rate(server: Server, step: Step, connections: int, scale: Scale) -> float:
    before = () if step is VERSION else (BEGIN, CLUSTER, JOB)
    count = scale.calls // 4
    return count / drive(server.port, Program([step], before), connections, count).seconds


def _cpu(server: Server, program: Program, count: int) -> float:
    started = server.cpu()
    drive(server.port, program, 16, count)
    return (server.cpu() - started) / count


def _whole(server: Server, connections: int, scale: Scale) -> float:
    return drive(server.port, Program(WHOLE), connections, scale.submissions).each
