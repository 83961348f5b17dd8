"""Cluster ids in the federation: which pool one belongs to, and what it is called there.

The last two digits tell the pool. Its own number of every pool, 1 to 99, is kept for good; a job that was
submitted to the pool itself is called `100 * ClusterId + number`. Ids that end in 00 are the federation's
own: it gives them to clients before it is known which pool will run the job, and keeps what becomes of them.
"""

from __future__ import annotations

from typing import Final

from birdbath.errors import BirdbathError

_NUMBERS: Final = 100
MOST_POOLS: Final = _NUMBERS - 1
LARGEST: Final = (2**31 - 1) // _NUMBERS
"""The largest cluster id of a pool that the federation can show: ids are 32-bit integers on the wire."""


def own_id(count: int) -> int:
    """The federation's own cluster id of this count."""
    if count > LARGEST:
        raise BirdbathError("The federation has given out all cluster ids that there are")
    return count * _NUMBERS


def shown_id(cluster: int, number: int) -> int:
    """What a pool's own cluster is called in the federation; ids past LARGEST are called 0."""
    return cluster * _NUMBERS + number if 0 < cluster <= LARGEST else 0


def split(cluster: int) -> tuple[int, int]:
    """The pool's own cluster id and the number of the pool, which is 0 for the federation's own ids."""
    return divmod(cluster, _NUMBERS)
