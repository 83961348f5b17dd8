"""A door to talk SOAP through: one operation in, its status and value out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias
from xml.sax.saxutils import escape

from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CONDOR = "{urn:condor}"

Element: TypeAlias = etree._Element


class Txn(NamedTuple):
    """A transaction struct as it goes over the wire."""

    id: int
    duration: int


class Item(NamedTuple):
    """One attribute of an ad as it goes over the wire; None leaves the element out."""

    name: str | None
    type: str | None
    value: str | None


class Xml(str):
    """Text that stands in the request as it is."""

    __slots__ = ()


NIL = Xml("nil")
"""An element with xsi:nil."""

Value: TypeAlias = "str | int | bool | bytes | Txn | Sequence[Item] | None"
"""None leaves the element out; an empty sequence or string makes it empty."""


def string(name: str, value: str) -> Item:
    return Item(name, "STRING-ATTR", value)


def integer(name: str, value: int) -> Item:
    return Item(name, "INTEGER-ATTR", str(value))


def expression(name: str, value: str) -> Item:
    return Item(name, "EXPRESSION-ATTR", value)


class WireAd(list[Item]):
    """An ad as it came over the wire, in order."""

    def item(self, name: str) -> Item:
        """The one attribute of exactly this spelling."""
        (found,) = (item for item in self if item.name == name)
        return found

    def value(self, name: str) -> str:
        value = self.item(name).value
        assert value is not None
        return value

    def number(self, name: str) -> int:
        assert self.item(name).type == "INTEGER-ATTR"
        return int(self.value(name))

    def has(self, name: str) -> bool:
        """Whether there is an attribute of exactly this spelling."""
        return any(item.name == name for item in self)

    @property
    def names(self) -> list[str | None]:
        return [item.name for item in self]


class Entry(NamedTuple):
    """One entry of listSpool."""

    name: str
    size: int


@dataclass(frozen=True)
class Reply:
    """What came back.

    `code` is the status, "FAULT" for a SOAP fault (`message` is its text), "" where a reply has no status.
    `value` is what came besides the status, None when its element was omitted.
    """

    http_status: int
    code: str
    message: str | None
    value: object

    # The value as the type that the operation returns; each asserts that it is there.

    @property
    def number(self) -> int:
        assert isinstance(self.value, int)
        return self.value

    @property
    def txn(self) -> Txn:
        assert isinstance(self.value, Txn)
        return self.value

    @property
    def ad(self) -> WireAd:
        assert isinstance(self.value, WireAd)
        return self.value

    @property
    def ads(self) -> list[WireAd]:
        assert isinstance(self.value, list)
        assert not isinstance(self.value, WireAd)
        return self.value

    @property
    def data(self) -> bytes:
        assert isinstance(self.value, bytes)
        return self.value

    @property
    def names(self) -> list[str]:
        assert isinstance(self.value, list)
        return self.value

    @property
    def text(self) -> str:
        assert isinstance(self.value, str)
        return self.value

    @property
    def entries(self) -> list[Entry]:
        """The listing; an empty one is omitted (1.4)."""
        if self.value is None:
            return []
        assert isinstance(self.value, list)
        return self.value


class Pool(Protocol):
    """What a door needs of the pool behind it."""

    capabilities: frozenset[str]
    """`stepped time`: it only passes when `advance` says so. `held when removed`: so can a job be (3.12)."""

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Answer one SOAP request: HTTP status and body."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass for the pool and for leases, and what is due happen."""
        ...

    def time(self) -> float:
        """The pool's time, in seconds since the epoch."""
        ...

    def restart(self) -> None:
        """Stop the server as a crash would, and start it again on the same database and spool."""
        ...


