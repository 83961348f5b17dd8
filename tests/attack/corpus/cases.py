"""The attack corpus: what a hostile client sends as the body of a POST, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.soap.wire import call

SECRET = "the-secret-of-the-machine"
"""What is in the file that external entities try to read."""


@dataclass(frozen=True)
class Place:
    """Where the attacked server could be made to look: a file, and a port that answers to nobody."""

    file: str
    port: int


@dataclass(frozen=True)
class Case:
    """`body` is what is sent; `outcome` the fault code, the status code, or "" for an answer without one."""

    name: str
    body: Callable[[Place], bytes]
    outcome: str = "Client"
    content_type: bytes = b"text/xml; charset=utf-8"
    headers: tuple[bytes, ...] = ()


CASES: list[Case] = []


def case(name: str, body: bytes | Callable[[Place], bytes], outcome: str = "Client", **more: object) -> None:
    make = body if callable(body) else lambda _: body
    CASES.append(Case(name, make, outcome, **more))  # type: ignore[arg-type]


VERSION = call("getVersionString")

MILLION = 1_000_000

SEND = "<clusterId>1</clusterId><jobId>0</jobId><name>f</name><offset>0</offset><data>{}</data>"
