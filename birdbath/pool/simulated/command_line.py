"""A job's arguments and environment, from either syntax that HTCondor has for them."""

from __future__ import annotations

from birdbath.classads import Ad
from birdbath.classads.arguments import parse


def arguments(ad: Ad) -> list[str]:
    """The program's arguments: Arguments (V2) if there, else Args (V1, split at blanks). Raises
    UnbalancedQuotes.
    """
    if "Arguments" in ad:
        return parse(ad.string("Arguments"))
    return ad.string("Args").split()


def environment(ad: Ad) -> dict[str, str]:
    """The job's own variables: Environment (V2) if there, else Env (V1). Raises UnbalancedQuotes."""
    entries = parse(ad.string("Environment")) if "Environment" in ad else ad.string("Env").split(";")
    return {
        name: value
        for name, separator, value in (entry.partition("=") for entry in entries)
        if separator and name
    }
