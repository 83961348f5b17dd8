"""A campaign: one home folder, several clients, many lives; then the audit. Everything random follows from
the seed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from birdbath.store.crash_points import CRASH_POINTS
from tests.crash import audit
from tests.crash.client import Client
from tests.crash.journal import Journal, Outcome
from tests.crash.lives import Lives, Plan

CLIENTS = 4
_OUTAGE = 100_000.0
_PATIENCE = 60.0


@dataclass
class Report:
    """What a campaign came to. `violations` must be empty."""

    seed: str
    kills: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    calls: int = 0
    lost: int = 0
    submissions: int = 0
    committed: int = 0
    jobs: int = 0
    chunks: int = 0
    lost_commits: int = 0
    continued: int = 0
    gone: int = 0
    seconds: float = 0.0
    journals: list[Journal] = field(default_factory=list)

    def summary(self) -> str:
        """One paragraph: how much was tried."""
        points = ", ".join(f"{point} {count}" for point, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.kills.total()} kills ({points}) in {self.seconds:.1f} s; "
            f"{self.calls} calls, {self.lost} replies lost, {self.lost_commits} of commits; "
            f"{self.submissions} transactions, {self.committed} committed with {self.jobs} jobs "
            f"and {self.chunks} chunks; {self.continued} jobs built across a crash; "
            f"{self.gone} transactions over with the power; "
            f"{len(self.violations)} violations"
        )


def kills(seed: str, count: int) -> Iterator[Plan]:
    """How each life is to end: every second one at a named point, the others at a random moment."""
    rng = random.Random(f"{seed}/plans")
    for number in range(count):
        spool_age = rng.choice((0.0, 3600.0))
        if number % 2:
            point = CRASH_POINTS[(number // 2) % len(CRASH_POINTS)]
            passes = rng.randint(1, 4) if point.startswith("commit:") else rng.randint(1, 60)
            yield Plan(crash_at=f"{point}:{passes}", answers=300, spool_age=spool_age)
        elif rng.random() < 0.15:
            yield Plan(since="born", after=rng.uniform(0.0, 0.15), spool_age=spool_age)
        else:
            yield Plan(answers=rng.randint(0, 80), after=rng.uniform(0.0, 0.01), spool_age=spool_age)


def power_cuts(seed: str, cuts: int) -> Iterator[Plan]:
    """How each life is to end when the machine loses power: some syncs after its start."""
    rng = random.Random(f"{seed}/power cuts")
    for _ in range(cuts):
        yield Plan(power_cut=rng.randint(1, 200), answers=600, spool_age=3600.0)


def run(home: Path, seed: str, ends: Iterable[Plan], durable_at: str = "call") -> Report:
    """End a life by each of `ends`. The journals are written into `home` when something was wrong."""
    report = Report(seed)
    started = time.monotonic()
    home.mkdir(parents=True, exist_ok=True)
    lives = Lives(home, durable_at)
    clients = [Client(number, seed, lives) for number in range(CLIENTS)]
    try:
        _kill_and_audit(report, home, lives, clients, ends)
    except Exception as error:
        report.violations.append(f"{type(error).__name__}: {error}")
    finally:
        lives.close()
    _count(report, clients)
    report.seconds = time.monotonic() - started
    if report.violations:
        for number, client in enumerate(clients):
            (home / f"journal-{number}.txt").write_text("\n".join(client.journal.log))
    return report


def _kill_and_audit(
    report: Report, home: Path, lives: Lives, clients: list[Client], ends: Iterable[Plan]
) -> None:
    enough = threading.Event()
    threads = [_Worker(client, enough.is_set) for client in clients]
    for thread in threads:
        thread.start()
    try:
        for number, plan in enumerate(ends):
            report.kills[lives.live(plan)] += 1
            if number % 10 == 9:
                audit.age_leases(home, _OUTAGE)
            if any(thread.error for thread in threads):
                break
        lives.start_for_good()
    finally:
        enough.set()
    for thread in threads:
        thread.join(_PATIENCE)
        if thread.error is not None:
            report.violations.append(f"{type(thread.error).__name__}: {thread.error}")
    if report.violations:
        return
    for client in clients:
        client.check_advertised()
    _until(lambda: audit.open_leases(home) == 0, "transactions that were left did not expire")
    lives.kill()
    report.violations += audit.audit(home, [client.journal for client in clients])
    lives.start_for_good(Plan(spool_age=0.0))
    _until(lambda: not audit.unswept(home), "abandoned sandboxes were not deleted")
    lives.kill()
    logged = (home / "server.log").read_text().splitlines()
    report.violations += [f"log: {line}" for line in logged if "open transactions are over" not in line]


class _Worker(threading.Thread):
    """A client at work; `error` is what ended it before its time."""

    def __init__(self, client: Client, enough: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._enough = enough
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._client.work(self._enough)
        except BaseException as error:
            self.error = error


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        pause.wait(0.05)


def _count(report: Report, clients: list[Client]) -> None:
    report.journals = [client.journal for client in clients]
    for journal in report.journals:
        committed = journal.with_outcome(Outcome.COMMITTED)
        jobs = [job for submission in committed for job in submission.jobs]
        report.calls += journal.calls
        report.lost += journal.lost
        report.lost_commits += journal.lost_commits
        report.continued += journal.continued
        report.gone += len(journal.with_outcome(Outcome.GONE))
        report.submissions += len(journal.submissions)
        report.committed += len(committed)
        report.jobs += len(jobs)
        report.chunks += sum(len(file.acknowledged) for job in jobs for file in job.files)
