"""Autoclusters: idle jobs that match the same slots are told apart by nothing that matchmaking looks at.

A job's lane is its submitter, its schedd and its autocluster: jobs of one lane differ only in their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from birdbath.classads import Ad, Attribute
from birdbath.pool.simulated.evaluation import closure, words

SUBMIT_MACHINE = "submit-machine"
"""The lane of jobs that run on the submit machine, without a match: scheduler and local universe."""

_REQUESTS = ("requestcpus", "requestmemory", "requestdisk", "requestgpus")
_JOB_SIDE = ("requirements", "rank", *_REQUESTS, "concurrencylimits")
_MACHINE_SIDE = ("requirements", "rank", "start")
_LOCAL_UNIVERSES = (7, 12)
NICE = "nice-user."
"""What the names of submitters begin with whose jobs are to leave the slots to all others."""


class Lane(NamedTuple):
    """A lane, taken from its text."""

    submitter: str
    schedd: str
    cluster: str

    @classmethod
    def of(cls, text: str) -> Lane:
        return cls(*text.split("\t"))


class Autoclusters:
    """Computes lanes against the slots of one pool.

    What counts is each job's Requirements, Rank and requests, what the slots' policy expressions mention, and
    all that these refer to in the job's ad.
    """

    def __init__(self, slot_ads: Iterable[Ad], schedds: Sequence[str] = (), uid_domain: str = "") -> None:
        mentioned: set[str] = set()
        for ad in slot_ads:
            for _, kind, text in closure(ad, _MACHINE_SIDE):
                if kind == "x":
                    mentioned |= words(text)
        self._roots = tuple(sorted(mentioned.union(_JOB_SIDE)))
        self._schedds = schedds or ("",)
        self._domain = uid_domain

    @property
    def rule(self) -> str:
        """What the lanes depend on besides the jobs: a lane of another rule has to be computed anew."""
        rule = orjson.dumps([self._roots, self._schedds, self._domain, NICE])
        return hashlib.blake2b(rule).hexdigest()[:32]

    def significant(self, ad: Ad) -> list[Attribute]:
        """All of the job's attributes that matchmaking may look at."""
        return closure(ad, self._roots)

    def cluster(self, ad: Ad) -> str:
        """At most 24 characters, equal exactly for jobs with equal significant attributes."""
        return hashlib.blake2b(orjson.dumps(self.significant(ad)), digest_size=12).hexdigest()

    def lane(self, ad: Ad) -> str:
        """The text of the job's lane."""
        if ad.integer("JobUniverse") in _LOCAL_UNIVERSES:
            return SUBMIT_MACHINE
        named = ad.string("SimSchedd")
        schedd = named if named in self._schedds else self._schedds[0]
        return "\t".join((self.submitter(ad), schedd, self.cluster(ad)))

    def submitter(self, ad: Ad) -> str:
        """Whom the negotiator charges: the accounting group's user, or the owner; for a nice user's jobs
        somebody apart from him.
        """
        group, user = ad.string("AcctGroup"), ad.string("AcctGroupUser") or ad.string("Owner")
        name = ad.string("AccountingGroup") or (f"{group}.{user}" if group else user)
        if ad.get("NiceUser") is True and not name.startswith(NICE):
            name = NICE + name
        return f"{name}@{self._domain}".replace("\t", " ")[:250]
