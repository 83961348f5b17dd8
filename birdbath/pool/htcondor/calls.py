"""What worker processes do with HTCondor's bindings: one function for each thing the gateway asks for.

Runs in a worker only. Arguments and results are plain values that can be pickled; ads are texts.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import htcondor2

from birdbath.classads import Ad
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.connection import Connection, PoolRefused, PoolUnreachable
from birdbath.pool.htcondor.printing import joined, printed
from birdbath.pool.htcondor.reading import Reader
from birdbath.pool.htcondor.requests import Submission

T = TypeVar("T")

_OUT_OF_REACH = (
    "CEDAR:",
    "SECMAN:",
    "connect",
    "Communication",
    "communication",
    "not found",
    "locate",
    "timed out",
    "DCSchedd",
)
_SPOOLED_WITHIN = 10.0
_TAKEN_WITHIN = 10.0
_LOOK_AGAIN = 0.02
_SURE_FOR = 2.0
"""Seconds after a submission for which the schedd is taken to be where it was."""


@dataclass(frozen=True)
class Acted:
    """What became of an action on one job, as the schedd counted it."""

    done: bool
    found: bool
    permitted: bool


def _history(constraint: str, match: int, schedd: Any) -> list[Any]:
    return list(schedd.history(constraint, [], match))


class Session:
    """The schedd and the collector of one pool, looked up when first needed and after they failed."""

    def __init__(self, connection: Connection, gateway: str) -> None:
        _configure(connection)
        self._connection = connection
        self._reader = Reader(gateway, connection.schedd, connection.address)
        self._schedd: Any = None
        self._address: Any = None
        self._prepared_at = -_SURE_FOR

    def start_over(self) -> None:
        """Look the schedd up again when it is next needed."""
        self._schedd = None

    # The schedd

    def query_jobs(
        self, constraint: str, projection: Sequence[str], limit: int
    ) -> list[tuple[int, int, str]]:
        """Cluster and proc, as clients know them, and the ad as JSON, of the jobs that the schedd's own
        constraint selects. Of a gateway's own job the projection, if any, has to tell that.
        """
        ads = self._asked(lambda schedd: schedd.query(constraint, list(projection), limit=limit))
        read = self._reader.job
        return [(*self._reader.job_id(ad), read(ad.printOld())) for ad in ads]

    def list_jobs(self, constraint: str, limit: int, server_time: int) -> tuple[int, bytes]:
        """How many jobs the schedd's own constraint selects, `limit` at most, and these as elements."""
        ads = self._asked(lambda schedd: schedd.query(constraint, [], limit=limit))
        return len(ads), joined(ads, self._reader.job_element, server_time)

    def job_ids(self, constraint: str) -> list[tuple[int, int, int]]:
        """ClusterId and ProcId of the jobs that the schedd's own constraint selects, and the cluster as their
        clients know it, in that order.
        """
        ads = self._asked(lambda schedd: schedd.query(constraint, list(names.IDS)))
        return [(ad["ClusterId"], ad["ProcId"], self._reader.job_id(ad)[0]) for ad in ads]

    def query_history(
        self, constraint: str, before: tuple[int, int] | None, most: int
    ) -> list[tuple[int, int, str]] | None:
        """(cluster, proc, ad as JSON) of at most `most` jobs in the schedd's history, the newest first, with
        the ids that clients know: of those that follow the job `before`, if it is given. None when that is
        not there.
        """
        match = most + 1
        while True:
            ads = self._asked(partial(_history, constraint, match))
            ids = [self._reader.job_id(ad) for ad in ads]
            start = 0 if before is None else ids.index(before) + 1 if before in ids else None
            if len(ads) < match or (start is not None and len(ads) - start >= most):
                break
            match *= 4  # the history is read from its end, whatever was read before
        if start is None:
            return None
        chosen = range(start, min(len(ads), start + most))
        return [(*ids[index], self._reader.job(ads[index].printOld())) for index in chosen]

    def prepare(self, submissions: Sequence[Submission]) -> list[int]:
        """Queue clusters with their files, all guarded; their ids in the schedd. One that fails leaves the
        others, for `undo`.
        """
        schedd = self._connected()
        if time.monotonic() - self._prepared_at > _SURE_FOR:
            schedd = self._asked(_present)
        results = [self._submit(schedd, submission) for submission in submissions]
        for result in results:
            _told(schedd.spool, result)
        self._prepared_at = time.monotonic()
        return [int(result.cluster()) for result in results]

    def _submit(self, schedd: Any, submission: Submission) -> Any:
        commands = dict(submission.commands)
        if submission.pool_program:
            folder = _told(htcondor2.RemoteParam, self._address).get("BIN")
            commands["MY.Cmd"] = _quoted(f"{folder}/{submission.pool_program}")
        description = htcondor2.Submit(commands)
        result = _told(schedd.submit, description, itemdata=iter(submission.rows), spool=True)
        if sys.version_info < (3, 12):  # the bindings drop a reference to None that they do not have
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
        if result.num_procs() != submission.procs or result.first_proc() != 0:
            raise PoolRefused(f"The schedd queued {result.num_procs()} of {submission.procs} jobs")
        return result

    def decide(self, constraint: str) -> None:
        """Let the guarded jobs that the constraint selects be seen and run."""
        try:
            _told(self._connected().edit, constraint, names.COMMITTED, "true")
        except PoolRefused:
            # None may be left, removed meanwhile; which the schedd calls an error.
            undecided = f"({constraint}) && {names.COMMITTED} =!= true"
            if self._asked(lambda schedd: schedd.query(undecided, ["ProcId"], limit=1)):
                raise

    def release_waiting(self, constraint: str) -> None:
        """Release jobs that were on hold until their commit was decided, once their files are in place."""
        spooling = f"({constraint}) && JobStatus == 5 && HoldReasonCode =?= {names.SPOOLING}"
        self._wait_while_there_is(spooling)
        if self._asked(lambda schedd: schedd.query(constraint, ["ProcId"], limit=1)):
            schedd = self._connected()
            held = f"({constraint}) && JobStatus == 5"
            _told(schedd.act, htcondor2.JobAction.Release, held, ("The transaction was committed", 0))
            _told(schedd.edit, constraint, names.WAITS, "false")

    def _wait_while_there_is(self, constraint: str) -> None:
        end = time.monotonic() + _SPOOLED_WITHIN
        while self._asked(lambda schedd: schedd.query(constraint, ["ProcId"], limit=1)):
            if time.monotonic() > end:
                raise PoolUnreachable("The schedd has not put the job's files in place yet")
            time.sleep(_LOOK_AGAIN)

    def undo(self, constraint: str) -> None:
        """Take guarded jobs out of the queue, whatever they say about leaving it."""
        undecided = f"({constraint}) && {names.COMMITTED} =!= true"
        if self._asked(lambda schedd: schedd.query(undecided, ["ProcId"], limit=1)):
            schedd = self._connected()
            _told(schedd.edit, undecided, "LeaveJobInQueue", "false")
            for action in (htcondor2.JobAction.Remove, htcondor2.JobAction.RemoveX):
                _told(schedd.act, action, undecided, ("The transaction was not committed", 0))

    def act(
        self, action: str, job: str, reason: str, email: tuple[bool, bool] = (False, False), counts: str = ""
    ) -> Acted:
        """Do one of the JobActions to a job, `cluster.proc`, once the schedd has its files in place.

        `email` is whether to mail the user, and the administrator: the event log tells, if it shows MAIL.
        `counts` is an attribute that counts it, which the schedd would not.
        """
        former = self._wait_for_files(job)
        wish = names.mail_wish(action, _one_line(reason), *email)
        if wish or former.startswith(f"{action} "):
            self.edit(job, {names.MAIL: _quoted(wish)})
        done = self._act(action, job, reason)
        if done.done and counts:
            for ad in self._asked(lambda schedd: schedd.query(_by_id(job), [counts])):
                self.edit(job, {counts: str(int(ad.get(counts, 0)) + 1)})
        if action == "Remove" and not done.done and done.found and done.permitted:
            # Removed already: the contract lets the reason be given again.
            self.edit(job, {"RemoveReason": _quoted(reason)})
            return Acted(True, True, True)
        return done

    def force_removal(self, job: str, reason: str) -> Acted:
        """Take a job out of the queue, whatever its LeaveJobInQueue says and wherever it runs."""
        if not self._exists(job):
            return Acted(False, False, True)
        self.edit(job, {"LeaveJobInQueue": "false"})
        self._act("Remove", job, reason)
        self._act("RemoveX", job, reason)
        return Acted(True, True, True)

    def edit(self, job: str, values: dict[str, str], in_place: bool = False) -> bool:
        """Set attributes of a job to values in the job queue's syntax, if wanted once its files are in place,
        which changes some of them; whether there is such a job.
        """
        if in_place:
            self._wait_for_files(job)
        if not self._exists(job):
            return False
        for name, text in values.items():
            _told(self._connected().edit, [job], name, text)
        return True

    def collect(self, job: str) -> tuple[bool, bool]:
        """Set FilesRetrieved of a job; whether there is one, and whether it leaves the queue by that."""
        if not self.edit(job, {"FilesRetrieved": "true"}):
            return False, False
        wanted = ["JobStatus", "LeaveJobInQueue", "FilesRetrieved", "CompletionDate", "EnteredCurrentStatus"]
        ads = self._asked(lambda schedd: schedd.query(_by_id(job), wanted))
        return True, not ads or (
            ads[0].get("JobStatus") in (3, 4) and ads[0].eval("LeaveJobInQueue") is not True
        )

    def state(self, job: str) -> tuple[int, int, int] | None:
        """JobStatus, EnteredCurrentStatus and DiskUsage in bytes of a job, or None."""
        wanted = ["JobStatus", "EnteredCurrentStatus", "DiskUsage"]
        for ad in self._asked(lambda schedd: schedd.query(_by_id(job), wanted)):
            disk = ad.get("DiskUsage")
            size = disk * 1024 if isinstance(disk, int) else 0
            return int(ad["JobStatus"]), int(ad.get("EnteredCurrentStatus", 0)), size
        return None

    def fetch(self, job: str, folder: str) -> None:
        """Bring what the job has written into `folder`, which the job's ad has to name."""
        wanted = [f"SUBMIT_{name}" for name in ("Iwd", "Out", "Err", "TransferOutputRemaps")]
        for ad in self._asked(lambda schedd: schedd.query(_by_id(job), [*wanted, "TransferOutputRemaps"])):
            # The bindings evaluate what they find there.
            told = [ad.eval(name) for name in (*wanted[1:], "TransferOutputRemaps") if name in ad]
            if ad.get("SUBMIT_Iwd") != folder or any("/" in text for text in told if isinstance(text, str)):
                raise PoolRefused("The job's ad was changed: its files would be put elsewhere")
            _told(self._connected().retrieve, [job])

    def reschedule(self) -> None:
        """Ask for a negotiation cycle."""
        _told(self._connected().reschedule)

    def software(self) -> tuple[str, str]:
        """CondorVersion and CondorPlatform of the schedd, as it told the collector."""
        self._connected()
        return str(self._address.get("CondorVersion", "")), str(self._address.get("CondorPlatform", ""))

    def domains(self) -> tuple[str, str]:
        """TRUST_DOMAIN and UID_DOMAIN of the schedd."""
        self._connected()
        told = _told(htcondor2.RemoteParam, self._address)
        return str(told.get("TRUST_DOMAIN") or ""), str(told.get("UID_DOMAIN") or "")

    def ping(self) -> str:
        """As whom the schedd knows the gateway."""
        self._connected()
        return str(_told(htcondor2.ping, self._address, "WRITE").get("MyRemoteUserName", ""))

    # The collector

    def query_ads(self, kind: str, constraint: str, projection: Sequence[str] = ()) -> list[str]:
        """Ads of one of the AdTypes, as JSON."""
        ads = self._ads(kind, constraint, projection)
        return [self._reader.daemon(printed(ad)) for ad in ads]

    def list_ads(
        self, kind: str, constraint: str, most: int, server_time: int
    ) -> tuple[int, bytes] | list[str | None]:
        """The same as elements, and how many; of more than `most`, their names."""
        found = [ad.get("Name") for ad in self._ads(kind, constraint, ["Name"])]
        if len(found) > most:
            return found
        ads = self._ads(kind, constraint)
        return len(ads), joined(ads, self._reader.daemon_element, server_time)

    def list_named(self, kind: str, constraint: str, server_time: int) -> tuple[int, bytes]:
        """The same, of a constraint that selects few enough."""
        ads = self._ads(kind, constraint)
        return len(ads), joined(ads, self._reader.daemon_element, server_time)

    def _ads(self, kind: str, constraint: str, projection: Sequence[str] = ()) -> Any:
        return _told(self._collector().query, getattr(htcondor2.AdType, kind), constraint, list(projection))

    def advertise(self, ad: str, command: str) -> None:
        """Send an ad, JSON as `classads.Ad` keeps it, with one of the collector's commands."""
        _told(self._collector().advertise, [Ad.from_json(ad).compiled()], command)

    def insert_ad(self, ad: str, command: str, kind: str, constraint: str) -> None:
        """Send an ad and wait until the collector has it, which does not answer: the ad is there when the
        constraint selects one of that AdType.
        """
        self.advertise(ad, command)
        collector, ad_type = self._collector(), getattr(htcondor2.AdType, kind)
        end = time.monotonic() + _TAKEN_WITHIN
        while not _told(collector.query, ad_type, constraint, [names.KEY]):
            if time.monotonic() > end:
                raise PoolRefused("The collector did not take the ad")
            time.sleep(_LOOK_AGAIN)

    # Parts

    def _collector(self) -> Any:
        return htcondor2.Collector(self._connection.collector)

    def _connected(self) -> Any:
        if self._schedd is None:
            self._address = _located(self._collector(), self._connection.schedd)
            self._schedd = htcondor2.Schedd(self._address)
        return self._schedd

    def _asked(self, question: Callable[[Any], T]) -> T:
        """Ask something that may be asked twice: a schedd that was restarted has another address."""
        try:
            return _told(question, self._connected())
        except PoolUnreachable:
            self._schedd = None
            return _told(question, self._connected())

    def _act(self, action: str, job: str, reason: str) -> Acted:
        # The bindings put quotes around the reason of a hold, and lose one that has its own.
        text = _escaped(reason) if action == "Hold" else _one_line(reason)
        totals = _told(self._connected().act, getattr(htcondor2.JobAction, action), [job], (text, 0))
        counts = dict(totals)
        return Acted(
            counts.get("TotalSuccess", 0) > 0,
            counts.get("TotalNotFound", 0) == 0,
            counts.get("TotalPermissionDenied", 0) == 0,
        )

    def _exists(self, job: str) -> bool:
        return bool(self._asked(lambda schedd: schedd.query(_by_id(job), ["ProcId"])))

    def _wait_for_files(self, job: str) -> str:
        """The schedd releases a job when its files are in place, also one that was held again meanwhile.

        Returns what MAIL says in the job's ad.
        """
        wanted = ["JobStatus", "HoldReasonCode", names.MAIL]
        end = time.monotonic() + _SPOOLED_WITHIN
        while True:
            found = self._asked(lambda schedd: schedd.query(_by_id(job), wanted))
            if not found:
                return ""
            if (found[0].get("JobStatus"), found[0].get("HoldReasonCode")) != (5, names.SPOOLING):
                return str(found[0].get(names.MAIL) or "")
            if time.monotonic() > end:
                raise PoolUnreachable("The schedd has not put the job's files in place yet")
            time.sleep(_LOOK_AGAIN)


