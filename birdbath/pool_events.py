"""The event log of a real pool, taken over into the server's own: with the ids that clients know.

Each event and the place after it become durable together, so none is lost or comes twice. The pool's log has
to tell whose job an event is of, EVENT_LOG_JOB_AD_INFORMATION_ATTRS = Owner, BirdbathGateway, BirdbathJob,
and for the mail that an action asked for BirdbathMail, NotifyUser, Cmd. A record in it that is no event is
logged and passed over.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import orjson
from sqlalchemy import bindparam, select, update

from birdbath.classads import Ad, Scalar
from birdbath.events import EventType, JobEvent
from birdbath.events.logs import UnreadableLog, read_events
from birdbath.events.reading import event_time
from birdbath.notify.log_files import LogFile, LoggedBytes, Place, say_passed_over
from birdbath.pool.base import JobAction, JobId
from birdbath.pool.htcondor.jobs import ACTIONS
from birdbath.pool.htcondor.journal import Journal
from birdbath.pool.htcondor.names import GATEWAY, JOB, MAIL, SPOOLING, wished_mail
from birdbath.store.event_log import append_all
from birdbath.store.tables import htcondor_pools
from birdbath.store.unit_of_work import UnitOfWork
from birdbath.values import Expression

_log = logging.getLogger(__name__)

_APART = 16
"""Within so many events after an event its information stands, unless the pool is busy."""
_FURTHEST = 200
"""The same of a busy pool, which may be at it still as long as the event is new."""
_NEW = 30.0
"""Seconds."""

_SET_BY_THE_LOG = frozenset({"mytype", "eventtypenumber", "cluster", "proc", "subproc", "eventtime"})
_PLACE = select(htcondor_pools.c.event_place).where(htcondor_pools.c.pool == bindparam("of_pool"))
_SAVE = (
    update(htcondor_pools)
    .where(htcondor_pools.c.pool == bindparam("of_pool"))
    .values(event_place=bindparam("place"))
)


class PoolEvents:
    """Takes over one log. `read` belongs into a thread, `keep` into a unit of work."""

    def __init__(self, log: Path, pool: str, gateway: str, journal: Journal) -> None:
        self._gateway = gateway
        self._path = log
        self._pool = pool
        self._journal = journal
        self._tells = False
        self._trouble = ""

    def place(self, unit: UnitOfWork) -> Place:
        """Up to where the log was taken over."""
        row = unit.first(_PLACE, {"of_pool": self._pool})
        return Place() if row is None or row.event_place is None else Place(**orjson.loads(row.event_place))

    def read(self, place: Place) -> tuple[list[JobEvent], Place]:
        """The next events, as far as it is known whose they are, and the place after them. A log that cannot
        be read has none; the trouble is logged when it begins, for this is called several times a second.
        """
        file = LogFile(self._path, place)
        found: list[LoggedBytes] = []
        try:
            found = file.read()
            found += file.read(_FURTHEST)  # information of the last ones, where the log was rotated before it
            self._trouble = ""
        except (OSError, UnreadableLog) as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                _log.warning("The event log cannot be read: %s", error)
        finally:
            file.close()
        ads: list[Ad | UnreadableLog] = []
        for form, ones in groupby(found, key=lambda one: one.form):
            ads += read_events([one.data for one in ones], form)
        return self._translated(found, ads, place)

    def keep(self, unit: UnitOfWork, events: Sequence[JobEvent], place: Place) -> None:
        """Append events, and note the place."""
        append_all(unit, events)
        unit.execute(_SAVE, {"of_pool": self._pool, "place": orjson.dumps(vars(place)).decode()})

    def _translated(
        self, found: Sequence[LoggedBytes], read: Sequence[Ad | UnreadableLog], place: Place
    ) -> tuple[list[JobEvent], Place]:
        events: list[JobEvent] = []
        undecided = bool(self._journal.undecided())
        ads = [Ad() if isinstance(ad, UnreadableLog) else ad for ad in read]
        for number, (one, ad) in enumerate(zip(found, ads, strict=True)):
            if isinstance(reason := read[number], UnreadableLog):
                say_passed_over(self._path, one, reason)
                place = one.after
                continue
            if not _is_of_a_job(ad) or _is_of_spooling(ad):
                place = one.after
                continue
            information = self._information(ad, ads[number + 1 : number + 1 + _FURTHEST])
            if information is None:
                break
            is_own = information.string(GATEWAY) == self._gateway
            job = self._job(ad, information.string(JOB) if is_own else "")
            if job is None and is_own and undecided:
                break  # it becomes known with the commit
            if job is not None:
                events.append(_event(ad, job, information, is_own))
            place = one.after
        return events, place

    def _information(self, ad: Ad, following: Sequence[Ad]) -> Ad | None:
        """What the log tells of an event's job; None while that may be still to come.

        The schedd and the shadows write an event and its information with a lock each, so others' events, and
        a rotation, come between. A log that has told of nothing yet may not be one that tells.
        """
        wanted = _trigger(ad)
        for other in following:
            if _is_information(other):
                self._tells = True
                if all(other.integer(name, -1) == value for name, value in wanted.items()):
                    return other
        most = _FURTHEST if _is_new(ad) else _APART
        return Ad() if len(following) >= most or (following and not self._tells) else None

    def _job(self, ad: Ad, own: str) -> JobId | None:
        """The job that an event is of; None for one whose commit was not, or is not yet, decided."""
        job = JobId(ad.integer("Cluster"), ad.integer("Proc"))
        if not own:
            return job
        cluster, _, proc = own.partition(".")
        if not (cluster.isdecimal() and proc.isdecimal()):
            return None
        known = JobId(int(cluster), int(proc))
        first = self._journal.place(known.cluster)
        if first is None or job != JobId(first.cluster, first.proc + known.proc):
            return None
        return known


def _trigger(ad: Ad) -> dict[str, int]:
    """What information that belongs to an event has."""
    job = {name: ad.integer(name) for name in ("Cluster", "Proc")}
    return {**job, "TriggerEventTypeNumber": ad.integer("EventTypeNumber")}


def _is_new(ad: Ad) -> bool:
    return abs(time.time() - event_time(ad)) < _NEW


def _is_information(ad: Ad) -> bool:
    return ad.integer("EventTypeNumber", -1) == EventType.JOB_AD_INFORMATION


def _is_of_spooling(ad: Ad) -> bool:
    """The schedd holds a job until it has put its files in place; to its client it is idle meanwhile."""
    kind = ad.integer("EventTypeNumber", -1)
    if kind == EventType.JOB_HELD:
        return ad.integer("HoldReasonCode") == SPOOLING
    return kind == EventType.JOB_RELEASED and ad.string("Reason") == "Data files spooled"


def _is_of_a_job(ad: Ad) -> bool:
    known = ad.integer("EventTypeNumber", -1) in EventType.__members__.values()
    return known and not _is_information(ad) and ad.integer("Cluster", -1) > 0 and ad.integer("Proc", -1) >= 0


_ACTIONS = {
    EventType.JOB_HELD: (JobAction.HOLD, "HoldReason"),
    EventType.JOB_RELEASED: (JobAction.RELEASE, "Reason"),
}
# From the first blank only: looked for from each of many, it would take minutes.
_BY_GATEWAY = re.compile(r"(?<!\s)\s*+\(by user [^()]*+\)\Z")


def _mail(ad: Ad, information: Ad) -> dict[str, Scalar | Expression]:
    """Whom to mail about an event, if the gateway's action that led to it said so, and what of."""
    wish = information.string(MAIL)
    action, reason = _ACTIONS.get(EventType(ad.integer("EventTypeNumber")), (None, ""))
    if not wish or action is None:
        return {}
    wished = wished_mail(wish, ACTIONS[action], _BY_GATEWAY.sub("", ad.string(reason)))
    told = {name: information.string(name) for name in ("NotifyUser", "Cmd") if information.string(name)}
    return {**wished, **told} if wished else {}


def _event(ad: Ad, job: JobId, information: Ad, is_own: bool) -> JobEvent:
    """The event as the server's own log has it; `information` is what the pool's tells of its job. For mail
    about jobs that are not its own their gateway is asked, and sends it.
    """
    fields: dict[str, Scalar | Expression] = {}
    for name, kind, text in ad:
        if name.lower() not in _SET_BY_THE_LOG:
            value = ad.get(name)
            fields[name] = Expression(text) if value is None or kind == "x" else value
    if is_own:
        fields |= _mail(ad, information)
    owner = information.string("Owner")
    return JobEvent(
        EventType(ad.integer("EventTypeNumber")), job.cluster, job.proc, owner, event_time(ad), fields
    )
