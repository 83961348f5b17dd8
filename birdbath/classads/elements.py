"""Ads as elements of replies: what is the same whoever writes them (reference sections 1.4 and 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

KIND_NAMES: Final = MappingProxyType(
    {
        "n": "INTEGER-ATTR",
        "f": "FLOAT-ATTR",
        "s": "STRING-ATTR",
        "x": "EXPRESSION-ATTR",
        "b": "BOOLEAN-ATTR",
        "u": "UNDEFINED-ATTR",
        "e": "ERROR-ATTR",
    }
)
"""The schema's name of an attribute's type, by its letter."""
SHOWN_KINDS: Final = frozenset("snfbx")

_SPECIAL = re.compile("[&<>\n\r\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass
class Written:
    """Ads that are elements already, each an `item`: some at once, the others while the reply goes out.

    `size` is about how many bytes they are in all. Each step of `later` gives a future of more of them; one
    that fails breaks the reply off.
    """

    first: bytes
    later: Iterator[Future[bytes]]
    size: int


def escape(text: str) -> str:
    """`text` as element content; characters that XML 1.0 cannot carry become U+FFFD."""
    return escape_allowed(_FORBIDDEN.sub("\ufffd", text)) if _SPECIAL.search(text) else text


def escape_allowed(text: str) -> str:
    """`escape` of a text that has no character which XML cannot carry."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\n", "&#xA;").replace("\r", "&#xD;")


def opening(name: str, kind: str) -> str:
    """What stands before the value of an attribute that follows another one's."""
    return f"</value></item><item><name>{escape(name)}</name><type>{KIND_NAMES[kind]}</type><value>"


def specials(my_type: str, target_type: str, server_time: int) -> str:
    """The three leading attributes of an ad up to the ServerTime value."""
    return (
        f"<item><name>MyType</name><type>STRING-ATTR</type><value>{escape(my_type)}</value></item>"
        f"<item><name>TargetType</name><type>STRING-ATTR</type><value>{escape(target_type)}</value></item>"
        f"<item><name>ServerTime</name><type>INTEGER-ATTR</type><value>{server_time}"
    )
