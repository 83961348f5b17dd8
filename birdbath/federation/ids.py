"""Cluster ids in the federation: which pool one belongs to, and what it is called there.

Ids below OTHERS are the federation's own: it gives them to clients before it is known which pool will run the
job, and keeps what becomes of them. A job that was submitted to the pool itself is called
`OTHERS + 100 * ClusterId + number`; every pool has a number, 1 to 99, for good.
"""

from __future__ import annotations

from typing import Final

from birdbath.errors import BirdbathError

OTHERS: Final = 1_000_000_000
_NUMBERS: Final = 100
MOST_POOLS: Final = _NUMBERS - 1
LARGEST: Final = (2**31 - 1 - OTHERS) // _NUMBERS - 1
"""The largest cluster id of a pool that the federation can show: ids are 32-bit integers on the wire."""


def own_id(count: int) -> int:
    """The federation's own cluster id of this count. Raises BirdbathError when there are no more."""
    if count >= OTHERS:
        raise BirdbathError("The federation has given out all cluster ids that there are")
    return count


def shown_id(cluster: int, number: int) -> int:
    """What a pool's own cluster is called in the federation; ids past LARGEST are called 0."""
    return OTHERS + cluster * _NUMBERS + number if 0 < cluster <= LARGEST else 0


def split(cluster: int) -> tuple[int, int]:
    """The pool's own cluster id and the number of the pool, which is 0 for the federation's own ids."""
    return (cluster, 0) if cluster < OTHERS else divmod(cluster - OTHERS, _NUMBERS)
