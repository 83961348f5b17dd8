"""What a commit does before the schedd is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from birdbath.classads import Ad
from birdbath.errors import InvalidTransaction
from birdbath.pool.asking import Answers, Waiting, answering, run_steps
from birdbath.pool.base import JobId, NewJob
from birdbath.pool.htcondor.commits import Commits
from birdbath.pool.htcondor.jobs import Jobs
from birdbath.pool.htcondor.journal import Journal
from birdbath.schedd import staging, transactions
from birdbath.store import Writer, open_engine
from birdbath.store.sandbox import Sandbox

JOB = JobId(7, 0)


def test_a_transaction_takes_no_more_calls_before_its_jobs_are_read(tmp_path: Path) -> None:
    """What came in between would be acknowledged, and would not be in the schedd."""

    def read(job: JobId) -> Sandbox:
        raise AssertionError(f"job {job} was read")

    engine = open_engine(f"sqlite:///{tmp_path / 'birdbath.db'}")
    writer, answers = Writer(engine), Answers()
    journal = Journal(engine, "pool")
    commits = Commits(journal, cast(Jobs, SimpleNamespace(ask=read)), read)
    txn = writer.write_now(lambda unit: transactions.begin(unit, "ann", 60))
    writer.write_now(lambda unit: staging.add_cluster(unit, txn.id, JOB.cluster))
    with answering(answers), pytest.raises(Waiting) as waiting:
        writer.write_now(lambda unit: commits.accept(unit, [NewJob(JOB, Ad())]))
    run_steps(waiting.value.steps(), writer.write_now)
    with pytest.raises(InvalidTransaction):
        writer.write_now(lambda unit: transactions.renew(unit, txn, "ann", 0))
    assert answers.marker is not None
    writer.write_now(lambda unit: transactions.renew(unit, txn, "ann", 0, answers.marker))
    journal.close()
    writer.close()
    engine.dispose()
