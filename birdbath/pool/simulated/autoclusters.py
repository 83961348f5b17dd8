"""Autoclusters: idle jobs that match the same slots are told apart by nothing that matchmaking looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import orjson

from birdbath.classads import Ad, Attribute
from birdbath.pool.simulated.evaluation import closure, words

SUBMIT_MACHINE = "submit-machine"
"""The signature of jobs that run on the submit machine, without a match: scheduler and local universe."""

_JOB_SIDE = ("requirements", "rank", "requestcpus", "requestmemory", "requestdisk", "requestgpus")
_MACHINE_SIDE = ("requirements", "rank", "start")
_LOCAL_UNIVERSES = (7, 12)


class Autoclusters:
    """Computes signatures against the slots of one pool.

    What counts is each job's Requirements, Rank and requests, what the slots' policy expressions mention, and
    all that these refer to in the job's ad.
    """

    def __init__(self, slot_ads: Iterable[Ad]) -> None:
        mentioned: set[str] = set()
        for ad in slot_ads:
            for _, kind, text in closure(ad, _MACHINE_SIDE):
                if kind == "x":
                    mentioned |= words(text)
        self._roots = tuple(sorted(mentioned.union(_JOB_SIDE)))

    def significant(self, ad: Ad) -> list[Attribute]:
        """All of the job's attributes that matchmaking may look at."""
        return closure(ad, self._roots)

    def signature(self, ad: Ad) -> str:
        """At most 24 characters, equal exactly for jobs with equal significant attributes."""
        if ad.integer("JobUniverse") in _LOCAL_UNIVERSES:
            return SUBMIT_MACHINE
        return hashlib.blake2b(orjson.dumps(self.significant(ad)), digest_size=12).hexdigest()
