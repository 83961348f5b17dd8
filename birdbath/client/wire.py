"""The way to one SOAP service: zeep makes the messages from the WSDL, one `requests` session carries them.

This is the only module that touches zeep and requests. What comes back is handed on as a typed `Reply`, or as
a stream of bytes where an answer may be large; what goes wrong is raised as one of `birdbath.client.errors`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import requests
import zeep
import zeep.cache
import zeep.exceptions
import zeep.transports
from lxml import etree

from birdbath.client.errors import BadReply, ConnectionFailed, InvalidValue, ServerFault, StatusCode, refusal

Service = Literal["condorSchedd", "condorCollector", "birdbathQueries", "birdbathFederation"]

_NAMESPACES = {
    "birdbathQueries": "urn:birdbath:queries",
    "birdbathFederation": "urn:birdbath:federation",
}
Timeout = float | tuple[float, float]
"""Seconds, or (seconds to connect, seconds without a byte of the answer)."""

DEFAULT_TIMEOUT: Timeout = (10.0, 120.0)
STREAM_BLOCK = 64 * 1024
_POOL = re.compile(r"/pools/[^/]+")
_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
_T = TypeVar("_T")


class Reply:
    """A piece of an answer, read by child name. What is missing reads as 0, None or empty."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def child(self, name: str) -> Reply:
        return Reply(getattr(self._value, name, None))

    def integer(self, name: str) -> int:
        value = getattr(self._value, name, None)
        return 0 if value is None else int(value)

    def text(self, name: str) -> str | None:
        value = getattr(self._value, name, None)
        return None if value is None else str(value)

    def data(self, name: str) -> bytes:
        value = getattr(self._value, name, None)
        return b"" if value is None else bytes(value)

    def items(self) -> list[Reply]:
        """The children called `item`; empty ones, which arrive as None, are left out."""
        return [Reply(item) for item in getattr(self._value, "item", None) or () if item is not None]

    def texts(self) -> list[str]:
        """The children called `item`, which are plain strings."""
        return [str(item) for item in getattr(self._value, "item", None) or () if item is not None]


class Daemon:
    """What `Schedd` and `Collector` have in common: an endpoint for one service, to be closed."""

    _service: Service

    def __init__(
        self,
        url: str,
        *,
        timeout: Timeout = DEFAULT_TIMEOUT,
        session: requests.Session | None = None,
        wsdl: str | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, self._service, timeout=timeout, session=session, wsdl=wsdl)

    @property
    def url(self) -> str:
        """Where every call goes."""
        return self._endpoint.url

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._endpoint.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Endpoint:
    """One service at one URL. Nothing is sent before the first call; the WSDL is then read, once in a
    process.

    `url` is where every call goes, whatever address the WSDL names. The WSDL comes from `wsdl` (a URL or a
    file), or from `condorSchedd.wsdl` or `condorCollector.wsdl` beside `url`; of `/pools/NAME`, with a slash
    at its end or without, from below it. Raises `InvalidValue` for what is no http(s) URL.
    """

    def __init__(
        self,
        url: str,
        service: Service,
        *,
        timeout: Timeout,
        session: requests.Session | None,
        wsdl: str | None,
    ) -> None:
        check_address(url)
        self.url = url
        self.service = service
        self.timeout = timeout
        self.session = session or new_session(url)
        base = f"{url}/" if _POOL.fullmatch(urlsplit(url).path) else url
        self._wsdl = wsdl or urljoin(base, f"{service}.wsdl")
        self._made: tuple[zeep.Client, Any] | None = None

    def call(self, operation: str, /, *, repeatable: bool = False, **arguments: object) -> Reply:
        """Carry out `operation` and return its result element, whose status was SUCCESS.

        A `repeatable` call is sent a second time when the connection breaks: a server may close an idle
        connection at the very moment it is used again. Raises the error for the status (see
        `errors.refusal`), `ServerFault`, `ConnectionFailed`, `BadReply`, `InvalidValue`.
        """
        proxy = self._zeep()[1]

        def attempt() -> Reply:
            with self._translated(self.url):
                return Reply(proxy[operation](**arguments))

        reply = _tried(attempt, repeatable)
        check(reply)
        return reply

    def stream(self, operation: str, /, **arguments: object) -> Iterator[bytes]:
        """Carry out `operation`, which only reads, and return the answer's bytes, block by block as they
        arrive.

        The answer has begun when this returns; faults and errors up to there are raised here, a connection
        that breaks later by the iterator. Closing the iterator closes the connection.
        """
        client, proxy = self._zeep()
        with self._translated(self.url):
            message = etree.tostring(client.create_message(proxy, operation, **arguments))

        def attempt() -> requests.Response:
            with self._translated(self.url):
                return self.session.post(
                    self.url, message, headers=_HEADERS, timeout=self.timeout, stream=True
                )

        response = _tried(attempt, True)
        if response.status_code != 200:
            with self._translated(self.url), response:
                raise _not_ok(self.url, response.status_code, response.content)
        return self._blocks(response)

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        with response, self._translated(self.url):
            yield from response.iter_content(STREAM_BLOCK)

    def _zeep(self) -> tuple[zeep.Client, Any]:
        """zeep's client, and its proxy for this service at our URL."""
        if self._made is None:
            with self._translated(self._wsdl):
                namespace = _NAMESPACES.get(self.service, "urn:condor")
                client = _load(self._wsdl, self.session, self.timeout)
                self._made = client, client.create_service(f"{{{namespace}}}{self.service}", self.url)
        return self._made

    @contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        """Turns what requests, zeep and lxml raise into our own errors, which say the URL."""
        url = without_account(url)
        try:
            yield
        except requests.Timeout as error:
            raise ConnectionFailed(f"{url}: no answer in time ({_limits(self.timeout)})", url) from error
        except requests.HTTPError as error:  # from zeep's look for the WSDL; always with a response
            answer = cast("requests.Response", error.response)
            raise _not_ok(url, answer.status_code, answer.content) from error
        except requests.RequestException as error:
            raise ConnectionFailed(f"cannot reach {url}: {reason_of(error)}", url) from error
        except zeep.exceptions.Fault as fault:
            raise ServerFault(fault.message or "SOAP fault without a text", fault.code) from fault
        except zeep.exceptions.TransportError as error:
            raise _not_ok(url, error.status_code, error.content) from error
        except (zeep.exceptions.XMLSyntaxError, zeep.exceptions.XMLParseError) as error:
            raise BadReply(f"{url}: the answer is not what the service promises ({error})", url) from error
        except (zeep.exceptions.ValidationError, ValueError) as error:
            raise InvalidValue(f"cannot be sent: {error}") from error
        except FileNotFoundError as error:
            raise BadReply(f"{url}: no such WSDL file", url) from error


