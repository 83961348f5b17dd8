"""What is asked of the schedd about jobs, and done to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import htcondor2

from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.calls.link import (
    DONE_WITHIN,
    FILES_AWAITED,
    LOOK_AGAIN,
    Link,
    by_id,
    escaped,
    one_line,
    quoted,
    told,
)
from birdbath.pool.htcondor.connection import PoolRefused, PoolUnreachable
from birdbath.pool.htcondor.printing import joined

_GONE_WITHIN = 1.0
"""Seconds within which a job that is removed by force leaves the queue, as a rule."""


@dataclass(frozen=True)
class Acted:
    """What became of an action on one job, as the schedd counted it."""

    done: bool
    found: bool
    permitted: bool


class JobCalls(Link):
    """The calls about jobs."""

    def query_jobs(
        self, constraint: str, projection: Sequence[str], limit: int
    ) -> list[tuple[int, int, str]]:
        """Cluster and proc, as clients know them, and the ad as JSON, of the jobs that the schedd's own
        constraint selects. Of a gateway's own job the projection, if any, has to tell that.
        """
        ads = self.asked(lambda schedd: schedd.query(constraint, list(projection), limit=limit))
        read = self.reader.job
        return [(*self.reader.job_id(ad), read(ad.printOld())) for ad in ads]

    def list_jobs(self, constraint: str, limit: int, server_time: int) -> tuple[int, bytes]:
        """How many jobs the schedd's own constraint selects, `limit` at most, and these as elements."""
        ads = self.asked(lambda schedd: schedd.query(constraint, [], limit=limit))
        return len(ads), joined(ads, self.reader.job_element, server_time)

    def job_ids(self, constraint: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """ClusterId and ProcId of the jobs that the schedd's own constraint selects, the schedd's own and
        those that clients know.
        """
        ads = self.asked(lambda schedd: schedd.query(constraint, list(names.IDS)))
        return [((ad["ClusterId"], ad["ProcId"]), self.reader.job_id(ad)) for ad in ads]

    def query_history(
        self, constraint: str, before: tuple[int, int] | None, most: int
    ) -> list[tuple[int, int, str]] | None:
        """(cluster, proc, ad as JSON) of at most `most` jobs in the schedd's history, the newest first, with
        the ids that clients know: of those that follow the job `before`, if it is given. None when that is
        not there.
        """
        match = most + 1
        while True:
            ads = self.asked(partial(_history, constraint, match))
            ids = [self.reader.job_id(ad) for ad in ads]
            start = 0 if before is None else ids.index(before) + 1 if before in ids else None
            if len(ads) < match or (start is not None and len(ads) - start >= most):
                break
            match *= 4  # the history is read from its end, whatever was read before
        if start is None:
            return None
        chosen = range(start, min(len(ads), start + most))
        return [(*ids[index], self.reader.job(ads[index].printOld())) for index in chosen]

    def act(
        self, action: str, job: str, reason: str, email: tuple[bool, bool] = (False, False), counts: str = ""
    ) -> Acted:
        """Do one of the JobActions to a job, `cluster.proc`, once the schedd has its files in place.

        `email` is whether to mail the user, and the administrator: the event log tells, if it shows MAIL.
        `counts` is an attribute that counts it, which the schedd would not.
        """
        former = self._wait_for_files(job)
        wish = names.mail_wish(action, one_line(reason), *email)
        if wish or former.startswith(f"{action} "):
            self.edit(job, {names.MAIL: quoted(wish)})
        done = self._act(action, job, reason)
        if done.done and counts:
            for ad in self.asked(lambda schedd: schedd.query(by_id(job), [counts])):
                self.edit(job, {counts: str(int(ad.get(counts, 0)) + 1)})
        if action == "Remove" and not done.done and done.found and done.permitted:
            # Removed already: the contract lets the reason be given again.
            self.edit(job, {"RemoveReason": quoted(reason)})
            return Acted(True, True, True)
        return done

    def force_removal(self, job: str, reason: str) -> Acted:
        """Take a job out of the queue, whatever its LeaveJobInQueue says and wherever it runs."""
        if not self.is_there(by_id(job)):
            return Acted(False, False, True)
        self.edit(job, {"LeaveJobInQueue": "false"})
        self._act("Remove", job, reason)
        self._act("RemoveX", job, reason)
        end = time.monotonic() + _GONE_WITHIN
        while self.is_there(by_id(job)) and time.monotonic() < end:  # it goes after the schedd's answer
            time.sleep(LOOK_AGAIN)
        return Acted(True, True, True)

    def edit(self, job: str, values: dict[str, str], in_place: bool = False) -> bool:
        """Set attributes of a job to values in the job queue's syntax, if wanted once its files are in place,
        which changes some of them; whether there is such a job.
        """
        if in_place:
            self._wait_for_files(job)
        if not self.is_there(by_id(job)):
            return False
        for name, text in values.items():
            told(self.connected().edit, [job], name, text)
        return True

    def collect(self, job: str) -> tuple[bool, bool]:
        """Set FilesRetrieved of a job; whether there is one, and whether it leaves the queue by that."""
        if not self.edit(job, {"FilesRetrieved": "true"}):
            return False, False
        wanted = ["JobStatus", "LeaveJobInQueue", "FilesRetrieved", "CompletionDate", "EnteredCurrentStatus"]
        ads = self.asked(lambda schedd: schedd.query(by_id(job), wanted))
        return True, not ads or (
            ads[0].get("JobStatus") in (3, 4) and ads[0].eval("LeaveJobInQueue") is not True
        )

    def state(self, job: str) -> tuple[int, int, int] | None:
        """JobStatus, EnteredCurrentStatus and DiskUsage in bytes of a job, or None."""
        wanted = ["JobStatus", "EnteredCurrentStatus", "DiskUsage"]
        for ad in self.asked(lambda schedd: schedd.query(by_id(job), wanted)):
            disk = ad.get("DiskUsage")
            size = disk * 1024 if isinstance(disk, int) else 0
            return int(ad["JobStatus"]), int(ad.get("EnteredCurrentStatus", 0)), size
        return None

    def fetch(self, job: str, folder: str) -> None:
        """Bring what the job has written into `folder`, which the job's ad has to name."""
        wanted = [f"SUBMIT_{name}" for name in ("Iwd", "Out", "Err", "TransferOutputRemaps")]
        for ad in self.asked(lambda schedd: schedd.query(by_id(job), [*wanted, "TransferOutputRemaps"])):
            # The bindings evaluate what they find there.
            paths = [ad.eval(name) for name in (*wanted[1:], "TransferOutputRemaps") if name in ad]
            if ad.get("SUBMIT_Iwd") != folder or any("/" in text for text in paths if isinstance(text, str)):
                raise PoolRefused("The job's ad was changed: its files would be put elsewhere")
            schedd = self.connected()
            self._transferring()
            told(schedd.retrieve, [job])

    def reschedule(self) -> None:
        """Ask for a negotiation cycle."""
        told(self.connected().reschedule)

    def _act(self, action: str, job: str, reason: str) -> Acted:
        # The bindings put quotes around the reason of a hold, and lose one that has its own.
        text = escaped(reason) if action == "Hold" else one_line(reason)
        totals = told(self.connected().act, getattr(htcondor2.JobAction, action), [job], (text, 0))
        counts = dict(totals)
        return Acted(
            counts.get("TotalSuccess", 0) > 0,
            counts.get("TotalNotFound", 0) == 0,
            counts.get("TotalPermissionDenied", 0) == 0,
        )

    def _wait_for_files(self, job: str) -> str:
        """The schedd releases a job when its files are in place, also one that was held again meanwhile.

        Returns what MAIL says in the job's ad.
        """
        wanted = ["JobStatus", "HoldReasonCode", names.MAIL]
        end = time.monotonic() + DONE_WITHIN
        while True:
            found = self.asked(lambda schedd: schedd.query(by_id(job), wanted))
            if not found:
                return ""
            if (found[0].get("JobStatus"), found[0].get("HoldReasonCode")) != (5, names.SPOOLING):
                return str(found[0].get(names.MAIL) or "")
            if time.monotonic() > end:
                raise PoolUnreachable(FILES_AWAITED)
            time.sleep(LOOK_AGAIN)


def _history(constraint: str, match: int, schedd: Any) -> list[Any]:
    return list(schedd.history(constraint, [], match))