def _present(schedd: Any) -> Any:
    """The schedd, which answers."""
    schedd.query("false", ["ProcId"], limit=1)
    return schedd


def _by_id(job: str) -> str:
    cluster, _, proc = job.partition(".")
    return f"ClusterId == {cluster} && ProcId == {proc}"


def _configure(connection: Connection) -> None:
    for name, text in connection.parameters.items():
        htcondor2.param[name] = text
    htcondor2.set_subsystem("TOOL", htcondor2.SubsystemType.Tool)


def _located(collector: Any, name: str | None) -> Any:
    """The ad of the schedd; not one that a client of a gateway inserted, to be asked in its place."""
    wanted = f"{names.KEY} =?= undefined"
    if name is not None:
        wanted += f" && Name == {_quoted(name)}"
    found = _told(collector.query, htcondor2.AdType.Schedd, wanted)
    if not found:
        raise PoolUnreachable(f"The collector knows no schedd{'' if name is None else f' {name}'}")
    return found[0]


def _told(function: Callable[..., T], /, *arguments: Any, **named: Any) -> T:
    """Call into the bindings, their errors told apart: out of reach, or refused."""
    try:
        return function(*arguments, **named)
    except htcondor2.HTCondorException as error:
        text = _one_line(str(error))
        if any(word in text for word in _OUT_OF_REACH) and "SCHEDD:" not in text:
            raise PoolUnreachable(text) from None
        raise PoolRefused(text) from None
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise PoolRefused(_one_line(str(error))) from None


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def _escaped(text: str) -> str:
    """As it stands between quotes."""
    return _one_line(text).replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, however that comes."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:
        os._exit(1)
