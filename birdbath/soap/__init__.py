"""The wire: Spyne types and services, the WSDL, the protocol. No logic.

`SoapServer` answers requests, `wsdl` describes the services, `operations` says what the services call.
"""

from birdbath.soap.bounds import USUAL, Bounds
from birdbath.soap.faults import new_reference
from birdbath.soap.operations import Backend, Operations
from birdbath.soap.security import UsernameToken
from birdbath.soap.server import Call, Reply, SoapServer, arriving, refusal
from birdbath.soap.wsdl import ServiceName, wsdl

__all__ = [
    "USUAL",
    "Backend",
    "Bounds",
    "Call",
    "Operations",
    "Reply",
    "ServiceName",
    "SoapServer",
    "UsernameToken",
    "arriving",
    "new_reference",
    "refusal",
    "wsdl",
]
