"""holdJob and releaseJob with emailUser and emailAdmin in front of a real pool, which knows no such wish."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.client import Schedd
from tests.htcondor.test_gateway import IDLE, status, waiting_job
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.notify.mailbox import mail_server
from tests.server_process import running_server

pytestmark = pytest.mark.toolkit


def settings(pool: HTCondorPool) -> dict[str, str]:
    return {
        "BIRDBATH_HTCONDOR_CONFIG": str(pool.configuration),
        "BIRDBATH_HTCONDOR_EVENT_LOG": str(pool.event_log),
    }


def test_who_is_to_be_told_is_told_once(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    with mail_server() as (mailbox, port):
        mailing = {
            "BIRDBATH_SMTP_SERVER": f"127.0.0.1:{port}",
            "BIRDBATH_EMAIL_DOMAIN": "example.org",
            "BIRDBATH_CONDOR_ADMIN": "boss@example.org",
        }
        environment = settings(htcondor_pool) | mailing
        with running_server(tmp_path, "--pool", "htcondor", environment=environment) as server:
            schedd = Schedd(server.url)
            with schedd.transaction() as transaction:
                job = waiting_job(transaction)
            schedd.hold(*job.id, "disk full", email_user=True, email_admin=True)
            mailbox.until(lambda: len(mailbox.mails) == 2)
            schedd.release(*job.id, "space again")
            until(lambda: status(schedd, job.id) == IDLE)
            schedd.hold(*job.id, "disk full")  # asks for no mail, though all else is as before
            schedd.release(*job.id, "space again", email_user=True)
            mailbox.until(lambda: len(mailbox.mails) == 3)
    told = [(mail["To"], mail.get_content()) for mail in mailbox.mails]
    readers = [to for to, _ in told]
    assert sorted(readers[:2]) == sorted({readers[2], "boss@example.org"})
    assert readers[2].endswith("@example.org")
    assert all(f"Condor job {job.id!s}" in text for _, text in told)
    assert all("disk full" in text for _, text in told[:2])
    assert "The reason for the release is: space again" in told[2][1]


def test_where_no_mail_is_sent_the_log_says_so(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    with running_server(tmp_path, "--pool", "htcondor", environment=settings(htcondor_pool)) as server:
        schedd = Schedd(server.url)
        with schedd.transaction() as transaction:
            job = waiting_job(transaction)
        schedd.hold(*job.id, "x")
        assert "no mail is sent" not in server.log.read_text()
        schedd.release(*job.id, "y", email_admin=True)
        assert f"Job {job.id}: no mail is sent without smtp_server" in server.log.read_text()
