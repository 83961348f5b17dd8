"""Every error that a caller is told about, each with the StatusCode it is answered with.

The text of an error is the status message on the wire (reference sections 2.1 and 3). Errors of the SOAP
layer itself, which have no status, derive from `RequestFault`.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class StatusCode(enum.IntEnum):
    """The contract's status codes; names and numbers are those of the WSDL (reference section 2.1)."""

    SUCCESS = 0
    FAIL = 1
    INVALIDTRANSACTION = 2
    UNKNOWNCLUSTER = 3
    UNKNOWNJOB = 4
    UNKNOWNFILE = 5
    INCOMPLETE = 6
    INVALIDOFFSET = 7
    ALREADYEXISTS = 8


class BirdbathError(Exception):
    """An operation was refused; nothing was changed unless the operation's own contract says otherwise."""

    code: ClassVar[StatusCode] = StatusCode.FAIL


class InvalidTransaction(BirdbathError):
    """The transaction is missing, unknown, ended or expired."""

    code = StatusCode.INVALIDTRANSACTION

    def __init__(self, message: str = "Invalid transaction") -> None:
        super().__init__(message)


class PermissionDenied(BirdbathError):
    """The caller may not do this."""

    def __init__(self, message: str = "Permission denied") -> None:
        super().__init__(message)


class NotJobOwner(BirdbathError):
    """The job belongs to somebody else."""

    def __init__(self, message: str = "Not job owner") -> None:
        super().__init__(message)


class UnknownCluster(BirdbathError):
    """No such cluster."""

    code = StatusCode.UNKNOWNCLUSTER


class UnknownJob(BirdbathError):
    """No such job, or not a job of this transaction."""

    code = StatusCode.UNKNOWNJOB


class UnknownFile(BirdbathError):
    """No such file in the job's sandbox (only with strict status codes; else plain FAIL)."""

    code = StatusCode.UNKNOWNFILE


class Incomplete(BirdbathError):
    """Declared files have not fully arrived or do not have the declared hash (only with strict checks)."""

    code = StatusCode.INCOMPLETE

    def __init__(self, missing: list[str]) -> None:
        super().__init__("Files are missing, short or damaged: " + ", ".join(missing))
        self.missing = missing


class InvalidOffset(BirdbathError):
    """The offset lies outside of what is allowed (only with strict status codes; else plain FAIL)."""

    code = StatusCode.INVALIDOFFSET


class AlreadyExists(BirdbathError):
    """The name was declared before in this transaction."""

    code = StatusCode.ALREADYEXISTS


class InvalidArguments(BirdbathError):
    """The arguments of a job template cannot be parsed; `ads` is the template without them."""

    def __init__(self, message: str, ads: object) -> None:
        super().__init__(message)
        self.ads = ads


class InvalidAd(BirdbathError):
    """An ad, attribute or expression cannot be accepted as given."""


class RequestFault(BirdbathError):
    """Answered as a SOAP Client fault with HTTP status 500 instead of a status."""


class WrongJobStatus(BirdbathError):
    """The job is in a state that does not allow this."""


class Unavailable(RequestFault):
    """Nothing is wrong with the request, but it cannot be answered now: a SOAP Server fault."""
