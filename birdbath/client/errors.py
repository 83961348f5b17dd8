"""What a client raises. Everything derives from `BirdbathError`, so one `except` catches all of it.

A refusal carries the status code and message that the server sent; trouble with the connection names the URL.
"""

from __future__ import annotations

from collections.abc import Sequence

from birdbath.errors import (
    AlreadyExists,
    BirdbathError,
    Incomplete,
    InvalidOffset,
    InvalidTransaction,
    NotJobOwner,
    PermissionDenied,
    StatusCode,
    UnknownCluster,
    UnknownFile,
    UnknownJob,
)

__all__ = [
    "AlreadyExists",
    "BadReply",
    "BirdbathError",
    "ConnectionFailed",
    "Incomplete",
    "InvalidOffset",
    "InvalidTransaction",
    "InvalidValue",
    "NotJobOwner",
    "OperationFailed",
    "PermissionDenied",
    "ServerFault",
    "StatusCode",
    "TransferFailed",
    "UnknownCluster",
    "UnknownFile",
    "UnknownJob",
    "refusal",
]


class OperationFailed(BirdbathError):
    """The server answered FAIL; the text is its reason."""

    code = StatusCode.FAIL


class ServerFault(BirdbathError):
    """The server answered with a SOAP fault: it did not understand the request, or broke down on it."""

    def __init__(self, message: str, faultcode: str | None) -> None:
        super().__init__(message)
        self.faultcode = faultcode


class ConnectionFailed(BirdbathError):
    """No answer: nobody listens at the URL, the connection broke, or the time was up.

    Whether the server carried out the call is not known. After a broken `commitTransaction` look in the
    queue.
    """

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class BadReply(BirdbathError):
    """Something answered at the URL that is not this SOAP service; `http_status` is what it said, if
    anything.
    """

    def __init__(self, message: str, url: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.url = url
        self.http_status = http_status


class TransferFailed(BirdbathError):
    """A file could not be carried over whole, for a reason other than a refusal."""


class InvalidValue(BirdbathError, ValueError):
    """An argument cannot be sent; nothing was sent."""


_BY_CODE: dict[StatusCode, type[BirdbathError]] = {
    StatusCode.FAIL: OperationFailed,
    StatusCode.INVALIDTRANSACTION: InvalidTransaction,
    StatusCode.UNKNOWNCLUSTER: UnknownCluster,
    StatusCode.UNKNOWNJOB: UnknownJob,
    StatusCode.UNKNOWNFILE: UnknownFile,
    StatusCode.INVALIDOFFSET: InvalidOffset,
    StatusCode.ALREADYEXISTS: AlreadyExists,
}

# These two are FAIL on the wire; their texts are literal in every version (reference section 3).
_BY_MESSAGE: dict[str, type[BirdbathError]] = {
    "Permission denied": PermissionDenied,
    "Not job owner": NotJobOwner,
}


def refusal(code: StatusCode, message: str | None, missing: Sequence[str] = ()) -> BirdbathError:
    """The error for a status other than SUCCESS; `missing` are the names that came with INCOMPLETE."""
    if code is StatusCode.INCOMPLETE:
        return Incomplete(list(missing))
    text = message or f"The server refused and gave no reason ({code.name})"
    kind = _BY_MESSAGE.get(text) if code is StatusCode.FAIL else None
    return (kind or _BY_CODE[code])(text)