class Door:
    """Calls operations by name. Parameters are the wire's, with `_` for `-`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.capabilities = pool.capabilities

    def call(self, operation: str, /, **parameters: Value) -> Reply:
        """Post one call as a strict client writes it."""
        inner = "".join(element(name.replace("_", "-"), value) for name, value in parameters.items())
        return self.post(operation, inner)

    def post(self, operation: str, inner: str) -> Reply:
        """Post one call with these children."""
        return self.raw(envelope(f'<c:{operation} xmlns:c="urn:condor">{inner}</c:{operation}>'))

    def raw(self, body: bytes) -> Reply:
        """Post these bytes."""
        return parse(*self._pool.post(body))

    def bytes(self, operation: str, /, **parameters: Value) -> bytes:
        """The reply's bytes to one call."""
        inner = "".join(element(name.replace("_", "-"), value) for name, value in parameters.items())
        body = envelope(f'<c:{operation} xmlns:c="urn:condor">{inner}</c:{operation}>')
        return self._pool.post(body)[1]

    def code(self, operation: str, /, **parameters: Value) -> str:
        return self.call(operation, **parameters).code

    def advance(self, seconds: float) -> None:
        self._pool.advance(seconds)

    def time(self) -> int:
        return int(self._pool.time())

    def restart(self) -> None:
        self._pool.restart()

    def run_until(self, reached: Callable[[], bool], seconds: int = 600) -> None:
        """Let time pass, a second at a time, until something is so."""
        for _ in range(seconds):
            if reached():
                return
            self.advance(1)
        raise AssertionError(f"not reached within {seconds} seconds of the pool's time")

    # What most tests begin with

    def begin(self, duration: int = 600) -> Txn:
        return self.ok("beginTransaction", duration=duration).txn

    def ok(self, operation: str, /, **parameters: Value) -> Reply:
        """A call that has to succeed."""
        reply = self.call(operation, **parameters)
        assert (reply.http_status, reply.code) == (200, "SUCCESS"), reply
        return reply

    def staged(self, txn: Txn | None = None) -> Staged:
        """A new job in a new cluster, uncommitted."""
        txn = txn or self.begin()
        cluster = self.ok("newCluster", transaction=txn).number
        return Staged(self, txn, cluster, self.ok("newJob", transaction=txn, clusterId=cluster).number)

    def committed(self, *extra: Item) -> Job:
        """A job made from the template that stays Idle for ever, unless `extra` says otherwise."""
        staged = self.staged()
        staged.submit_template(expression("Requirements", "FALSE"), *extra)
        return staged.commit()


@dataclass(frozen=True)
class Job:
    """A job and calls on it outside of any transaction."""

    door: Door
    cluster: int
    proc: int

    def call(self, operation: str, /, **parameters: Value) -> Reply:
        return self.door.call(operation, clusterId=self.cluster, jobId=self.proc, **parameters)

    def code(self, operation: str, /, **parameters: Value) -> str:
        return self.call(operation, **parameters).code

    def ok(self, operation: str, /, **parameters: Value) -> Reply:
        return self.door.ok(operation, clusterId=self.cluster, jobId=self.proc, **parameters)

    @property
    def ad(self) -> WireAd:
        """As getJobAd shows it."""
        return self.ok("getJobAd").ad

    @property
    def status(self) -> int:
        return self.ad.number("JobStatus")

    @property
    def in_queue(self) -> bool:
        code = self.code("getJobAd")
        assert code in ("SUCCESS", "UNKNOWNJOB")
        return code == "SUCCESS"

    @property
    def listing(self) -> list[Entry]:
        return self.ok("listSpool").entries

    def content(self, name: str) -> bytes:
        return self.ok("getFile", name=name, offset=0, length=1 << 20).data


