"""Requests as bytes, and daemons that record what they are asked: the bench of the wire tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from birdbath.access import Caller
from birdbath.classads import AdList, AdRecord, Attribute, Columns
from birdbath.soap import Operations, Reply, SoapServer

T = TypeVar("T")

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
START = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" '
    b'xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" '
    b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    b'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:condor="urn:condor">'
)
END = b"</SOAP-ENV:Envelope>"


class Recorder:
    """Answers every method with what was given for its name, or raises it, and records the calls."""

    def __init__(self, **results: object) -> None:
        self.results = results
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            result = self.results.get(name)
            if isinstance(result, BaseException):
                raise result
            return result

        return call


@dataclass
class Daemons:
    """Both daemons, recording; `run` makes them a backend."""

    schedd: Recorder = field(default_factory=Recorder)
    collector: Recorder = field(default_factory=Recorder)
    runs: list[tuple[str, Caller]] = field(default_factory=list)

    @property
    def operations(self) -> Operations:
        return cast(Operations, self)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the last call got."""
        return (self.schedd.calls + self.collector.calls)[-1][1]

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        self.runs.append((operation, caller))
        return work(self.operations)


def schedd(**results: object) -> Daemons:
    return Daemons(schedd=Recorder(**results))


def collector(**results: object) -> Daemons:
    return Daemons(collector=Recorder(**results))


def envelope(
    body: str, *, header: str = "", soap: str = SOAP_11, prolog: str = "", attributes: str = ""
) -> bytes:
    """A request document around the content of its Body."""
    return (
        f'{prolog}<e:Envelope xmlns:e="{soap}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"{header}<e:Body{attributes}>{body}</e:Body></e:Envelope>"
    ).encode()


def operation(name: str, children: str = "") -> str:
    """An operation element as a strict client writes it."""
    return f'<c:{name} xmlns:c="urn:condor">{children}</c:{name}>'


def call(name: str, children: str = "") -> bytes:
    return envelope(operation(name, children))


SERVER = SoapServer()


def ask(daemons: Daemons, request: bytes, content_type: str = "text/xml; charset=utf-8") -> Reply:
    """The reply to a request, without a unit of work around it."""
    received = SERVER.receive(request, content_type)
    return received.reply() if received.is_refused else received.execute(daemons.operations)


def data(reply: Reply) -> bytes:
    return b"".join(reply.chunks)


def body(reply: Reply) -> str:
    """What is in the Body of a reply whose envelope is as it has to be."""
    text = data(reply)
    start = START + b"<SOAP-ENV:Body>"
    end = b"</SOAP-ENV:Body>" + END
    assert text.startswith(start)
    assert text.endswith(end)
    return text[len(start) : -len(end)].decode()


def arguments(name: str, children: str) -> tuple[Any, ...]:
    """What the daemons get for a request; the reply must be no fault."""
    daemons = Daemons()
    request = call(name, children)
    received = SERVER.receive(request)
    assert not received.is_refused, data(received.reply())
    daemons.schedd.results = daemons.collector.results = _Stops()
    with suppress(_Stop):
        received.execute(daemons.operations)
    return daemons.arguments


def client_fault(request: bytes) -> str:
    """The text of the Client fault that a request is answered with."""
    reply = ask(Daemons(), request)
    text = body(reply)
    assert reply.status == 500
    assert text.startswith("<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>"), text
    return text.partition("<faultstring>")[2].partition("</faultstring>")[0]


def version(request: bytes, content_type: str = "text/xml") -> Reply:
    return ask(schedd(version_string="$CondorVersion: 8.4.12 $"), request, content_type)


class _Stop(Exception):
    """The call was recorded; what would be written of its answer does not matter here."""


class _Stops(dict[str, object]):
    def get(self, key: str, default: object = None) -> object:
        return _Stop()


def ad_list(*ads: Sequence[Attribute], server_time: int = 1300000000) -> AdList:
    """An answer of job ads with these attributes, in this order."""
    return AdList([record(attributes) for attributes in ads], server_time)


def record(attributes: Sequence[Attribute], my_type: str = "Job", target_type: str = "Machine") -> AdRecord:
    return cast(AdRecord, FakeRecord(list(attributes), my_type, target_type))


@dataclass
class FakeRecord:
    """An AdRecord that counts how often it is looked at."""

    _attributes: list[Attribute]
    my_type: str
    target_type: str
    rendering: bytes | None = None
    reads: int = 0

    def columns(self) -> Columns:
        self.reads += 1
        types = [("MyType", "s", self.my_type), ("TargetType", "s", self.target_type)]
        names, kinds, texts = zip(*types, *self._attributes, strict=True)
        return Columns(names, kinds, texts, plain=False)

    def keep_rendering(self, data: bytes) -> None:
        self.rendering = data
