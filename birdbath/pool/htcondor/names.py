"""The gateway's jobs as the schedd has them and as clients see them: attributes, constraints, ids.

A job is known to its client by the ids that it was given before the job existed in the schedd. They stand in
attributes of the job's own ad, so that the schedd itself evaluates what a client asks about them.
"""

from __future__ import annotations

from collections.abc import Iterable

from birdbath.classads import Constraint

GATEWAY = "BirdbathGateway"
"""Which gateway submitted the job: the name that its database has had since it was made."""
CLUSTER = "BirdbathCluster"
PROC = "BirdbathProc"
"""These two are the ids that the client knows; jobs of several clients may share a cluster of the schedd."""
PROCS = "BirdbathProcs"
"""How many jobs the client's cluster was committed with."""
JOB = "BirdbathJob"
"""`cluster.proc` as the client knows them; the pool's event log can show it."""
GLOBAL_ID = "BirdbathGlobalJobId"
COMMIT = "BirdbathCommit"
"""The commit that the job belongs to; no other commit ever has the same."""
COMMITTED = "BirdbathCommitted"
"""TRUE once the commit is decided; before that the job matches no machine, and no client sees it."""
WAITS = "BirdbathWaits"
"""TRUE in a job that does not need to match a machine, and is on hold instead until its commit is decided."""
KEY = "BirdbathKey"
"""Of a daemon ad that a client inserted: the identity by which it is replaced and invalidated."""
INSERTION = "BirdbathInsertion"
"""Of the same: which insertion it came with; no other ever has the same."""
MAIL = "BirdbathMail"
"""Whom to mail about the event of the last action: see `mail_wish`."""
IDS = ("ClusterId", "ProcId", GATEWAY, CLUSTER, PROC)
"""A projection that tells which job it is, in whatever terms."""
OF_ALL = (*IDS, PROCS, GLOBAL_ID, WAITS, "JobStatus", "HoldReasonCode", "MyType", "TargetType")
"""Attributes without which an ad cannot be shown to clients, however few of it they want."""
OWN = frozenset(
    name.lower()
    for name in (
        *(GATEWAY, CLUSTER, PROC, PROCS, JOB, GLOBAL_ID),
        *(COMMIT, COMMITTED, WAITS, KEY, INSERTION, MAIL),
    )
)
"""The attributes above, in lower case: neither taken from clients nor shown to them."""

FIRST_CLUSTER = 1_000_000_000
"""The first cluster id that a gateway gives out. A schedd, which counts from 1, never comes so far: the ids
of jobs that were submitted by other means are always below."""

KEPT = "Birdbath"
"""Stands before the name of a client's own attributes SUBMIT_*, which the schedd uses for itself."""

SPOOLING = 16
"""HoldReasonCode of a job whose files the schedd has not put in place yet."""

_GUARD = f"({COMMITTED} =?= true) && "


def mail_wish(action: str, reason: str, user: bool, admin: bool) -> str:
    """The value of MAIL for an action of the schedd, Hold or Release, with its reason in one line."""
    flags = ",".join(flag for flag, wanted in (("user", user), ("admin", admin)) if wanted)
    return f"{action} {flags} {reason}" if flags else ""


def wished_mail(wish: str, action: str, reason: str) -> dict[str, bool]:
    """The attributes, EmailUser and EmailAdmin, of the event that `action` has led to; of the event of
    another one, with another reason, none.
    """
    wished, _, rest = wish.partition(" ")
    flags, _, why = rest.partition(" ")
    if wished != action or " ".join(reason.split()) != why:
        return {}
    return {f"Email{flag.capitalize()}": True for flag in flags.split(",")}


def kept_name(name: str) -> str:
    """The name under which the schedd keeps a client's attribute."""
    return f"{KEPT}{name}" if name.lower().startswith("submit_") else name


def guarded(requirements: str) -> str:
    """Requirements, as text, that nothing meets before the job's commit is decided."""
    return f"{_GUARD}({requirements})"


