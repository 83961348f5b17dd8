"""`python -m tests.guard.soak --hours 1`: mixed load on a server whose pool runs fast; what may not grow.

Submissions with files, listings, holds, aborted transactions, refused calls and collected jobs, for so many
hours of the pool's time. After each round: descriptors, threads, memory, rows of what should come and go.
"""

from __future__ import annotations

import argparse
import http.client
import re
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.server_process import ServerProcess, running_server
from tests.soap.wire import call

SPEED = 120.0
JOBS_A_ROUND = 5


@dataclass(frozen=True)
class Sample:
    """What a server holds: descriptors, threads, memory in KiB, and rows."""

    descriptors: int
    threads: int
    memory: int
    transactions: int
    staged: int
    queued: int


class Load:
    """One client with a kept connection."""

    def __init__(self, server: ServerProcess, home: Path) -> None:
        address = urlsplit(server.url)
        self._server = server
        self._home = home
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def ask(self, name: str, children: str = "") -> str:
        self._connection.request("POST", "/", call(name, children), {"Content-Type": "text/xml"})
        return self._connection.getresponse().read().decode()

    def number(self, name: str, children: str = "") -> int:
        found = re.search(r"<(?:integer|id)>(\d+)", self.ask(name, children))
        assert found is not None, name
        return int(found[1])

    def transaction(self) -> str:
        number = self.number("beginTransaction", "<duration>600</duration>")
        return f"<transaction><id>{number}</id><duration>600</duration></transaction>"

    def submit(self) -> int:
        """A job with a file; its cluster."""
        txn = self.transaction()
        cluster = self.number("newCluster", txn)
        self.ask("newJob", f"{txn}<clusterId>{cluster}</clusterId>")
        job = f"{txn}<clusterId>{cluster}</clusterId><jobId>0</jobId>"
        self.ask("declareFile", f"{job}<name>in</name><size>3000</size>")
        self.ask("sendFile", f"{job}<name>in</name><offset>0</offset><data>{'QUJD' * 1000}</data>")
        texts = {"Owner": "soaker", "Cmd": "/bin/sleep", "Arguments": "30", "Out": "out"}
        items = "".join(
            f"<item><name>{name}</name><type>STRING-ATTR</type><value>{value}</value></item>"
            for name, value in texts.items()
        )
        items += "<item><name>JobUniverse</name><type>INTEGER-ATTR</type><value>5</value></item>"
        assert "SUCCESS" in self.ask("submit", f"{job}<jobAd>{items}</jobAd>")
        assert "SUCCESS" in self.ask("commitTransaction", txn)
        return cluster

    def round(self) -> None:
        """Some of everything; at its end nothing is left that is not meant to be."""
        clusters = [self.submit() for _ in range(JOBS_A_ROUND)]
        aborted = self.transaction()
        self.ask("newCluster", aborted)
        self.ask("abortTransaction", aborted)
        first = f"<clusterId>{clusters[0]}</clusterId><jobId>0</jobId>"
        self.ask("holdJob", first)
        self.ask("getJobAds", '<constraint>Owner == "soaker"</constraint>')
        self.ask("getJobAds", "<constraint>((</constraint>")
        self.ask("releaseJob", first)
        self.ask("queryStartdAds")
        self.ask("nothingLikeThis")
        for cluster in clusters:
            job = f"<clusterId>{cluster}</clusterId><jobId>0</jobId>"
            self.ask("getFile", f"{job}<name>in</name><offset>0</offset><length>3000</length>")
            self.ask("listSpool", job)
            self.ask("removeJob", f"{job}<force-removal>true</force-removal>")
            self.ask("closeSpool", job)

    def sample(self) -> Sample:
        process = Path(f"/proc/{self._server.process.pid}")
        status = (process / "status").read_text()
        with closing(sqlite3.connect(f"file:{self._home / 'birdbath.db'}?mode=ro", uri=True)) as database:
            rows = [
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("transactions", "staged_jobs", "jobs WHERE in_queue = 1")
            ]
        numbers = [int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("Threads", "VmRSS")]  # type: ignore[index]
        return Sample(len(list((process / "fd").iterdir())), *numbers, *rows)

    def close(self) -> None:
        self._connection.close()


def soak(home: Path, seconds: float) -> list[Sample]:
    """A sample after each round, for so many seconds of the pool's time."""
    samples = []
    with (
        running_server(home, environment={"BIRDBATH_SPEED": str(SPEED)}) as server,
        closing(Load(server, home)) as load,
    ):
        ends = time.monotonic() + seconds / SPEED
        while time.monotonic() < ends:
            load.round()
            samples.append(load.sample())
    return samples


def growth(samples: list[Sample]) -> dict[str, tuple[float, float]]:
    """The median of each figure in the second and in the last quarter: the first is for warming up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: (
            median(getattr(sample, name) for sample in early),
            median(getattr(sample, name) for sample in late),
        )
        for name in Sample.__dataclass_fields__
    }


def check(samples: list[Sample]) -> None:
    """Raise AssertionError when something has grown."""
    told = growth(samples)
    for name, allowance in (("descriptors", 4), ("threads", 4), ("transactions", 0), ("staged", 0)):
        early, late = told[name]
        assert late <= early + allowance, (name, told[name])
    assert told["queued"][1] <= told["queued"][0] + JOBS_A_ROUND, told["queued"]
    assert told["memory"][1] <= 1.10 * told["memory"][0], told["memory"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.guard.soak")
    parser.add_argument("--hours", type=float, default=1.0, help="of the pool's time")
    with tempfile.TemporaryDirectory(prefix="birdbath-soak-") as folder:
        samples = soak(Path(folder), 3600 * parser.parse_args().hours)
    for name, (early, late) in growth(samples).items():
        print(f"{name:<13} {early:>10.0f} -> {late:>10.0f}")
    check(samples)
    print(f"{len(samples)} rounds: nothing grows")


if __name__ == "__main__":
    main()
