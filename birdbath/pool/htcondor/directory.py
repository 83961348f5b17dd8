"""The ads of a real collector: the Pool contract's AdDirectory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from birdbath.classads import Ad, AdList, AdMemory, AdRecord, Constraint, Expression
from birdbath.errors import BirdbathError, Unavailable
from birdbath.pool.asking import answer
from birdbath.pool.base import AdKind, JobId
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.journal import Journal
from birdbath.pool.htcondor.listing import NAMED, Portions, by_names, joined
from birdbath.pool.htcondor.workers import Call, Workers
from birdbath.pool.identity import MissingKey, identity_key
from birdbath.store.unit_of_work import UnitOfWork

_OTHER_TYPES = [
    *("Machine", "Slot", "StartD", "Scheduler", "DaemonMaster", "Submitter", "Collector", "Negotiator"),
    *("License", "Storage", "HAD", "CkptServer", "Quill"),
]
_LONGEST = 1_000_000_000
"""Seconds that an inserted ad is kept at most. The collector invalidates an ad by saying that it was last
heard from in 1970: one with a lifetime until today would stay."""
_NO_TYPE = "Generic"
"""MyType of an inserted ad that has none: the collector would drop it without a word."""
_NAMES_OF_OTHERS = ",".join(f'"{name}"' for name in _OTHER_TYPES)
_OF_ALL = ("MyType", "TargetType", "Name", "JobId", "GlobalJobId")
"""Attributes by which an ad is told from another, and shown as clients know it."""
_IS_GENERIC = f"!member(MyType, {{{_NAMES_OF_OTHERS}}})"


@dataclass(frozen=True)
class _Table:
    """How the collector calls a kind: its AdType, which of these ads are meant, the MyType of such an ad, and
    the commands to send and to invalidate one.
    """

    ad_type: str
    of_them: str
    my_type: str
    update: str
    invalidation: str


def _own_table(ad_type: str, my_type: str, command: str) -> _Table:
    return _Table(ad_type, "true", my_type, f"UPDATE_{command}_AD", f"INVALIDATE_{command}_ADS")


def _shared_table(my_type: str, of_them: str = "") -> _Table:
    of_them = of_them or f'MyType == "{my_type}"'
    return _Table("Any", of_them, my_type, "UPDATE_AD_GENERIC", "INVALIDATE_ADS_GENERIC")


_TABLES = {
    # The bindings have no AdType for these.
    AdKind.STORAGE: _Table(
        "Any", 'MyType == "Storage"', "Storage", "UPDATE_STORAGE_AD", "INVALIDATE_STORAGE_ADS"
    ),
    AdKind.CKPTSRVR: _shared_table("CkptServer"),
    AdKind.LICENSE: _own_table("License", "License", "LICENSE"),
    AdKind.COLLECTOR: _own_table("Collector", "Collector", "COLLECTOR"),
    AdKind.STARTD: _own_table("Startd", "Machine", "STARTD"),
    AdKind.SCHEDD: _own_table("Schedd", "Scheduler", "SCHEDD"),
    AdKind.MASTER: _own_table("Master", "DaemonMaster", "MASTER"),
    AdKind.SUBMITTOR: _own_table("Submitter", "Submitter", "SUBMITTOR"),
    AdKind.NEGOTIATOR: _own_table("Negotiator", "Negotiator", "NEGOTIATOR"),
    AdKind.QUILL: _shared_table("Quill"),
    AdKind.HAD: _own_table("HAD", "HAD", "HAD"),
    AdKind.GENERIC: _shared_table("", _IS_GENERIC),
}
INVALIDATIONS = frozenset(table.invalidation for table in _TABLES.values())
"""The commands by which a collector forgets ads, of whatever kind."""


class HTCondorDirectory:
    """See `pool.base.AdDirectory` and, for waiting, `HTCondorQueue`.

    The ad of the gateway's schedd says that it has the SOAP interface, and where: at `address`, `host:port`.
    What clients insert goes to the collector with the gateway's name in it.
    """

    def __init__(
        self,
        collector: Workers,
        memory: AdMemory,
        seconds: float,
        gateway: str,
        address: str,
        schedd: str | None,
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._portions = Portions(journal.own_job)
        self._collector = collector
        self._memory = memory
        self._seconds = seconds
        self._gateway = gateway
        self._schedd = schedd
        whose = "" if schedd is None else f' && Name == "{schedd}"'
        is_own = f'MyType == "Scheduler"{whose}'
        self._references = {
            "hassoapinterface": f"({is_own} ? true : HasSOAPInterface)",
            "scheddipaddr": f'({is_own} ? "<{address}>" : ScheddIpAddr)',
        }

    def query(
        self, kinds: Sequence[AdKind], constraint: Constraint, now: float, names: Sequence[str] = ()
    ) -> AdList:
        wanted = self._wanted(constraint, now)
        projection = [*_OF_ALL, *names] if names else []

        def steps() -> Any:
            asked = [self._look(kind, wanted, projection) for kind in kinds]
            found: list[AdRecord] = []
            for kind, future in zip(kinds, asked, strict=True):
                texts = yield future
                found += [self._record(kind, text) for text in texts]
            return found

        try:
            return AdList(answer(("ads", tuple(kinds), constraint.text), steps), int(now))
        except BirdbathError as error:  # the contract has no status here; an empty list would be a lie
            raise Unavailable(str(error)) from None

    def listing(self, kinds: Sequence[AdKind], constraint: Constraint, now: float) -> AdList:
        wanted = self._wanted(constraint, now)

        def steps() -> Any:
            asked = [self._ask("list_ads", *self._selected(kind, wanted), NAMED, int(now)) for kind in kinds]
            found = []
            for kind, future in zip(kinds, asked, strict=True):
                found.append((yield from self._listed(kind, wanted, (yield future), int(now))))
            return joined(found)

        try:
            return AdList([], int(now), written=answer(("listed", tuple(kinds), constraint.text), steps))
        except BirdbathError as error:  # as above
            raise Unavailable(str(error)) from None

    def _listed(self, kind: AdKind, wanted: str, found: Any, now: int) -> Any:
        """Steps to what there is of a kind, `Written`."""
        if isinstance(found, tuple):
            return self._portions.whole(found)
        ad_type, of_them = self._selected(kind, wanted)
        parts = [f"({named}) && ({of_them})" for named in by_names(found) or ["true"]]
        return (
            yield from self._portions.in_parts(
                lambda constraint: self._ask("list_named", ad_type, constraint, now), parts, len(found)
            )
        )

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float) -> bool:
        table = _TABLES[kind]
        sent = Ad(ad)
        if table.my_type:
            sent.set("MyType", table.my_type)
        elif not sent.string("MyType"):
            sent.set("MyType", _NO_TYPE)
        if table.ad_type == "Any" and not sent.string("Name"):  # by which the collector knows these
            sent.set("Name", sent.string("Machine"))
        lifetime = min(_LONGEST, expires_at - time.time())
        sent.set("ClassAdLifetime", max(1, int(lifetime)))
        insertion = secrets.token_hex(8)
        sent.update({names.GATEWAY: self._gateway, names.KEY: key, names.INSERTION: insertion})

        def steps() -> Any:
            inserted = yield self._look(kind, self._inserted(key))
            others = yield self._look(kind, f"{names.KEY} =?= undefined")
            if lifetime > 0:
                arrived = f'{names.INSERTION} =?= "{insertion}"'
                yield self._ask("insert_ad", sent.to_json(), table.update, table.ad_type, arrived)
                if inserted:  # the collector may have other ideas of which ads are the same
                    former = f'{self._inserted(key)} && {names.INSERTION} =!= "{insertion}"'
                    yield from self._invalidation(kind, former)
            else:  # the collector would keep it until it looks for old ads
                yield from self._invalidation(kind, self._inserted(key))
            return not inserted and not any(_key(kind, text) == key for text in others)

        return bool(answer(("insert", kind, key), steps))

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None = None) -> int:
        inserted = self._inserted(key)
        return int(answer(("invalidate", kind, key), lambda: self._invalidation(kind, inserted)))

    def _invalidation(self, kind: AdKind, inserted: str) -> Any:
        """Steps that take away those ads of a kind that a constraint selects; how many there were."""
        table = _TABLES[kind]
        gone = yield self._look(kind, inserted)
        for my_type in sorted({Ad.from_json(text).string("MyType") for text in gone}):
            query = Ad()
            query.update({"MyType": "Query", "TargetType": my_type})
            query.set("Requirements", Expression(f"{table.of_them} && {inserted}"))
            yield self._ask("advertise", query.to_json(), table.invalidation)
        return len(gone)

    def _inserted(self, key: str | None) -> str:
        """What to ask for ads that clients inserted here: the one with this identity, or all."""
        whose = f'{names.GATEWAY} =?= "{self._gateway}"'
        if key is None:
            return whose
        quoted = key.replace('"', '\\"')
        return f'{whose} && {names.KEY} =?= "{quoted}"'

    def _wanted(self, constraint: Constraint, now: float) -> str:
        if constraint.selects_all:
            return "true"
        references = {
            **self._references,
            **dict.fromkeys(("servertime", "currenttime"), str(int(now))),
        }
        return constraint.rewritten(lambda name: references.get(name.lower()))

    def _look(self, kind: AdKind, wanted: str, projection: Sequence[str] = ()) -> Any:
        return self._ask("query_ads", *self._selected(kind, wanted), projection)

    def _selected(self, kind: AdKind, wanted: str) -> tuple[str, str]:
        """The AdType to ask for, and the constraint that selects what is wanted of a kind."""
        table = _TABLES[kind]
        of_them = "" if table.of_them == "true" else f"{table.of_them} && "
        return table.ad_type, f"{of_them}({wanted})"

    def _record(self, kind: AdKind, text: str) -> AdRecord:
        if kind is AdKind.STARTD and '"JobId"' in text:
            text = self._with_own_id(text)
        return AdRecord(text, self._memory)

    def _with_own_id(self, text: str) -> str:
        """A claimed slot names the job by the id that its client knows."""
        ad = Ad.from_json(text)
        cluster, _, proc = ad.string("JobId").partition(".")
        name = ad.string("GlobalJobId").partition("#")[0]
        if not (cluster.isdecimal() and proc.isdecimal()) or self._schedd not in (None, name):
            return text
        own = self._journal.own_job(JobId(int(cluster), int(proc)))
        if own is None:
            return text
        ad.set("JobId", str(own))
        return ad.to_json()

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self._collector.ask(Call(name, arguments, self._seconds))


def _key(kind: AdKind, text: str) -> str | None:
    try:
        return identity_key(kind, Ad.from_json(text))
    except MissingKey:
        return None
