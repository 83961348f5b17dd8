"""What a server holds at a moment when it has nothing to do, and whether that stays the same."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

GROWING = ("events",)
"""Tables that grow by design: events until there are `event_max_rows`. (So do jobs that have left the queue,
which are not counted at all.)
"""
MORE_DESCRIPTORS = 8
MORE_THREADS = 4
MORE_MEMORY = 16 * 1024 * 1024
"""Room for what a cache, a pool of threads or of database connections takes once.

Full they are only after thousands of jobs: SQLite's pages (4 MiB a connection, as the database grows), and
the expressions that are remembered, of which every constraint that names a cluster is another (8,192 of
them, less than a kilobyte each). With room for 64 of those, objects and SQLite's memory stay the same from
the thousandth job on; what remains are the gaps of malloc.
"""


@dataclass(frozen=True)
class Vitals:
    """`memory` is in bytes, what is the process's own of the resident set; `rows` by table, of jobs those in
    the queue; `directories` are the spool's.

    Not in `memory` is what is mapped of files: of the database it grows with the jobs that are kept, belongs
    to the kernel's cache, and is taken back when memory is needed.
    """

    descriptors: int
    threads: int
    memory: int
    rows: dict[str, int]
    directories: int

    def __str__(self) -> str:
        rows = ", ".join(f"{name} {count}" for name, count in self.rows.items() if count)
        return (
            f"{self.descriptors} descriptors, {self.threads} threads, {self.memory / 2**20:.1f} MB,"
            f" {self.directories} spool directories, rows: {rows}"
        )


def take(pid: int, home: Path) -> Vitals:
    """Of the server with this process id and home folder."""
    status = Path(f"/proc/{pid}/status").read_text()
    return Vitals(
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(re.findall(r"Threads:\s+(\d+)", status)[0]),
        int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) * 1024,
        _rows(home / "birdbath.db"),
        sum(1 for path in (home / "spool").rglob("*.subproc0") if path.is_dir()),
    )


def _rows(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counts = {}
        for table in sorted(tables):
            condition = " WHERE in_queue" if table == "jobs" else ""
            counts[table] = connection.execute(f"SELECT count(*) FROM {table}{condition}").fetchone()[0]
        return counts


def growth(samples: Sequence[Vitals]) -> list[str]:
    """What grew between the second lap and the last; empty when all is flat.

    Memory is compared by the least of the second quarter and of the second half: the first quarter fills
    caches, and what the collector is about to free is no growth.
    """
    first, last = samples[1], samples[-1]
    middle = len(samples) // 2
    warm = max(1, len(samples) // 4)
    early, late = (min(s.memory for s in part) for part in (samples[warm : middle + 1], samples[middle:]))
    found = []
    if last.descriptors > first.descriptors + MORE_DESCRIPTORS:
        found.append(f"descriptors: {first.descriptors} to {last.descriptors}")
    if last.threads > first.threads + MORE_THREADS:
        found.append(f"threads: {first.threads} to {last.threads}")
    if late > early + MORE_MEMORY:
        found.append(f"memory: {early} to {late}")
    if last.directories > first.directories:
        found.append(f"spool directories: {first.directories} to {last.directories}")
    for table, count in last.rows.items():
        if table not in GROWING and count > first.rows[table]:
            found.append(f"rows of {table}: {first.rows[table]} to {count}")
    return found
