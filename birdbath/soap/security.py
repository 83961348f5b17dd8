"""WS-Security UsernameToken (OASIS 1.0 and 1.1): who says so in the SOAP header that he is somebody.

The calls of a client have the same header but for its texts. Parsing it takes several times as long as
checking a digest, so a header that was understood once is known by its bytes without the texts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from birdbath.soap.envelope import Element, parse
from birdbath.soap.faults import ClientFault, SoapFault

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

_HEAD_BYTES: Final = 4096
"""Within which a header has to end to be known by its bytes."""
_NAME_END: Final = b":Security>"
_END_TAG = re.compile(rb"</([A-Za-z_][\w.-]*):Security>").search
_ENVELOPE = re.compile(rb"(?:<\?xml [^<>?]*\?>)?\s*<((?:[A-Za-z_][\w.-]*:)?)Envelope[\s>]").match
_TEXTS = re.compile(rb">([ -%%'-;=?-~]{1,%d})</" % _MAX_TEXT).split
_IDENTITIES = re.compile(rb':Id="[\w.-]*"').sub
_GAP: Final = b">\0</"
_MARK: Final = "\xb7"
"""What stands for a text in a frame begins with it; all else there is ASCII."""


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


def cut_token(request: bytes) -> tuple[bytes, UsernameToken | None]:
    """A request without its first Security header, and the UsernameToken of that; or as it is, and None, if
    the token has to be read by parsing.
    """
    if request.find(_NAME_END, 0, _HEAD_BYTES) < 0 or (end := _END_TAG(request, 0, _HEAD_BYTES)) is None:
        return request, None
    head, tag = request[: end.end()], b"<%b:Security" % end[1]
    if not head.isascii() or b"\0" in head or head.count(tag) != 1:
        return request, None
    pieces = _TEXTS(head)  # what is between the texts, and the texts, by turns
    frame = _GAP.join(pieces[::2])
    if b':Id="' in frame:  # another in each call of some toolkits; nothing refers to it
        frame = _IDENTITIES(b':Id=""', frame)
    parts = _parts(frame)
    if parts is None:
        return request, None
    username, password, is_digest, nonce, created = parts
    texts = [*pieces[1::2], b""]
    token = UsernameToken(
        texts[username].decode().strip(),
        texts[password].decode(),
        is_digest,
        texts[nonce].decode().strip(),
        texts[created].decode().strip(),
    )
    return request[: head.index(tag)] + request[end.end() :], token


@lru_cache(maxsize=128)
def _parts(frame: bytes) -> tuple[int, int, bool, int, int] | None:
    """Which of the texts that go into the gaps are the parts of the token, -1 for one that it has not; None
    unless the frame is the beginning of an envelope that ends with its first Security header, and a token.
    """
    envelope = _ENVELOPE(frame)
    if envelope is None or b"<!" in frame or b"<?" in frame[1:] or b"&" in frame:
        return None
    first, *others = frame.decode().split("\0")
    prefix = envelope[1].decode()
    document = "".join((first, *(f"{_MARK}{number}{piece}" for number, piece in enumerate(others))))
    document += f"</{prefix}Header><{prefix}Body><x/></{prefix}Body></{prefix}Envelope>"
    try:
        parsed = parse(document.encode())
        parsed.open(understands_security=True)
        token = None if parsed.security is None else username_token(parsed.security)
    except SoapFault:
        return None
    if token is None:
        return None
    texts = (token.username, token.password, token.nonce, token.created)
    if any(text and not text.startswith(_MARK) for text in texts):
        return None
    username, password, nonce, created = (int(text[1:] or -1) for text in texts)
    return username, password, token.is_digest, nonce, created
