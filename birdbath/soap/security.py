"""WS-Security UsernameToken (OASIS 1.0 and 1.1): who says so in the SOAP header that he is somebody."""

from __future__ import annotations

from typing import Final, NamedTuple

from birdbath.soap.envelope import Element
from birdbath.soap.faults import ClientFault

_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_SECEXT: Final = f"{{{_WSS}-wssecurity-secext-1.0.xsd}}"
_UTILITY: Final = f"{{{_WSS}-wssecurity-utility-1.0.xsd}}"
_TOKEN: Final = f"{_SECEXT}UsernameToken"
_USERNAME: Final = f"{_SECEXT}Username"
_PASSWORD: Final = f"{_SECEXT}Password"
_NONCE: Final = f"{_SECEXT}Nonce"
_CREATED: Final = f"{_UTILITY}Created"
_PARTS: Final = frozenset({_USERNAME, _PASSWORD, _NONCE, _CREATED})
_DIGEST: Final = "#PasswordDigest"
_MAX_TEXT: Final = 1024


class UsernameToken(NamedTuple):
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
    for token in security:
        if token.tag == _TOKEN:
            return _read(token)
    return None


def _read(token: Element) -> UsernameToken:
    # Looked through once: five searches would take longer than all else that a digest costs.
    texts: dict[str, str] = {}
    is_digest = False
    for part in token:
        tag = part.tag
        if tag not in _PARTS:
            continue
        text = part.text or ""
        if tag in texts or len(text) > _MAX_TEXT:
            raise ClientFault("The UsernameToken is not well-formed")
        texts[tag] = text
        if tag == _PASSWORD:
            is_digest = part.get("Type", "").endswith(_DIGEST)
    found = texts.get
    return UsernameToken(
        found(_USERNAME, "").strip(),
        found(_PASSWORD, ""),
        is_digest,
        found(_NONCE, "").strip(),
        found(_CREATED, "").strip(),
    )
