"""Whatever callers do in whatever order: nobody touches what is another's. A state machine and a model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from birdbath.errors import BirdbathError
from birdbath.pool.base import JobId
from birdbath.schedd import Elsewhere, Schedd, Transaction
from birdbath.store import Writer, open_engine
from tests.schedd.fakes import House

ACCOUNTS = st.sampled_from(["alice", "bob", "root", None])


@dataclass(frozen=True)
class Open:
    """A transaction with one staged job, and who began it."""

    txn: Transaction
    cluster: int
    account: str


class Callers(RuleBasedStateMachine):
    """alice and bob are users, root is a super-user, None is nobody in particular."""

    open_ones = Bundle("open_ones")
    jobs = Bundle("jobs")
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="birdbath-callers-"))
        shutil.copy(self.template, self.folder / "birdbath.db")
        self.engine = open_engine(f"sqlite:///{self.folder / 'birdbath.db'}")
        self.writers: list[Writer] = []

        def opened(clock: Callable[[], float]) -> Writer:
            self.writers.append(Writer(self.engine, clock))
            return self.writers[-1]

        self.house = House(opened, self.folder / "spool")
        self.house.configure(queue_all_users_trusted=False, authentication=True, private_jobs=True)
        self.owners: dict[JobId, str] = {}

    def teardown(self) -> None:
        for writer in self.writers:
            writer.close()
        self.engine.dispose()
        shutil.rmtree(self.folder)

    def ask(self, account: str | None, work: Callable[[Schedd], Any]) -> tuple[bool, Any]:
        """Whether the call is done, and its value or the error's text."""
        try:
            return True, self.house.do(work, account)
        except BirdbathError as error:
            return False, str(error)

    def read(self, account: str | None, work: Callable[[Schedd], Any]) -> tuple[bool, Any]:
        try:
            return True, self.house.read(work, account)
        except Elsewhere:
            return self.ask(account, work)
        except BirdbathError as error:
            return False, str(error)

    @rule(target=open_ones, account=st.sampled_from(["alice", "bob", "root"]))
    def begin(self, account: str) -> Any:
        txn, cluster = self.house.staged_job(account)
        self.house.do(lambda s: s.declare_file(txn, cluster, 0, "in", 5, 0, None), account)
        return Open(txn, cluster, account)

    @rule(one=open_ones, account=ACCOUNTS, offset=st.integers(-1, 9))
    def send(self, one: Open, account: str | None, offset: int) -> None:
        done, _ = self.ask(account, lambda s: s.send_file(one.txn, one.cluster, 0, "in", offset, b"x"))
        assert done == (account == one.account and offset >= 0)

    @rule(one=open_ones, account=ACCOUNTS, owner=st.sampled_from(["alice", "bob", "root", ""]))
    def submit(self, one: Open, account: str | None, owner: str) -> None:
        items = [("Owner", "s", owner), ("Cmd", "s", "/bin/true")]
        done, _ = self.ask(account, lambda s: s.submit(one.txn, one.cluster, 0, items))
        if done:
            assert account == one.account
            assert owner == account or (account == "root" and owner)

    @rule(one=open_ones, account=ACCOUNTS)
    def look_at_staged_files(self, one: Open, account: str | None) -> None:
        allowed = account in (one.account, "root")
        assert self.read(account, lambda s: s.list_spool(None, one.cluster, 0))[0] == allowed
        assert self.read(account, lambda s: s.get_file(None, one.cluster, 0, "in", 0, 9))[0] == allowed

    @rule(target=jobs, one=consumes(open_ones), account=ACCOUNTS)
    def commit(self, one: Open, account: str | None) -> Any:
        done, _ = self.ask(account, lambda s: s.commit_transaction(one.txn))
        assert done == (account == one.account)
        if not done:  # the one who may gets rid of it
            self.house.do(lambda s: s.abort_transaction(one.txn), one.account)
            return multiple()
        job = JobId(one.cluster, 0)
        owner = self.house.ad(*job).string("Owner")
        assert owner == one.account or one.account == "root"
        self.owners[job] = owner
        return job

    @rule(job=jobs, account=ACCOUNTS, what=st.sampled_from(["hold", "release", "remove", "cluster", "close"]))
    def act(self, job: JobId, account: str | None, what: str) -> None:
        actions: dict[str, Callable[[Schedd], Any]] = {
            "hold": lambda s: s.hold_job(None, *job, "r", False, False, False),
            "release": lambda s: s.release_job(None, *job, "r", False, False),
            "remove": lambda s: s.remove_job(None, *job, "r", False),
            "cluster": lambda s: s.remove_cluster(None, job.cluster, "r"),
            "close": lambda s: s.close_spool(None, *job),
        }
        before = len(self.house.queue.done)
        done, text = self.ask(account, actions[what])
        if account not in (self.owners[job], "root"):
            assert not done
            assert len(self.house.queue.done) == before
        elif not done:
            assert text in ("Failed to hold job.", "Failed to release job."), text

    @rule(job=jobs, account=ACCOUNTS)
    def look_at_a_job(self, job: JobId, account: str | None) -> None:
        allowed = account in (self.owners[job], "root")
        assert self.read(account, lambda s: s.get_job_ad(None, *job))[0] == allowed
        assert self.read(account, lambda s: s.list_spool(None, *job))[0] == allowed
        assert self.read(account, lambda s: s.get_file(None, *job, "in", 0, 9))[0] == allowed

    @rule(account=ACCOUNTS, constraint=st.sampled_from([None, "true", 'Owner == "bob"', "x) || (true"]))
    def list_jobs(self, account: str | None, constraint: str | None) -> None:
        done, ads = self.read(account, lambda s: s.get_job_ads(None, constraint))
        assert done
        owners = {record.ad().string("Owner") for record in ads.records}
        assert account == "root" or owners <= {account}

    @rule(one=open_ones, account=ACCOUNTS)
    def carry_another_s_transaction(self, one: Open, account: str | None) -> None:
        if account != one.account:
            done, text = self.ask(account, lambda s: s.extend_transaction(one.txn, 600))
            assert (done, text) == (False, "Permission denied")


def test_nobody_touches_what_is_another_s(empty_database: Path) -> None:
    Callers.template = empty_database
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Callers,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