@dataclass(frozen=True)
class Staged:
    """A job of an open transaction and calls on it inside of that."""

    door: Door
    txn: Txn
    cluster: int
    proc: int

    def call(self, operation: str, /, **parameters: Value) -> Reply:
        place: dict[str, Value] = {"clusterId": self.cluster, "jobId": self.proc}
        return self.door.call(operation, transaction=self.txn, **place, **parameters)

    def code(self, operation: str, /, **parameters: Value) -> str:
        return self.call(operation, **parameters).code

    def ok(self, operation: str, /, **parameters: Value) -> Reply:
        reply = self.call(operation, **parameters)
        assert (reply.http_status, reply.code) == (200, "SUCCESS"), reply
        return reply

    def declare(self, name: str, size: int = 0, hash_type: str = "NOHASH", hash: str | None = None) -> str:
        return self.code("declareFile", name=name, size=size, hashType=hash_type, hash=hash)

    def send(self, name: str, offset: int, data: bytes) -> str:
        return self.code("sendFile", name=name, offset=offset, data=data)

    def upload(self, name: str, data: bytes) -> None:
        assert self.declare(name, len(data)) == "SUCCESS"
        assert self.send(name, 0, data) == "SUCCESS"

    def submit(self, *items: Item) -> str:
        return self.code("submit", jobAd=items)

    def template(self) -> WireAd:
        """The template for this job."""
        return self.door.ok(
            "createJobTemplate",
            clusterId=self.cluster,
            jobId=self.proc,
            owner="alice",
            type="VANILLA",
            cmd="/bin/true",
            args="",
            requirements="",
        ).ad

    def submit_template(self, *extra: Item) -> None:
        """Submit the whole template, every item of it, and then `extra`."""
        assert self.submit(*self.template(), *extra) == "SUCCESS"

    def commit(self) -> Job:
        self.door.ok("commitTransaction", transaction=self.txn)
        return self.as_job

    @property
    def as_job(self) -> Job:
        return Job(self.door, self.cluster, self.proc)


# ---------------------------------------------------------------- writing


def envelope(body: str) -> bytes:
    return (f'<e:Envelope xmlns:e="{SOAP}" xmlns:xsi="{XSI}"><e:Body>{body}</e:Body></e:Envelope>').encode()


def element(name: str, value: Value) -> str:
    """One parameter; nothing for None."""
    if value is None:
        return ""
    if value is NIL:
        return f'<{name} xsi:nil="true"/>'
    return f"<{name}>{_content(value)}</{name}>"


def _content(value: str | int | bool | bytes | Txn | Sequence[Item]) -> str:
    if isinstance(value, Xml):
        return value
    if isinstance(value, str):
        return escape(value, {"\r": "&#13;"})
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Txn):
        return f"<id>{value.id}</id><duration>{value.duration}</duration>"
    return "".join(f"<item>{_item(item)}</item>" for item in value)


def _item(item: Item) -> str:
    return "".join(element(name, value) for name, value in zip(Item._fields, item, strict=True))


# ---------------------------------------------------------------- reading


def parse(http_status: int, body: bytes) -> Reply:
    """The reply in a response; anything but exactly one operation response or fault is an error."""
    (inner,) = etree.fromstring(body).iterfind(f"{{{SOAP}}}Body/*")
    if inner.tag == f"{{{SOAP}}}Fault":
        assert http_status == 500
        return Reply(http_status, "FAULT", inner.findtext("faultstring"), None)
    assert http_status == 200
    assert str(inner.tag).startswith(CONDOR)
    (container,) = inner
    if container.tag == "result":
        return Reply(http_status, "", None, _ads(container))
    code = container.find("code")
    status = container if code is not None else container.find("status")
    assert status is not None
    assert status.find("next") is None
    payload = [child for child in container if child is not status] if code is None else []
    assert len(payload) <= 1
    value = _PAYLOADS[str(payload[0].tag)](payload[0]) if payload else None
    return Reply(http_status, status.findtext("code") or "", status.findtext("message"), value)


def _ad(element: Element) -> WireAd:
    return WireAd(_read_item(item) for item in element)


def _read_item(element: Element) -> Item:
    name, kind, value = element
    assert (element.tag, name.tag, kind.tag, value.tag) == ("item", "name", "type", "value")
    return Item(name.text or "", kind.text or "", value.text or "")


def _ads(element: Element) -> list[WireAd]:
    return [_ad(item) for item in element.iterfind("item")]


def _text(element: Element, child: str) -> str:
    text = element.findtext(child)
    assert text is not None
    return text


def _entries(element: Element) -> list[Entry]:
    return [Entry(_text(item, "name"), int(_text(item, "size"))) for item in element.iterfind("item")]


_PAYLOADS: dict[str, Callable[[Element], object]] = {
    "integer": lambda element: int(element.text or ""),
    "transaction": lambda element: Txn(int(_text(element, "id")), int(_text(element, "duration"))),
    "message": lambda element: element.text or "",
    "classAd": _ad,
    "classAdArray": _ads,
    "data": lambda element: base64.b64decode(element.text or "", validate=True),
    "requirements": lambda element: [item.text or "" for item in element],
    "info": _entries,
}
