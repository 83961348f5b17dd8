"""A job's arguments and environment, from either syntax that HTCondor has for them."""

from __future__ import annotations

import re

from birdbath.classads import Ad

_V2_PIECE = re.compile(r"'((?:[^']|'')*)'|([^\s']+)|(\s+)")


class UnbalancedQuotes(ValueError):
    """A quoted section does not end."""


def split_v2(text: str) -> list[str]:
    """V2 raw syntax: blanks separate, single quotes group, a doubled one in a group is one. Raises
    UnbalancedQuotes.
    """
    words: list[str] = []
    current: str | None = None
    position = 0
    while position < len(text):
        match = _V2_PIECE.match(text, position)
        if match is None:
            raise UnbalancedQuotes(f"Unbalanced single quote in {text[:80]!r}")
        position = match.end()
        if match[3] is None:
            current = (current or "") + (match[2] if match[1] is None else match[1].replace("''", "'"))
        elif current is not None:
            words.append(current)
            current = None
    return words if current is None else [*words, current]


def arguments(ad: Ad) -> list[str]:
    """The program's arguments: Arguments (V2) if there, else Args (V1, split at blanks). Raises
    UnbalancedQuotes.
    """
    if "Arguments" in ad:
        return split_v2(ad.string("Arguments"))
    return ad.string("Args").split()


def environment(ad: Ad) -> dict[str, str]:
    """The job's own variables: Environment (V2) if there, else Env (V1). Raises UnbalancedQuotes."""
    entries = split_v2(ad.string("Environment")) if "Environment" in ad else ad.string("Env").split(";")
    return {
        name: value
        for name, separator, value in (entry.partition("=") for entry in entries)
        if separator and name
    }
