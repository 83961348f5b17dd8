"""Which jobs a command is about: numbers, users and constraints, as one ClassAd expression."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import typer

from birdbath.client import JobId, literal

_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?\Z")


@dataclass(frozen=True)
class Selection:
    """Clusters, single jobs and users named on a command line."""

    clusters: tuple[int, ...]
    jobs: tuple[JobId, ...]
    users: tuple[str, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> Selection:
        """`12` is a cluster, `12.3` a job, anything else a user."""
        clusters, jobs, users = [], [], []
        for word in words:
            if not (number := _NUMBER.match(word)):
                users.append(word)
            elif number[2] is None:
                clusters.append(int(number[1]))
            else:
                jobs.append(JobId(int(number[1]), int(number[2])))
        return cls(tuple(clusters), tuple(jobs), tuple(users))

    def expression(self) -> str | None:
        """True for what was named; None when nothing was."""
        terms = [f"ClusterId == {self.clusters[0]}"] if len(self.clusters) == 1 else []
        if len(self.clusters) > 1:
            terms.append(f"member(ClusterId, {{{', '.join(map(str, self.clusters))}}})")
        procs: dict[int, list[int]] = {}
        for job in self.jobs:
            procs.setdefault(job.cluster, []).append(job.proc)
        terms += [f"ClusterId == {cluster} && {_one_of(found)}" for cluster, found in procs.items()]
        terms += [f"Owner == {literal(user)}" for user in self.users]
        return " || ".join(f"({term})" for term in terms) if len(terms) > 1 else next(iter(terms), None)


def both(left: str | None, right: str | None) -> str | None:
    """True where both are; None is always true."""
    if left and right:
        return f"({left}) && ({right})"
    return left or right


def myself(url: str) -> str:
    """The name under which our own jobs are in the queue of the server at `url`: the account in the URL, or
    the one that we have on this machine.
    """
    if account := urlsplit(url).username:
        return unquote(account)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise typer.BadParameter("this account has no name; set USER") from None


def single_job(word: str) -> JobId:
    """A job written `12.3`, or `12` for the first job of the cluster."""
    number = _NUMBER.match(word)
    if not number:
        raise typer.BadParameter(f"{word!r} is not a job; expected CLUSTER.PROC")
    return JobId(int(number[1]), int(number[2] or 0))


def _one_of(procs: Sequence[int]) -> str:
    if len(procs) == 1:
        return f"ProcId == {procs[0]}"
    return f"member(ProcId, {{{', '.join(map(str, procs))}}})"
