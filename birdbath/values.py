"""Values of a job ad as those write them who make jobs: the client, and what reads submit descriptions."""

from __future__ import annotations

import math
from enum import IntEnum


class Expression(str):
    """The text of a ClassAd expression, not evaluated. A plain `str` is a string literal instead."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Expression({str.__repr__(self)})"


AdValue = str | int | float | bool | Expression | None
"""A value in an ad. `None` is UNDEFINED."""


class Universe(IntEnum):
    """The kinds of jobs (UniverseType of the contract)."""

    STANDARD = 1
    VANILLA = 5
    SCHEDULER = 7
    MPI = 8
    GRID = 9
    JAVA = 10
    PARALLEL = 11
    LOCAL = 12
    VM = 13


def literal(value: AdValue) -> str:
    """A value in ClassAd text, as `condor_q -long` prints it: in strings only double quotes are escaped."""
    match value:
        case None:
            return "undefined"
        case Expression():
            return str(value)
        case str():
            return '"' + value.replace('"', '\\"') + '"'
        case bool():
            return "true" if value else "false"
        case float():
            return real(value)
        case _:
            return str(int(value))  # int(): an IntEnum counts as its number


def real(value: float) -> str:
    """A real number in ClassAd text; those that are none are calls."""
    if math.isfinite(value):
        return repr(float(value))
    spelled = "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return f'real("{spelled}")'