def check_address(url: str) -> None:
    """Raise `InvalidValue` for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or a port that is no number
        whole = False
    if not whole:
        raise InvalidValue(
            f"{url!r} is not the address of a server; expected something like http://host:8080"
        )


def check(reply: Reply) -> None:
    """Raise the error for a reply whose status is not SUCCESS. Some replies are a status, others have one."""
    status = reply if reply.text("code") is not None else reply.child("status")
    code = status.text("code")
    if code in (None, StatusCode.SUCCESS.name):
        return
    known = StatusCode[code] if code in StatusCode.__members__ else StatusCode.FAIL
    raise refusal(known, status.text("message"), reply.child("requirements").texts())


def new_session(url: str) -> requests.Session:
    """A session for this server. For a server on this very machine no proxy is used.

    Account and password may stand in the URL. BIRDBATH_TOKEN is sent as bearer token, BIRDBATH_CA names a PEM
    file of the authorities that the server's certificate is verified by.
    """
    session = requests.Session()
    session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
    if token := os.environ.get("BIRDBATH_TOKEN"):
        session.auth = _BearerToken(token.strip())
    if authorities := os.environ.get("BIRDBATH_CA"):
        session.verify = authorities
    return session


class _BearerToken(requests.auth.AuthBase):
    """Sends a bearer token, which a password in a netrc file must not displace."""

    def __init__(self, token: str) -> None:
        self._value = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def without_account(url: str) -> str:
    """A URL as it may be shown: without the account and the password that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Transport(zeep.transports.Transport):
    """zeep's transport, which would make an "unknown fault" of any page that is well-formed XML."""

    def post(self, address: str, message: str, headers: dict[str, str]) -> requests.Response:
        response: requests.Response = super().post(address, message, headers)  # type: ignore[no-untyped-call]
        if response.status_code != 200:
            raise _not_ok(address, response.status_code, response.content)
        return response


def _load(wsdl: str, session: requests.Session, timeout: Timeout) -> zeep.Client:
    transport = _Transport(  # type: ignore[no-untyped-call]
        cache=zeep.cache.InMemoryCache(), timeout=timeout, operation_timeout=timeout, session=session
    )
    return zeep.Client(wsdl, transport=transport)


def _tried(attempt: Callable[[], _T], repeatable: bool) -> _T:
    try:
        return attempt()
    except ConnectionFailed as error:
        if not repeatable or isinstance(error.__cause__, requests.Timeout):
            raise
    return attempt()


def _not_ok(url: str, http_status: int | None, content: bytes | str | None) -> ServerFault | BadReply:
    """The error for an answer whose HTTP status is not 200: a SOAP fault, or something that is not SOAP."""
    fault = _fault(content.encode() if isinstance(content, str) else content or b"")
    if fault is not None:
        return fault
    hint = {401: "the server wants other credentials", 403: "the server does not let us in"}
    said = hint.get(http_status or 0, "is a Birdbath server there?")
    url = without_account(url)
    return BadReply(f"{url}: HTTP status {http_status}; {said}", url, http_status)


def _fault(content: bytes) -> ServerFault | None:
    try:
        root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    text = root.findtext(".//faultstring")
    return None if text is None else ServerFault(text, root.findtext(".//faultcode"))


def _limits(timeout: Timeout) -> str:
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return f"{connect:g} s to connect, {read:g} s to answer"


def reason_of(error: BaseException) -> str:
    """What the operating system said, which lies deep inside of what requests raises."""
    text = str(error)
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and (inner.strerror or isinstance(inner, ConnectionError)):
            text = inner.strerror or str(inner)
        inner = inner.__cause__ or inner.__context__
    return text
