"""The few SOAP calls of the crash test's clients, over plain sockets; nothing of the project is imported
here.

A call ends in one of four ways: its reply, `Refused` (the reply says so), `NotSent` (the server was not
there: nothing was done), or `Lost` (the connection ended before the reply: nobody knows what was done).
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

from lxml import etree

Value = tuple[str, str]
"""(type, text) of an attribute as on the wire."""

_START = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:c="urn:condor"><e:Body><c:{0}>'
)
_END = "</c:{0}></e:Body></e:Envelope>"
_TIMEOUT = 60.0


class NotSent(Exception):
    """There was no connection to be had: the call was not made."""


class Lost(Exception):
    """The connection ended before the reply."""


class Refused(Exception):
    """The reply has another code than SUCCESS."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code


class Faulted(AssertionError):
    """The reply is a fault."""


class Wire:
    """One keep-alive connection that is made anew when it broke."""

    def __init__(self, port: int, path: str = "/") -> None:
        self._port = port
        self._path = path
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, operation: str, body: str) -> etree._Element:
        """The content of the reply's Body's first child. Raises NotSent, Lost or Refused."""
        text = f"{_START.format(operation)}{body}{_END.format(operation)}".encode()
        root = etree.fromstring(self._exchange(text))
        result: etree._Element = root[-1][0][0]
        code = result.findtext("status/code") or result.findtext("code")
        if code not in (None, "SUCCESS"):
            message = result.findtext("status/message") or result.findtext("message") or ""
            raise Refused(operation, str(code), message)
        return result

    def _exchange(self, body: bytes) -> bytes:
        connection = self._connected()
        try:
            connection.request("POST", self._path, body, {"Content-Type": "text/xml; charset=utf-8"})
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(str(error)) from error
        if reply.status != 200:
            raise Faulted(f"HTTP {reply.status}: {content[-500:]!r}")
        return content

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                raise NotSent(str(error)) from error
            self._connection = connection
        return self._connection

    # The operations

    def begin(self, duration: int) -> int:
        reply = self.call("beginTransaction", f"<duration>{duration}</duration>")
        return _integer(reply, "transaction/id")

    def commit(self, transaction: str) -> None:
        self.call("commitTransaction", transaction)

    def abort(self, transaction: str) -> None:
        self.call("abortTransaction", transaction)

    def new_cluster(self, transaction: str) -> int:
        return _integer(self.call("newCluster", transaction), "integer")

    def new_job(self, transaction: str, cluster: int) -> int:
        return _integer(self.call("newJob", f"{transaction}<clusterId>{cluster}</clusterId>"), "integer")

    def declare(self, transaction: str, job: str, name: str, size: int) -> None:
        rest = f"<name>{escape(name)}</name><size>{size}</size><hashType>NOHASH</hashType><hash></hash>"
        self.call("declareFile", f"{transaction}{job}{rest}")

    def send(self, transaction: str, job: str, name: str, offset: int, data: bytes) -> None:
        text = base64.b64encode(data).decode()
        rest = f"<name>{escape(name)}</name><offset>{offset}</offset><data>{text}</data>"
        self.call("sendFile", f"{transaction}{job}{rest}")

    def submit(self, transaction: str, job: str, attributes: Mapping[str, Value]) -> None:
        self.call("submit", f"{transaction}{job}<jobAd>{_items(attributes)}</jobAd>")

    def act(self, operation: str, transaction: str, job: str) -> None:
        self.call(operation, f"{transaction}{job}<reason>crash test</reason>")

    def job_ads(self, constraint: str) -> list[dict[str, Value]]:
        reply = self.call("getJobAds", f"<constraint>{escape(constraint)}</constraint>")
        return [_ad(item) for item in reply.iterfind("classAdArray/item")]

    def get_file(self, job: str, name: str, offset: int, length: int) -> bytes:
        rest = f"<name>{escape(name)}</name><offset>{offset}</offset><length>{length}</length>"
        return base64.b64decode(self.call("getFile", job + rest).findtext("data") or "")

    def insert_ad(self, kind: str, attributes: Mapping[str, Value]) -> None:
        self.call("insertAd", f"<type>{kind}</type><ad>{_items(attributes)}</ad>")

    def query_license_ads(self, constraint: str) -> list[dict[str, Value]]:
        return [
            _ad(item)
            for item in self.call("queryLicenseAds", f"<constraint>{escape(constraint)}</constraint>")
        ]


def transaction_element(identifier: int, duration: int) -> str:
    """The transaction as a client sends it back."""
    return f"<transaction><id>{identifier}</id><duration>{duration}</duration></transaction>"


def job_element(cluster: int, proc: int) -> str:
    """The two ids of a job."""
    return f"<clusterId>{cluster}</clusterId><jobId>{proc}</jobId>"


def _items(attributes: Mapping[str, Value]) -> str:
    return "".join(
        f"<item><name>{name}</name><type>{kind}</type><value>{escape(text)}</value></item>"
        for name, (kind, text) in attributes.items()
    )


def _ad(items: Iterable[etree._Element]) -> dict[str, Value]:
    return {
        str(item.findtext("name")): (str(item.findtext("type")), item.findtext("value") or "")
        for item in items
    }


def _integer(reply: etree._Element, path: str) -> int:
    return int(str(reply.findtext(path)))
