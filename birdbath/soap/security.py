"""WS-Security UsernameToken (OASIS 1.0 and 1.1): who says so in the SOAP header that he is somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    # Looked through once: five searches would take longer than all else that a digest costs.
    token = next((child for child in security if child.tag == _TOKEN), None)
    if token is None:
        return None
    texts = {_USERNAME: "", _PASSWORD: "", _NONCE: "", _CREATED: ""}
    seen: set[str] = set()
    is_digest = False
    for child in token:
        tag = child.tag
        if tag not in texts:
            continue
        text = child.text or ""
        if tag in seen or len(text) > _MAX_TEXT:
            raise ClientFault("The UsernameToken is not well-formed")
        seen.add(tag)
        texts[tag] = text
        is_digest = is_digest or (tag == _PASSWORD and child.get("Type", "").endswith(_DIGEST))
    return UsernameToken(
        texts[_USERNAME].strip(),
        texts[_PASSWORD],
        is_digest,
        texts[_NONCE].strip(),
        texts[_CREATED].strip(),
    )