def unguarded(text: str) -> str:
    """The requirements that `guarded` was given."""
    if text.startswith(f"{_GUARD}(") and text.endswith(")"):
        return text[len(_GUARD) + 1 : -1]
    return text


class View:
    """The queue of one schedd as the clients of one gateway see it; `gateway` is a name without quotes."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self._is_own = f'{GATEWAY} =?= "{gateway}"'
        waits = f"(HoldReasonCode =?= {SPOOLING} || {WAITS} =?= true && HoldReasonCode =?= undefined)"
        spooling = f"{self._is_own} && JobStatus =?= 5 && {waits}"
        self._references = {
            "clusterid": f"({self._is_own} ? {CLUSTER} : ClusterId)",
            "procid": f"({self._is_own} && {PROC} =!= undefined ? {PROC} : ProcId)",
            "totalsubmitprocs": f"({self._is_own} && {PROCS} =!= undefined ? {PROCS} : TotalSubmitProcs)",
            "globaljobid": f"({self._is_own} ? {GLOBAL_ID} : GlobalJobId)",
            "jobstatus": f"({spooling} ? 1 : JobStatus)",
            "holdreason": f"({spooling} ? undefined : HoldReason)",
            "holdreasoncode": f"({spooling} ? undefined : HoldReasonCode)",
        }
        gone = "FilesRetrieved =?= true && (JobStatus =?= 4 || JobStatus =?= 3) && LeaveJobInQueue =!= true"
        self._visible = f'({GATEWAY} =!= "{gateway}" || ({COMMITTED} =?= true && !({gone})))'

    def constraint(self, wanted: Constraint, now: float) -> str:
        """What to ask the schedd for `wanted`, which is in the clients' terms, at the time `now`."""
        if wanted.selects_all:
            return self._visible
        return f"{self._visible} && ({self._in_pools_terms(wanted, now)})"

    def history(self, wanted: Constraint, now: float, before: tuple[int, int] | None) -> str:
        """What to ask the schedd's history for `wanted`, and for the job `before` in any case."""
        cluster, proc = self._references["clusterid"], self._references["procid"]
        place = "" if before is None else f" || ({cluster} =?= {before[0]} && {proc} =?= {before[1]})"
        committed = f'({GATEWAY} =!= "{self.gateway}" || {COMMITTED} =?= true)'
        return f"{committed} && (({self._in_pools_terms(wanted, now)}){place})"

    def _in_pools_terms(self, wanted: Constraint, now: float) -> str:
        times = dict.fromkeys(("servertime", "currenttime"), str(int(now)))
        references = {**self._references, **times}
        return wanted.rewritten(lambda name: references.get(name.lower()))

    def one(self, cluster: int, proc: int) -> str:
        """What to ask for one job by its ids in the schedd, whoever submitted it, if it is visible."""
        return f"ClusterId == {cluster} && ProcId == {proc} && {self._visible}"

    def cluster(self, cluster: int, own: int) -> str:
        """What to ask for the visible jobs of a cluster by its ids in the schedd and for clients."""
        return f"ClusterId == {cluster} && {self._references['clusterid']} == {own} && {self._visible}"

    def of_commit(self, marker: str) -> str:
        """What to ask for all jobs of a commit, decided or not."""
        return f'{COMMIT} =?= "{marker}" && {self._is_own}'

    def waiting(self, marker: str) -> str:
        """What to ask for jobs of a commit that are on hold because it was not decided."""
        return f"{self.of_commit(marker)} && {WAITS} =?= true"

    def undecided(self, except_of: Iterable[str]) -> str:
        """What to ask for jobs of commits that are neither decided nor among `except_of`."""
        others = "".join(f' && {COMMIT} =!= "{marker}"' for marker in except_of)
        return f"{self._is_own} && {COMMITTED} =!= true{others}"

    @property
    def all_own(self) -> str:
        """What to ask for all of the gateway's jobs, those of undecided commits included."""
        return self._is_own
