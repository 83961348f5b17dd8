"""From the outcome of an operation to the bytes of its response, by the type the contract says it returns.

The tables of reference sections 1.4 and 2.2 in code: which elements are omitted, which are empty, which
integers are always there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pybase64

from birdbath.classads import AdList
from birdbath.classads.elements import escape
from birdbath.errors import BirdbathError, Incomplete, InvalidArguments, StatusCode
from birdbath.schedd import FileInfo, Transaction
from birdbath.soap.faults import SOAP_12_CODES, SoapFault
from birdbath.soap.writing import ad_chunks, element, single_ad

Writer = Callable[["Outcome"], list[bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to: a status, and the value that goes with it, if any."""

    value: Any = None
    code: StatusCode = StatusCode.SUCCESS
    message: str | None = "Success"

    @classmethod
    def refused(cls, error: BirdbathError) -> Outcome:
        """The outcome of an operation that raised `error`; two errors carry a value that is answered all the
        same."""
        value: object = None
        if isinstance(error, Incomplete):
            value = error.missing
        elif isinstance(error, InvalidArguments):
            value = error.ads
        return cls(value, error.code, str(error))


def status_text(outcome: Outcome) -> str:
    """The children of a Status."""
    return f"<code>{outcome.code.name}</code>{element('message', outcome.message)}"


def _with_status(outcome: Outcome, rest: str) -> list[bytes]:
    return [f"<status>{status_text(outcome)}</status>{rest}".encode()]


def status(outcome: Outcome) -> list[bytes]:
    """Status."""
    return [status_text(outcome).encode()]


def string_and_status(outcome: Outcome) -> list[bytes]:
    """StringAndStatus."""
    return _with_status(outcome, element("message", outcome.value))


def int_and_status(outcome: Outcome) -> list[bytes]:
    """IntAndStatus: the integer is always there."""
    return _with_status(outcome, f"<integer>{outcome.value or 0}</integer>")


def transaction_and_status(outcome: Outcome) -> list[bytes]:
    """TransactionAndStatus: both integers are always there."""
    txn: Transaction = outcome.value or Transaction(0, 0)
    numbers = f"<id>{txn.id}</id><duration>{txn.duration}</duration>"
    return _with_status(outcome, f"<transaction>{numbers}</transaction>")


def requirements_and_status(outcome: Outcome) -> list[bytes]:
    """RequirementsAndStatus: none is omitted, an empty list is an empty element."""
    names: Sequence[str] | None = outcome.value
    if names is None:
        return _with_status(outcome, "")
    items = "".join(element("item", name) for name in names)
    return _with_status(outcome, f"<requirements>{items}</requirements>")


def base64_data_and_status(outcome: Outcome) -> list[bytes]:
    """Base64DataAndStatus, without line breaks."""
    chunks = _with_status(outcome, "")
    if outcome.value is not None:
        chunks += [b"<data>", pybase64.b64encode(outcome.value), b"</data>"]
    return chunks


def file_info_array_and_status(outcome: Outcome) -> list[bytes]:
    """FileInfoArrayAndStatus: an empty list is omitted."""
    files: Sequence[FileInfo] | None = outcome.value
    if not files:
        return _with_status(outcome, "")
    items = "".join(f"<item><name>{escape(f.name)}</name><size>{f.size}</size></item>" for f in files)
    return _with_status(outcome, f"<info>{items}</info>")


def ad_and_status(outcome: Outcome) -> list[bytes]:
    """ClassAdStructAndStatus."""
    ads: AdList | None = outcome.value
    return _with_status(outcome, "") + (single_ad(ads) if ads is not None else [])


def ads_and_status(outcome: Outcome) -> list[bytes]:
    """ClassAdStructArrayAndStatus: an empty list is an empty element."""
    ads: AdList | None = outcome.value
    if ads is None:
        return _with_status(outcome, "")
    return [*_with_status(outcome, "<classAdArray>"), *ad_chunks(ads), b"</classAdArray>"]


def ads(outcome: Outcome) -> list[bytes]:
    """ClassAdStructArray of the collector: no status, so a failure is an empty list."""
    return [] if outcome.value is None else ad_chunks(outcome.value)


WRITERS: Final[dict[str, Writer]] = {
    "Status": status,
    "StringAndStatus": string_and_status,
    "IntAndStatus": int_and_status,
    "TransactionAndStatus": transaction_and_status,
    "RequirementsAndStatus": requirements_and_status,
    "Base64DataAndStatus": base64_data_and_status,
    "FileInfoArrayAndStatus": file_info_array_and_status,
    "ClassAdStructAndStatus": ad_and_status,
    "ClassAdStructArrayAndStatus": ads_and_status,
    "ClassAdStructArray": ads,
}


# ---------------------------------------------------------------- faults


def fault(error: SoapFault) -> bytes:
    """A SOAP 1.1 Fault element."""
    return (
        f"<SOAP-ENV:Fault><faultcode>SOAP-ENV:{error.code}</faultcode>"
        f"<faultstring>{escape(error.text)}</faultstring></SOAP-ENV:Fault>"
    ).encode()


def fault_12(error: SoapFault) -> bytes:
    """A SOAP 1.2 Fault element."""
    return (
        f"<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:{SOAP_12_CODES[error.code]}</SOAP-ENV:Value>"
        f'</SOAP-ENV:Code><SOAP-ENV:Reason><SOAP-ENV:Text xml:lang="en">{escape(error.text)}</SOAP-ENV:Text>'
        "</SOAP-ENV:Reason></SOAP-ENV:Fault>"
    ).encode()
