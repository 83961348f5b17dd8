"""Ads of the bindings as the lines that `reading` reads. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from birdbath.pool.htcondor.reading import BREAK


def joined(ads: list[Any], element: Callable[[str, int], str], server_time: int) -> bytes:
    """The ads as elements; each is let go as soon as it is one."""
    ads.reverse()
    found = []
    while ads:
        found.append(element(printed(ads.pop()), server_time))
    return "".join(found).encode()


def printed(ad: Any) -> str:
    """The ad, a line for each attribute: line breaks within strings, which the old syntax does not escape,
    would let the rest of the string pass for an attribute.
    """
    text: str = ad.printOld()
    if text.count("\n") == len(ad):
        return text
    lines = []
    for name in ad:
        alone = type(ad)()
        alone[name] = ad.lookup(name)
        lines.append(alone.printOld().removesuffix("\n").replace("\n", BREAK))
    return "\n".join(lines)
