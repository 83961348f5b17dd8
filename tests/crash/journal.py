"""What a client knows of its work: what was acknowledged, and what may or may not have been done."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, field

from tests.crash.wire import Value, job_element, transaction_element


class Outcome(enum.Enum):
    """What became of a transaction, as far as its client knows."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"
    LEFT = "left to expire"
    GONE = "over because of a loss of power"


@dataclass
class FileRecord:
    """A file: its content follows from `key`; `acknowledged` are the chunks, (offset, length), that were."""

    name: str
    key: str
    size: int
    declared: bool = False
    acknowledged: list[tuple[int, int]] = field(default_factory=list)

    def content(self) -> bytes:
        return random.Random(self.key).randbytes(self.size)

    def damage(self, found: bytes) -> str | None:
        """What of the acknowledged bytes is not in `found`."""
        content = self.content()
        for offset, length in self.acknowledged:
            if found[offset : offset + length] != content[offset : offset + length]:
                return f"{self.name}: {length} acknowledged bytes at {offset} are gone"
        return None


@dataclass
class JobRecord:
    """A job whose newJob was acknowledged; `status` is what JobStatus has to be, None for one that the pool
    runs.
    """

    cluster: int
    proc: int
    attributes: dict[str, Value] = field(default_factory=dict)
    files: list[FileRecord] = field(default_factory=list)
    status: int | None = 1
    holds: int = 0
    maybe_holds: int = 0

    @property
    def element(self) -> str:
        return job_element(self.cluster, self.proc)

    def __str__(self) -> str:
        return f"{self.cluster}.{self.proc}"


@dataclass
class ClusterRecord:
    """A cluster whose newCluster was acknowledged; `lost` counts newJob calls since the last acknowledged
    one.
    """

    id: int
    jobs: list[JobRecord] = field(default_factory=list)
    bare: set[int] = field(default_factory=set)
    lost: int = 0

    @property
    def known(self) -> set[int]:
        """The procs that were made for certain: some by calls whose replies were lost."""
        return {job.proc for job in self.jobs} | self.bare

    def took(self, proc: int) -> str | None:
        """Note an acknowledged proc id; what is wrong with it, if anything."""
        expected = len(self.known)
        if not expected <= proc <= expected + self.lost:
            return f"newJob gave {self.id}.{proc}, expected {expected} to {expected + self.lost}"
        self.bare |= set(range(expected, proc))
        self.lost = 0
        return None

    def difference(self, found: set[int]) -> str | None:
        """What is wrong with the procs that a committed cluster has, if anything."""
        missing = self.known - found
        if missing:
            return f"cluster {self.id} lacks procs {sorted(missing)}"
        if found != set(range(len(found))) or len(found) > len(self.known) + self.lost:
            expected = f"{sorted(self.known)} and {self.lost} unknown"
            return f"cluster {self.id} has procs {sorted(found)}, expected {expected}"
        return None


@dataclass
class Submission:
    """One transaction; `actions` are (operation, job) staged on committed jobs."""

    transaction: int
    duration: int
    clusters: list[ClusterRecord] = field(default_factory=list)
    actions: list[tuple[str, JobRecord]] = field(default_factory=list)
    outcome: Outcome = Outcome.OPEN
    power_cuts: int = 0

    @property
    def element(self) -> str:
        return transaction_element(self.transaction, self.duration)

    @property
    def jobs(self) -> list[JobRecord]:
        return [job for cluster in self.clusters for job in cluster.jobs]


@dataclass
class Journal:
    """All that one client did, and how often a reply was lost."""

    submissions: list[Submission] = field(default_factory=list)
    license_version: int = -1
    license_maybe: int = -1
    calls: int = 0
    lost: int = 0
    lost_begins: int = 0
    lost_commits: int = 0
    continued: int = 0
    log: list[str] = field(default_factory=list)

    def with_outcome(self, outcome: Outcome) -> list[Submission]:
        return [s for s in self.submissions if s.outcome is outcome]
