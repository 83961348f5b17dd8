"""What must be true of a home folder whose server is dead, read from the database file and the spool
themselves.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.crash.client import difference
from tests.crash.journal import JobRecord, Journal, Outcome, Submission
from tests.crash.wire import Value

SUBMIT, TERMINATED, HELD = 0, 5, 12
COMPLETED = 4
_TYPES = {
    "s": "STRING-ATTR",
    "n": "INTEGER-ATTR",
    "b": "BOOLEAN-ATTR",
    "x": "EXPRESSION-ATTR",
    "f": "FLOAT-ATTR",
}

JobKey = tuple[int, int]


def age_leases(home: Path, seconds: float) -> None:
    """As if the server had been away for so long."""
    with closing(_open(home)) as database, database:
        database.execute("UPDATE transactions SET expires_at = expires_at - ?", (seconds,))


def open_leases(home: Path) -> int:
    """How many transactions are open whose lease is short."""
    with closing(_open(home)) as database:
        return _number(database, "SELECT count(*) FROM transactions WHERE duration < 60")


def audit(home: Path, journals: Iterable[Journal]) -> list[str]:
    """Every violation found. Server and clients must be at rest, and no lease run out since."""
    journals = list(journals)
    with closing(_open(home)) as database:
        state = _State(home, database)
        return [
            *_integrity(database),
            *_events(database, state),
            *_staging(database, journals),
            *_ids(database, journals),
            *(wrong for journal in journals for s in journal.submissions for wrong in _submission(state, s)),
        ]


class _State:
    """The committed jobs, their events and their sandboxes."""

    def __init__(self, home: Path, database: sqlite3.Connection) -> None:
        self.spool = home / "spool"
        rows = database.execute("SELECT cluster_id, proc_id, in_queue, ad FROM jobs").fetchall()
        self.ads: dict[JobKey, dict[str, Value]] = {(c, p): _ad(ad) for c, p, _, ad in rows}
        self.queued: set[JobKey] = {(c, p) for c, p, in_queue, _ in rows if in_queue}
        self.procs: dict[int, set[int]] = {}
        for cluster, proc in self.ads:
            self.procs.setdefault(cluster, set()).add(proc)
        counted = database.execute("SELECT cluster_id, proc_id, type, count(*) FROM events GROUP BY 1, 2, 3")
        self.events = {(c, p, kind): number for c, p, kind, number in counted}

    def sandbox(self, cluster: int, proc: int) -> Path:
        return self.spool / f"{cluster % 10000}/{proc % 10000}/cluster{cluster}.proc{proc}.subproc0"

    def file(self, job: JobRecord, name: str) -> bytes:
        try:
            return (self.sandbox(job.cluster, job.proc) / name).read_bytes()
        except FileNotFoundError:
            return b""


def _open(home: Path) -> sqlite3.Connection:
    return sqlite3.connect(home / "birdbath.db")


def _number(database: sqlite3.Connection, query: str) -> int:
    return int(database.execute(query).fetchone()[0] or 0)


def _ad(text: str) -> dict[str, Value]:
    return {name: (_TYPES.get(kind, kind), value) for name, kind, value in json.loads(text)}


def _integrity(database: sqlite3.Connection) -> list[str]:
    (found,) = database.execute("PRAGMA integrity_check").fetchone()
    return [] if found == "ok" else [f"database: {found}"]


def _events(database: sqlite3.Connection, state: _State) -> list[str]:
    wrong = []
    count, first, last = database.execute(
        "SELECT count(*), min(sequence), max(sequence) FROM events"
    ).fetchone()
    counter = _number(database, "SELECT value FROM counters WHERE name = 'event'")
    if count and (first, last) != (1, count):
        wrong.append(f"{count} events are numbered {first} to {last}")
    if counter != count:
        wrong.append(f"the event counter says {counter}, there are {count} events")
    submits = Counter({(c, p): n for (c, p, kind), n in state.events.items() if kind == SUBMIT})
    if submits != Counter(dict.fromkeys(state.ads, 1)):
        odd = {job: n for job, n in submits.items() if n != 1 or job not in state.ads}
        wrong.append(f"submit events: {odd}, none for {sorted(set(state.ads) - set(submits))}")
    for job, ad in state.ads.items():
        terminated = state.events.get((*job, TERMINATED), 0)
        if terminated != (ad["JobStatus"][1] == str(COMPLETED)):
            wrong.append(f"job {job} has status {ad['JobStatus'][1]} and {terminated} events of its end")
    return wrong


def _staging(database: sqlite3.Connection, journals: list[Journal]) -> list[str]:
    """Leftovers of ended transactions, and transactions that nobody can have begun."""
    wrong = []
    for table in ("staged_clusters", "staged_jobs", "staged_actions"):
        orphans = f"SELECT count(*) FROM {table} WHERE transaction_id NOT IN (SELECT id FROM transactions)"
        if found := _number(database, orphans):
            wrong.append(f"{found} rows of ended transactions in {table}")
    orphans = (
        "SELECT count(*) FROM staged_files WHERE cluster_id NOT IN (SELECT cluster_id FROM staged_clusters)"
    )
    if found := _number(database, orphans):
        wrong.append(f"{found} rows of ended transactions in staged_files")
    both = "SELECT count(*) FROM staged_clusters WHERE cluster_id IN (SELECT cluster_id FROM jobs)"
    if found := _number(database, both):
        wrong.append(f"{found} clusters are committed and staged at once")
    open_now = {row[0] for row in database.execute("SELECT id FROM transactions")}
    known = {s.transaction for journal in journals for s in journal.submissions}
    lost = sum(journal.lost_begins for journal in journals)
    if len(open_now - known) > lost:
        wrong.append(f"{len(open_now - known)} transactions that nobody began, {lost} replies lost")
    ended = {s.transaction for j in journals for s in j.submissions if s.outcome is not Outcome.OPEN}
    if open_now & ended:
        wrong.append(f"ended transactions are open: {sorted(open_now & ended)}")
    return wrong


def _ids(database: sqlite3.Connection, journals: list[Journal]) -> list[str]:
    clusters = Counter(c.id for journal in journals for s in journal.submissions for c in s.clusters)
    wrong = [
        f"cluster id {cluster} was given {count} times" for cluster, count in clusters.items() if count > 1
    ]
    counter = _number(database, "SELECT value FROM counters WHERE name = 'cluster'")
    if clusters and max(clusters) > counter:
        wrong.append(f"cluster {max(clusters)} was given, the counter says {counter}")
    version = _number(database, "SELECT value FROM counters WHERE name = 'version'")
    if _number(database, "SELECT max(version) FROM jobs") > version:
        wrong.append("a job has a version that was not given yet")
    queued = "SELECT cluster_id, proc_id FROM jobs WHERE in_queue"
    simulated = "SELECT cluster_id, proc_id FROM simulated_jobs"
    for one, other in ((queued, simulated), (simulated, queued)):
        if found := database.execute(f"{one} EXCEPT {other}").fetchall():
            wrong.append(f"half of a job: {found} from {one}")
    return wrong


def _submission(state: _State, submission: Submission) -> list[str]:
    if submission.outcome is Outcome.COMMITTED:
        return [wrong for wrong in _committed(state, submission) if wrong]
    return [
        f"cluster {cluster.id} of a transaction that was {submission.outcome.value} is in the queue"
        for cluster in submission.clusters
        if cluster.id in state.procs
    ]


def _committed(state: _State, submission: Submission) -> Iterable[str | None]:
    for cluster in submission.clusters:
        yield cluster.difference(state.procs.get(cluster.id, set()))
        for job in cluster.jobs:
            ad = state.ads.get((job.cluster, job.proc))
            if ad is not None:
                yield from _job(state, job, ad)


def _job(state: _State, job: JobRecord, ad: dict[str, Any]) -> Iterable[str | None]:
    yield difference(job, ad)
    if (job.cluster, job.proc) not in state.queued:
        yield f"job {job} left the queue"
    for file in job.files:
        damage = file.damage(state.file(job, file.name))
        yield damage and f"job {job}: {damage}"
    holds = state.events.get((job.cluster, job.proc, HELD), 0)
    if job.status is not None and not job.holds <= holds <= job.holds + job.maybe_holds:
        yield f"job {job} has {holds} held events for {job.holds} holds and {job.maybe_holds} unknown"
    if job.status is None and ad["JobStatus"][1] == str(COMPLETED):
        output = state.file(job, "job.out")
        yield None if output == job.files[0].content() else f"job {job}: its output differs from its input"


def unswept(home: Path) -> list[str]:
    """Sandboxes that belong to no job, neither queued nor staged."""
    with closing(_open(home)) as database:
        queries = (
            "SELECT cluster_id, proc_id FROM jobs WHERE in_queue",
            "SELECT cluster_id, proc_id FROM staged_jobs",
        )
        wanted = {f"cluster{c}.proc{p}.subproc0" for query in queries for c, p in database.execute(query)}
    # os.walk does not mind that the server deletes what it is about to look into.
    found = {
        name for _, folders, _ in os.walk(home / "spool") for name in folders if name.startswith("cluster")
    }
    return sorted(found - wanted)
