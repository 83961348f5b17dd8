"""SOAP faults: what a request that cannot be understood, or an unexpected error, is answered with (reference
1.5)."""

from __future__ import annotations

import random

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Fault

assert spyne_compat.SIX_MOVES

_TEXT_LIMIT = 500
"""Characters of a fault text; parser messages can quote the request at length."""


class SoapFault(Fault):
    """A fault of the wire; `code` is the local name of the SOAP 1.1 fault code."""

    code = "Client"

    def __init__(self, text: str) -> None:
        if len(text) > _TEXT_LIMIT:
            text = text[:_TEXT_LIMIT] + "..."
        super().__init__(self.code, text)
        self.text = text


class ClientFault(SoapFault):
    """The request cannot be understood."""


class VersionMismatch(SoapFault):
    """The envelope is of a SOAP version that nobody knows here."""

    code = "VersionMismatch"


class MustUnderstand(SoapFault):
    """A header entry insists on being understood; none is."""

    code = "MustUnderstand"


class ServerFault(SoapFault):
    """Something unexpected happened; the text tells a reference number and nothing else."""

    code = "Server"


SOAP_12_CODES = {
    "Client": "Sender",
    "Server": "Receiver",
    "VersionMismatch": "VersionMismatch",
    "MustUnderstand": "MustUnderstand",
}


def new_reference() -> str:
    """A number by which people find a request in the log and in the trail. It is no secret, so the operating
    system is not asked for it.
    """
    return f"{random.getrandbits(32):08x}"
