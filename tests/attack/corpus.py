"""The attack corpus: what a hostile client sends as the body of a POST, and what has to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.soap.wire import call, envelope, operation

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


def with_doctype(subset: str, use: str = "", version: str = "") -> bytes:
    """A call of getVersionString below a DTD, with `use` in a child that nobody reads."""
    prolog = f"<?xml version='1.0'?>\n<!DOCTYPE Envelope {subset}>\n"
    return envelope(operation("getVersionString", f"<x>{use}</x>"), prolog=prolog)


# ---------------------------------------------------------------- entities

case(
    "external entity: file",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "file://{at.file}">]', "&e;"),
)
case(
    "external entity: http",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "http://127.0.0.1:{at.port}/e">]', "&e;"),
)
case(
    "external entity: ftp",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "ftp://127.0.0.1:{at.port}/e">]', "&e;"),
)
case(
    "external parameter entity",
    lambda at: with_doctype(f'[<!ENTITY % p SYSTEM "http://127.0.0.1:{at.port}/p.dtd"> %p; ]', "&e;"),
)
case(
    "external subset, never used",
    lambda at: with_doctype(f'SYSTEM "http://127.0.0.1:{at.port}/x.dtd"'),
    "SUCCESS",
)
case(
    "parameter entity that takes a file out over http",
    lambda at: with_doctype(
        f'[<!ENTITY % f SYSTEM "file://{at.file}">'
        f'<!ENTITY % d SYSTEM "http://127.0.0.1:{at.port}/d"> %d; %f;]'
    ),
    "SUCCESS",
)
