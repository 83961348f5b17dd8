"""A client that keeps a journal, carries on after every crash, and says when the server broke its word."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.crash.journal import ClusterRecord, FileRecord, JobRecord, Journal, Outcome, Submission
from tests.crash.lives import Lives
from tests.crash.wire import Lost, NotSent, Refused, Value, Wire

T = TypeVar("T")

IDLE, REMOVED, HELD = 1, 3, 5
_NEXT_STATUS = {"holdJob": HELD, "releaseJob": IDLE, "removeJob": REMOVED}
_CHOICES = {IDLE: ("holdJob", "removeJob"), HELD: ("releaseJob", "removeJob"), REMOVED: ()}
_TEXTS = ("plain", "Grüße aus Köln", 'a "quoted" <word> & \\ more', "日本語", " blanks ")


class Violation(AssertionError):
    """Something that was promised did not hold."""


class Client:
    """Works until `lives` are over, then finishes what it began; `journal` is the truth about it."""

    def __init__(self, number: int, seed: str, lives: Lives) -> None:
        self.journal = Journal()
        self._number = number
        self._random = random.Random(f"{seed}/client {number}")
        self._lives = lives
        self._wire = Wire(lives.port)
        self._count = 0

    def work(self, enough: Callable[[], bool]) -> None:
        """One submission after the other, two at a time now and then, until it is `enough`."""
        try:
            while not enough():
                self._round()
        finally:
            self._wire.close()

    def _round(self) -> None:
        submissions = [self._begin() for _ in range(self._random.choice((1, 1, 1, 2)))]
        for _ in range(self._random.randint(1, 3)):
            for submission in submissions:
                self._unless_gone(submission, self._add_cluster)
        for submission in submissions:
            self._unless_gone(submission, self._stage_actions)
            self._unless_gone(submission, self._end)
        self._act()
        self._advertise()

    def _unless_gone(self, submission: Submission, step: Callable[[Submission], None]) -> None:
        """A transaction that was open when the power went is over if it is durable at its commit; no other
        reason is taken.
        """
        if submission.outcome is Outcome.GONE:
            return
        try:
            step(submission)
        except Refused as error:
            survived = self._lives.durable_at == "call" or self._lives.power_cuts == submission.power_cuts
            if error.code != "INVALIDTRANSACTION" or survived:
                raise Violation(str(error)) from error
            submission.outcome = Outcome.GONE

    # Calls

    def _certain(self, what: str, call: Callable[[], T], lost: Callable[[], None] | None = None) -> T:
        """Make the call until there is a reply; `lost` is told of each time when nobody knows."""
        while True:
            serial = self._lives.serial
            try:
                self.journal.calls += 1
                result = call()
                self._lives.note_answer()
                self._note(f"{what} -> {result}")
                return result
            except (NotSent, Lost) as error:
                if isinstance(error, Lost):
                    self._note(f"{what} LOST in life {serial}")
                    self.journal.lost += 1
                    if lost is not None:
                        lost()
                self._wire.close()
                if not self._lives.wait_for_next(serial):
                    raise Violation("the server did not come back") from error
            except Refused as error:
                self._note(f"{what} REFUSED {error}")
                raise

    def _note(self, line: str) -> None:
        self.journal.log.append(f"[life {self._lives.serial}] {line}")

    # One transaction

    def _begin(self) -> Submission:
        def lost() -> None:
            self.journal.lost_begins += 1

        # Durations of a day: whatever was lost in an unknown beginning must not expire under the audit.
        duration, power_cuts = 86400, 0

        def begin() -> int:
            nonlocal power_cuts
            power_cuts = self._lives.power_cuts
            return self._wire.begin(duration)

        submission = Submission(self._certain("begin", begin, lost), duration, power_cuts=power_cuts)
        self.journal.submissions.append(submission)
        return submission

    def _add_cluster(self, submission: Submission) -> None:
        if submission.clusters and self._random.random() < 0.5:
            # Goes on in the newest cluster.
            cluster = submission.clusters[-1]
        else:
            cluster = ClusterRecord(
                self._certain("newCluster", lambda: self._wire.new_cluster(submission.element))
            )
            submission.clusters.append(cluster)
        for _ in range(self._random.randint(1, 2)):
            self._add_job(submission, cluster)

    def _add_job(self, submission: Submission, cluster: ClusterRecord) -> None:
        def lost() -> None:
            cluster.lost += 1

        proc = self._certain(
            f"newJob {cluster.id}", lambda: self._wire.new_job(submission.element, cluster.id), lost
        )
        self._require(cluster.took(proc))
        job = JobRecord(cluster.id, proc)
        cluster.jobs.append(job)
        serial = self._lives.serial
        for index in range(self._random.randint(0, 2)):
            self._add_file(submission, job, index)
        job.attributes = self._attributes(job)
        self._submit(submission, job)
        self.journal.continued += self._lives.serial > serial

    def _submit(self, submission: Submission, job: JobRecord) -> None:
        self._certain(
            f"submit {job}", lambda: self._wire.submit(submission.element, job.element, job.attributes)
        )

    def _add_file(self, submission: Submission, job: JobRecord, index: int) -> None:
        size = self._random.choice((1, 100, 5_000, 70_000))
        file = FileRecord(f"in {index} ü.bin", f"{self._number}/{job}/{index}", size)
        job.files.append(file)
        self._declare(submission, job, file)
        content = file.content()
        for offset, length in self._chunks(size):
            data = content[offset : offset + length]
            self._certain(
                f"send {job} {file.name} {offset}+{length}",
                partial(self._wire.send, submission.element, job.element, file.name, offset, data),
            )
            file.acknowledged.append((offset, length))

    def _declare(self, submission: Submission, job: JobRecord, file: FileRecord) -> None:
        tries = []

        def lost() -> None:
            tries.append(1)

        def declare() -> None:
            self._wire.declare(submission.element, job.element, file.name, file.size)

        try:
            self._certain(f"declare {job} {file.name}", declare, lost)
        except Refused as error:
            if error.code != "ALREADYEXISTS" or not tries:
                raise
        file.declared = True

    def _chunks(self, size: int) -> list[tuple[int, int]]:
        """Chunks that cover the file, in any order, some twice and overlapping."""
        step = max(1, size // self._random.randint(1, 4))
        chunks = [
            (offset, min(step + self._random.choice((0, 10)), size - offset))
            for offset in range(0, size, step)
        ]
        chunks += self._random.sample(chunks, self._random.randint(0, 1))
        self._random.shuffle(chunks)
        return chunks

    def _attributes(self, job: JobRecord) -> dict[str, Value]:
        self._count += 1
        runs = bool(job.files) and self._random.random() < 0.3
        if runs:
            job.status = None
        text = self._random.choice(_TEXTS)
        return {
            "Owner": ("STRING-ATTR", f"crash{self._number}"),
            "JobUniverse": ("INTEGER-ATTR", "5"),
            "Cmd": ("STRING-ATTR", "/bin/cat"),
            "Arguments": ("STRING-ATTR", f"'{job.files[0].name}'" if job.files else ""),
            "Out": ("STRING-ATTR", "job.out"),
            "Requirements": ("BOOLEAN-ATTR", "TRUE" if runs else "FALSE"),
            "LeaveJobInQueue": ("BOOLEAN-ATTR", "TRUE"),
            "CrashClient": ("INTEGER-ATTR", str(self._number)),
            "CrashSerial": ("INTEGER-ATTR", str(self._count)),
            "CrashText": ("STRING-ATTR", text),
            "CrashRule": ("EXPRESSION-ATTR", "Memory > 512"),
        }

    def _stage_actions(self, submission: Submission) -> None:
        for job in self._steady_jobs(self._random.randint(0, 2)):
            operation = self._random.choice(_CHOICES[job.status or 0])
            try:
                self._certain(
                    f"stage {operation} {job}",
                    partial(self._wire.act, operation, submission.element, job.element),
                )
            except Refused:
                # Staged already by a call whose reply was lost: a job is not held twice.
                if operation not in ("holdJob", "releaseJob"):
                    raise
            submission.actions.append((operation, job))

    def _end(self, submission: Submission) -> None:
        chance = self._random.random()
        if chance < 0.75:
            self._commit(submission)
        elif chance < 0.95:
            self._abort(submission)
        else:
            self._leave(submission)

    def _abort(self, submission: Submission) -> None:
        tries: list[int] = []
        try:
            self._certain("abort", lambda: self._wire.abort(submission.element), lambda: tries.append(1))
        except Refused as error:
            if error.code != "INVALIDTRANSACTION" or not tries:
                raise
        submission.outcome = Outcome.ABORTED

    def _leave(self, submission: Submission) -> None:
        """Give the transaction a lease of two seconds with a last call, and forget it."""
        submission.duration = 2
        if submission.jobs:
            try:
                self._submit(submission, submission.jobs[-1])
            except Refused as error:
                if error.code != "INVALIDTRANSACTION":
                    raise Violation(str(error)) from error
        submission.outcome = Outcome.LEFT

    # Commit

    def _commit(self, submission: Submission) -> None:
        lost: list[bool] = []
        for operation, job in submission.actions:
            job.maybe_holds += operation == "holdJob"

        def unknown() -> None:
            self.journal.lost_commits += 1
            lost.append(True)

        done = False

        def commit() -> None:
            nonlocal done
            if lost:
                done = self._is_committed(submission)
            self._wire.commit(submission.element)

        try:
            self._certain("commit", commit, unknown)
            self._require("a commit was done twice" if done else None)
        except Refused as error:
            if error.code != "INVALIDTRANSACTION" or not done:
                self._note(f"visible {done}, lost {len(lost)}")
                raise
        self._note_committed(submission)
        if self._random.random() < 0.3:
            self._check_committed(submission)

    def _note_committed(self, submission: Submission) -> None:
        submission.outcome = Outcome.COMMITTED
        for operation, job in submission.actions:
            job.status = _NEXT_STATUS[operation]
            job.holds += operation == "holdJob"
            job.maybe_holds -= operation == "holdJob"

    def _is_committed(self, submission: Submission) -> bool:
        """Whether the transaction was committed: all of it or nothing."""
        found = {cluster.id: self._cluster_ads(cluster) for cluster in submission.clusters}
        visible = [cluster for cluster in submission.clusters if found[cluster.id]]
        for cluster in visible:
            self._require(cluster.difference(set(found[cluster.id])))
        if 0 < len(visible) < len(submission.clusters):
            raise Violation(
                f"of {len(submission.clusters)} clusters {[c.id for c in visible]} were committed"
            )
        committed = bool(visible)
        for operation, job in submission.actions:
            expected = _NEXT_STATUS[operation] if committed else job.status
            self._require_status(job, expected, f"after a commit that was {'' if committed else 'not '}done")
        return committed

    def _check_committed(self, submission: Submission) -> None:
        for cluster in submission.clusters:
            ads = self._certain(f"getJobAds {cluster.id}", partial(self._cluster_ads, cluster))
            self._require(cluster.difference(set(ads)))
            for job in cluster.jobs:
                self._require(difference(job, ads[job.proc]))
                for file in job.files:
                    self._check_file(job, file)

    def _check_file(self, job: JobRecord, file: FileRecord) -> None:
        def read() -> bytes:
            return self._wire.get_file(job.element, file.name, 0, file.size + 1)

        self._require(file.damage(self._certain(f"getFile {job} {file.name}", read)))

    def _cluster_ads(self, cluster: ClusterRecord) -> dict[int, dict[str, Value]]:
        ads = self._wire.job_ads(f"ClusterId == {cluster.id}")
        return {int(ad["ProcId"][1]): ad for ad in ads}

    # Actions outside of transactions, and the collector

    def _steady_jobs(self, most: int) -> list[JobRecord]:
        """Some committed jobs that only this client changes."""
        jobs = [
            job
            for submission in self.journal.submissions[-30:]
            if submission.outcome is Outcome.COMMITTED
            for job in submission.jobs
            if job.status in (IDLE, HELD)
        ]
        return self._random.sample(jobs, min(most, len(jobs)))

    def _act(self) -> None:
        for job in self._steady_jobs(1):
            self._act_on(job, self._random.choice(_CHOICES[job.status or 0]))

    def _act_on(self, job: JobRecord, operation: str) -> None:
        wanted = _NEXT_STATUS[operation]
        held = operation == "holdJob"
        lost: list[int] = []

        def act() -> None:
            if not lost or self._status(job) == job.status:
                job.maybe_holds += held
                self._wire.act(operation, "", job.element)
            else:
                self._require_status(job, wanted, f"after an unknown {operation}")
            job.maybe_holds -= held
            job.holds += held

        self._certain(f"{operation} {job}", act, lambda: lost.append(1))
        job.status = wanted

    def _status(self, job: JobRecord) -> int:
        (ad,) = self._wire.job_ads(f"ClusterId == {job.cluster} && ProcId == {job.proc}")
        return int(ad["JobStatus"][1])

    def _require_status(self, job: JobRecord, expected: int | None, when: str) -> None:
        status = self._status(job)
        self._require(
            f"job {job} has status {status}, not {expected}, {when}" if status != expected else None
        )

    def _advertise(self) -> None:
        """Insert a daemon ad with a version number, and see that no older one comes back."""
        if self._random.random() < 0.5:
            return
        self.journal.license_maybe += 1
        version = self.journal.license_maybe
        ad = {
            "MyType": ("STRING-ATTR", "License"),
            "Name": ("STRING-ATTR", f"crash-{self._number}"),
            "MyAddress": ("STRING-ATTR", "<127.0.0.1:9>"),
            "CrashVersion": ("INTEGER-ATTR", str(version)),
            "ClassAdLifetime": ("INTEGER-ATTR", "86400"),
        }
        self._certain(f"insertAd {version}", lambda: self._wire.insert_ad("LICENSE-AD-TYPE", ad))
        self.journal.license_version = version

    def check_advertised(self) -> None:
        """Require that the newest acknowledged version of the client's daemon ad is the one that is there."""
        if self.journal.license_version < 0:
            return
        ads = self._wire.query_license_ads(f'Name == "crash-{self._number}"')
        self._wire.close()
        versions = [int(ad["CrashVersion"][1]) for ad in ads]
        if versions != [self.journal.license_version]:
            raise Violation(
                f"daemon ads of client {self._number}: {versions}, not {self.journal.license_version}"
            )

    @staticmethod
    def _require(wrong: str | None) -> None:
        if wrong is not None:
            raise Violation(wrong)


def difference(job: JobRecord, ad: dict[str, Value]) -> str | None:
    """How a committed ad differs from what was acknowledged of it."""
    wrong = {name: (value, ad.get(name)) for name, value in job.attributes.items() if ad.get(name) != value}
    status = int(ad["JobStatus"][1])
    if wrong or (job.status is not None and status != job.status):
        return f"job {job}: status {status} (expected {job.status}), attributes {wrong}"
    return None
