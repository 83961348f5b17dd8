"""WS-Security UsernameToken (OASIS 1.0 and 1.1): who says so in the SOAP header that he is somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from birdbath.soap.envelope import Element
from birdbath.soap.faults import ClientFault

_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_SECEXT: Final = f"{{{_WSS}-wssecurity-secext-1.0.xsd}}"
_UTILITY: Final = f"{{{_WSS}-wssecurity-utility-1.0.xsd}}"
_DIGEST: Final = "#PasswordDigest"
_MAX_TEXT: Final = 1024


@dataclass(frozen=True)
class UsernameToken:
    """A UsernameToken as it came. `password` is the text, or with `is_digest` the digest in base64."""

    username: str
    password: str
    is_digest: bool
    nonce: str
    created: str


def username_token(security: Element) -> UsernameToken | None:
    """The UsernameToken of a Security header, None when it has none; other tokens are not looked at.

    Raises ClientFault when a part is given twice or too long.
    """
    token = security.find(f"{_SECEXT}UsernameToken")
    if token is None:
        return None
    password = token.find(f"{_SECEXT}Password")
    kind = "" if password is None else password.get("Type", "")
    return UsernameToken(
        _text(token, f"{_SECEXT}Username"),
        _text(token, f"{_SECEXT}Password"),
        kind.endswith(_DIGEST),
        _text(token, f"{_SECEXT}Nonce"),
        _text(token, f"{_UTILITY}Created"),
    )


def _text(token: Element, name: str) -> str:
    found = token.findall(name)
    text = (found[0].text or "") if found else ""
    if len(found) > 1 or len(text) > _MAX_TEXT:
        raise ClientFault("The UsernameToken is not well-formed")
    return text.strip() if name != f"{_SECEXT}Password" else text
