"""Submitting: the call alone, and whole submissions against small calls."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import chunk, items, job, job_attributes, message, transaction
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.small_calls import VERSION

FILE = 10 * 1024
SMALL_CALLS = 15
_TXN = transaction(0).replace("<id>0<", "<id>{txn}<")
_JOB = job(0, 0).replace("<clusterId>0<", "<clusterId>{cluster}<").replace("<jobId>0<", "<jobId>{proc}<")
_SHOWN = [a for a in job_attributes(1, 0, 82) if a[0] not in ("ClusterId", "ProcId")]

BEGIN = Step(message("beginTransaction", "<duration>3600</duration>"), keep="txn")
CLUSTER = Step(message("newCluster", _TXN), keep="cluster")
JOB = Step(message("newJob", _TXN, "<clusterId>{cluster}</clusterId>"), keep="proc")
SUBMIT = Step(message("submit", _TXN, _JOB, f"<jobAd>{items(_SHOWN)}</jobAd>"))
COMMIT = Step(message("commitTransaction", _TXN))
_TEMPLATE = Step(
    message(
        "createJobTemplate",
        _JOB,
        "<owner>alice</owner><type>VANILLA</type><cmd>/bin/cat</cmd><args>in.dat</args><requirements>FALSE</requirements>",
    )
)
_DECLARE = Step(
    message(
        "declareFile",
        _TXN,
        _JOB,
        f"<name>in.dat</name><size>{FILE}</size><hashType>NOHASH</hashType><hash></hash>",
    )
)
_SEND = Step(chunk(_TXN, _JOB, "in.dat", 0, bytes(range(256)) * (FILE // 256)))
WHOLE = (BEGIN, CLUSTER, JOB, _TEMPLATE, _DECLARE, _SEND, SUBMIT, COMMIT)


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """submit of 80 attributes; the eight calls of a submission with a file of 10 KB."""
    found = []
    with birdbath(folder / "submissions") as server:
        for connections in (1, 16):
            rate, small = alternated(
                [
                    lambda n=connections: _rate(server, SUBMIT, n, scale),
                    lambda n=connections: _rate(server, VERSION, n, scale),
                ],  # type: ignore[misc]
                scale.repeats,
            )
            name = f"submit of 80 attributes, {_over(connections)}"
            found.append(compared("submitting", name, rate, "calls/s", "getVersionString", small))
        for connections in (1, 16):
            whole, small_calls = alternated(
                [
                    lambda n=connections: _whole(server, n, scale),  # type: ignore[misc]
                    lambda n=connections: SMALL_CALLS / _rate(server, VERSION, n, scale),  # type: ignore[misc]
                ],
                scale.repeats,
            )
            name = f"whole submission (8 calls), {_over(connections)}"
            found.append(
                compared(
                    "submitting", name, whole * 1e3, "ms", "15 small calls", small_calls * 1e3, at_most=1
                )
            )
        whole, small_calls = alternated(
            [
                lambda: _cpu(server, Program(WHOLE), scale.submissions),
                lambda: SMALL_CALLS * _cpu(server, Program([VERSION]), 8 * scale.submissions),
            ],
            scale.repeats,
        )
        name = "whole submission (8 calls), server's processor time"
        found.append(compared("submitting", name, whole * 1e3, "ms", "15 small calls", small_calls * 1e3))
    return found


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
