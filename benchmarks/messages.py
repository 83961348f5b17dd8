"""Requests as bytes, and the few things that are read from replies."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

Attribute = tuple[str, str, str]
"""(name, letter of the kind, text), as `birdbath.classads` has it."""

KINDS = {
    "s": "STRING-ATTR",
    "n": "INTEGER-ATTR",
    "f": "FLOAT-ATTR",
    "b": "BOOLEAN-ATTR",
    "x": "EXPRESSION-ATTR",
}
_START = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:c="urn:condor"><e:Body>'
_INTEGER = re.compile(rb"<(?:integer|id)>(-?[0-9]+)<")


def message(operation: str, *children: str) -> bytes:
    """A request."""
    return f"{_START}<c:{operation}>{''.join(children)}</c:{operation}></e:Body></e:Envelope>".encode()


def integer(reply: bytes) -> int:
    """The id in a reply of beginTransaction, newCluster or newJob. Raises ValueError when there is none."""
    found = _INTEGER.search(reply)
    if found is None:
        raise ValueError(reply[-400:].decode())
    return int(found[1])


def transaction(identifier: int) -> str:
    return f"<transaction><id>{identifier}</id><duration>3600</duration></transaction>"


def job(cluster: int, proc: int) -> str:
    return f"<clusterId>{cluster}</clusterId><jobId>{proc}</jobId>"


def items(attributes: Sequence[Attribute]) -> str:
    """The items of an ad."""
    return "".join(
        f"<item><name>{name}</name><type>{KINDS[kind]}</type><value>{escape(text)}</value></item>"
        for name, kind, text in attributes
    )


def chunk(txn: str, where: str, name: str, offset: int, data: bytes) -> bytes:
    """A sendFile."""
    text = base64.b64encode(data).decode()
    return message("sendFile", txn, where, f"<name>{name}</name><offset>{offset}</offset><data>{text}</data>")


def job_attributes(cluster: int, proc: int, count: int = 80) -> list[Attribute]:
    """The ad of a job as queues hold them: `count` attributes, `Share` from 0 to 99 by cluster."""
    ad: list[Attribute] = [
        ("MyType", "s", "Job"),
        ("TargetType", "s", "Machine"),
        ("ClusterId", "n", str(cluster)),
        ("ProcId", "n", str(proc)),
        ("Owner", "s", f"user{cluster % 50}"),
        ("User", "s", f"user{cluster % 50}@birdbath.example.org"),
        ("JobStatus", "n", "1"),
        ("JobUniverse", "n", "5"),
        ("JobPrio", "n", "0"),
        ("Cmd", "s", "/usr/local/bin/simulate"),
        ("Arguments", "s", f"--seed {cluster} --input 'data set.bin' --output result.bin"),
        ("Requirements", "x", '(TARGET.Arch == "NONE") && (TARGET.Memory >= RequestMemory)'),
        ("RequestCpus", "n", "1"),
        ("RequestMemory", "x", "ifthenelse(MemoryUsage =!= undefined,MemoryUsage,(ImageSize + 1023) / 1024)"),
        ("RequestDisk", "x", "DiskUsage"),
        ("ImageSize", "n", "100"),
        ("DiskUsage", "n", "1"),
        ("LeaveJobInQueue", "x", "FilesRetrieved =?= false"),
        ("FilesRetrieved", "b", "FALSE"),
        ("OnExitRemove", "b", "TRUE"),
        ("QDate", "n", "1700000000"),
        ("EnteredCurrentStatus", "n", "1700000000"),
        ("RemoteWallClockTime", "f", "0.000000"),
        ("Iwd", "s", f"/var/lib/birdbath/spool/{cluster}/{proc}/cluster{cluster}.proc{proc}.subproc0"),
        ("Share", "n", str(cluster % 100)),
    ]
    fillers = ("s", "n", "b", "f", "x")
    texts = {
        "s": "a value of some forty characters, as usual",
        "n": "123456",
        "b": "FALSE",
        "f": "3.25",
        "x": "QDate + 60",
    }
    while len(ad) < count:
        kind = fillers[len(ad) % len(fillers)]
        ad.append((f"BenchmarkAttribute{len(ad)}", kind, texts[kind]))
    return ad
