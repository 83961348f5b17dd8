"""The mail that a job asks for: when, to whom, what it says, and that none is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from birdbath.classads import Ad, Scalar
from birdbath.client import Schedd
from birdbath.events import EventType, JobEvent
from birdbath.notify.job_mail import is_wanted, job_mail, readers, recipients
from birdbath.notify.job_mailer import JobMailer, JobMailSettings
from birdbath.notify.pauses import Pauses
from birdbath.notify.sinks.mail import MailServer
from birdbath.store.tables import jobs
from tests.events.test_forms import record
from tests.notify.house import House, Open
from tests.notify.mailbox import mail_server
from tests.server_process import running_server

NEVER, ALWAYS, COMPLETE, ERROR = range(4)
WELL: dict[str, Scalar] = {"TerminatedNormally": True, "ReturnValue": 0}
FAILED: dict[str, Scalar] = {"TerminatedNormally": True, "ReturnValue": 3}
KILLED: dict[str, Scalar] = {"TerminatedNormally": False, "TerminatedBySignal": 9}


def ad(**attributes: Scalar) -> Ad:
    made = Ad()
    made.update(attributes)
    return made


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        (EventType.JOB_TERMINATED, WELL, {ALWAYS, COMPLETE}),
        (EventType.JOB_TERMINATED, FAILED, {ALWAYS, COMPLETE, ERROR}),
        (EventType.JOB_TERMINATED, KILLED, {ALWAYS, COMPLETE, ERROR}),
        (EventType.JOB_HELD, {"HoldReasonCode": 1}, {ALWAYS}),
        (EventType.JOB_HELD, {"HoldReasonCode": 6}, {ALWAYS, ERROR}),
        (EventType.JOB_ABORTED, {"Reason": "no more"}, {ALWAYS}),
        (EventType.CHECKPOINTED, {}, {ALWAYS}),
    ],
)
def test_when_mail_is_wanted(kind: EventType, fields: dict[str, Scalar], wanted: set[int]) -> None:
    event = record(kind, fields)
    assert {n for n in range(4) if is_wanted(event, ad(JobNotification=n, JobSuccessExitCode=0))} == wanted
    assert not is_wanted(event, ad())


def test_an_exit_code_is_no_error_unless_the_job_says_which_is_success() -> None:
    assert not is_wanted(record(5, FAILED), ad(JobNotification=ERROR))
    assert not is_wanted(record(5, FAILED), ad(JobNotification=ERROR, JobSuccessExitCode=3))


@pytest.mark.parametrize(
    ("notify_user", "to"),
    [
        (None, ("ann@pool.org",)),
        ("", ("ann@pool.org",)),
        ("bob", ("bob@pool.org",)),
        ("bob@home.org", ("bob@home.org",)),
        ("bob@home.org, eve  bob@home.org", ("bob@home.org", "eve@pool.org")),
        ("bob@home.org\r\nBcc: all@home.org", ("bob@home.org", "all@home.org")),
        ("<script>", ()),
    ],
)
def test_to_whom_it_goes(notify_user: str | None, to: tuple[str, ...]) -> None:
    job = ad() if notify_user is None else ad(NotifyUser=notify_user)
    assert recipients(record(5, WELL), job, "pool.org") == to


def test_what_it_says() -> None:
    used = {
        "RunRemoteUsage": "Usr 0 00:01:00",
        "TotalRemoteUsage": "Usr 0 00:02:00",
    }
    sizes = {"ReceivedBytes": 2048.0, "SentBytes": 10.0, "TotalReceivedBytes": 4096.0, "TotalSentBytes": 20.0}
    event = record(5, {**KILLED, **used, **sizes, "TimeExecuteUsage": 90061})
    job = ad(
        Cmd="/bin/sleep", Args="5\nX: y", QDate=int(event.time) - 65, ImageSize=17, RemoteWallClockTime=180.0
    )
    to = ("ann@pool.org",)
    mail = job_mail(event, job, to, "submit.pool.org", "condor@pool.org")
    assert mail.subject == "[Condor] Condor Job 12.3"
    lines = mail.body.splitlines()
    assert lines[1] == 'on machine "submit.pool.org".  Do not reply.'
    assert lines[3:6] == ["Condor job 12.3", "\t/bin/sleep 5 X: y", "was killed by signal 9"]
    assert "Real Time:           0 00:01:05" in lines
    assert "Virtual Image Size:  17 Kilobytes" in lines
    assert "Allocation/Run time:     1 01:01:01" in lines
    assert "Allocation/Run time:     0 00:03:00" in lines
    assert "Remote CPU Time:         Usr 0 00:02:00" in lines
    assert "    2.0 KB Run Bytes Received By Job" in lines
    held = job_mail(record(12, {"HoldReason": "why"}), job, to, "here", "admin@pool.org")
    assert "The reason for the hold is: why" in held.body
    gone = job_mail(record(9, {}), job, to, "here", "admin@pool.org")
    assert "The reason for the removal is: Reason unspecified" in gone.body
    free = job_mail(record(13, {"Reason": "go on"}), job, to, "here", "admin@pool.org")
    assert "is being released from hold." in free.body
    assert "The reason for the release is: go on" in free.body


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63)])
def test_a_job_may_have_any_number_for_a_time(time: int) -> None:
    mail = job_mail(record(5, WELL), ad(QDate=time), ("ann@pool.org",), "here", "admin@pool.org")
    assert f"Submitted at:        {time} seconds after 1970" in mail.body.splitlines()


@pytest.mark.parametrize("kind", [EventType.JOB_HELD, EventType.JOB_RELEASED])
def test_who_held_or_released_a_job_says_who_is_told(kind: EventType) -> None:
    def told(wish: int, **flags: Scalar) -> list[tuple[str, ...]]:
        event = record(kind, {"HoldReasonCode": 1, **flags})
        return readers(event, ad(JobNotification=wish), "pool.org", "admin@pool.org")

    user, admin = ("ann@pool.org",), ("admin@pool.org",)
    assert told(NEVER) == []
    assert told(NEVER, EmailUser=True) == [user]
    assert told(NEVER, EmailAdmin=True) == [admin]
    assert told(NEVER, EmailUser=True, EmailAdmin=True) == [user, admin]
    always = [user] if kind == EventType.JOB_HELD else []
    assert told(ALWAYS) == always
    assert told(ALWAYS, EmailUser=True) == [user], "one mail, whoever asked for it"


def queue(engine: Engine, users: Mapping[int, str]) -> None:
    """Let there be jobs, by cluster, that want mail to these when they are complete."""
    for cluster, user in users.items():
        job = ad(Owner="ann", NotifyUser=user, JobNotification=COMPLETE)
        row = {"cluster_id": cluster, "proc_id": 0, "version": cluster, "in_queue": True, "status": 4}
        with engine.begin() as connection:
            connection.execute(insert(jobs).values(**row, owner="ann", ad=job.to_json()))


def terminated(cluster: int) -> JobEvent:
    return JobEvent(EventType.JOB_TERMINATED, cluster, 0, "ann", float(cluster), WELL)


async def start_mailing(opened: House, settings: JobMailSettings) -> None:
    """Mail what happens from now on."""
    mailer = JobMailer(opened.notifier, settings, lambda: Pauses(0.01, 0.05))
    opened.notifier.tasks.start("mail", mailer.run)
    while not [known for known in opened.notifier.subscriptions.all() if known.id == "mail"]:
        await asyncio.sleep(0.001)


@pytest.mark.anyio
async def test_what_is_put_off_holds_nothing_up_and_is_given_up_in_the_end(
    house: Open, engine: Engine
) -> None:
    queue(engine, {1: "ann@nowhere.org", 2: "bob", 3: "bob, ann@nowhere.org", 4: "eve"})
    with mail_server() as (mailbox, port):
        mailbox.put_off = ("ann@nowhere.org",)
        server = MailServer("127.0.0.1", port, "condor@pool.org")
        for give_up in (1e6, 0.0):
            settings = JobMailSettings(server, "pool.org", "admin@pool.org", give_up)
            async with house() as opened:
                subscriptions = opened.notifier.subscriptions
                await start_mailing(opened, settings)
                if give_up:
                    await opened.write(*map(terminated, (1, 2, 3, 4)))
                    await asyncio.to_thread(mailbox.until, lambda: len(mailbox.mails) == 3)
                    while opened.notifier.metrics.retried["mail"] < 5:
                        await asyncio.sleep(0.001)
                    assert (subscriptions.get("mail").cursor, subscriptions.letters("mail")) == (0, [])
                else:
                    while subscriptions.get("mail").cursor < 4:
                        await asyncio.sleep(0.001)
                    letters = subscriptions.letters("mail")
    assert mailbox.receivers[:3] == [["bob@pool.org"], ["bob@pool.org"], ["eve@pool.org"]]
    assert [letter.event.cluster for letter in letters] == [1, 3]
    assert "450 domain not found" in letters[1].reason


@pytest.mark.anyio
async def test_what_is_refused_for_good_holds_nothing_up(house: Open, engine: Engine) -> None:
    queue(engine, {1: "nobody", 2: "bob", 4: "bob, nobody eve"})
    with mail_server() as (mailbox, port):
        mailbox.unknown, mailbox.full = ("nobody@pool.org",), ["eve@pool.org"]
        settings = JobMailSettings(
            MailServer("127.0.0.1", port, "condor@pool.org"), "pool.org", "admin@pool.org"
        )
        async with house() as opened:
            subscriptions = opened.notifier.subscriptions
            await start_mailing(opened, settings)
            await opened.write(*map(terminated, (1, 2, 3, 4)))
            while subscriptions.get("mail").cursor < 4:
                await asyncio.sleep(0.001)
            letter, partly = subscriptions.letters("mail")
            assert opened.notifier.metrics.delivered["mail"] == 2
    assert (letter.event.cluster, letter.attempts) == (1, 1)
    assert "nobody of that name" in letter.reason
    assert partly.event.cluster == 4
    assert "mail to nobody@pool.org: 550 nobody of that name" in partly.reason
    assert mailbox.receivers == [["bob@pool.org"], ["bob@pool.org"], ["eve@pool.org"]]


def submit(url: str, seconds: int, **attributes: Scalar) -> int:
    with Schedd(url).transaction() as transaction:
        cluster = transaction.new_cluster()
        job = cluster.new_job()
        job.submit({**job.template("/bin/sleep", arguments=str(seconds), owner="ann"), **attributes})
        return int(cluster.id)


def test_a_server_mails_what_jobs_ask_for_and_loses_none(tmp_path: Path) -> None:
    with mail_server() as (mailbox, port):
        environment = {
            "BIRDBATH_SMTP_SERVER": f"127.0.0.1:{port}",
            "BIRDBATH_EMAIL_DOMAIN": "pool.org",
            "BIRDBATH_SPEED": "max",
        }
        mailbox.refusing = True
        with running_server(tmp_path, environment=environment) as server:
            submit(server.url, 5, JobNotification=NEVER)
            asked = submit(server.url, 6, JobNotification=COMPLETE)
            other = submit(server.url, 7, JobNotification=ALWAYS, NotifyUser="bob@home.org")
            mailbox.until(lambda: mailbox.attempts > 0)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        mailbox.refusing = False
        with running_server(tmp_path, environment=environment) as server:
            mailbox.until(lambda: len(mailbox.mails) == 2)
            assert server.stop() == 0
        with running_server(tmp_path, environment=environment) as server:
            last = submit(server.url, 1, JobNotification=COMPLETE)
            mailbox.until(lambda: len(mailbox.mails) == 3)
    told = [(mail["Subject"], mail["To"], mail["From"]) for mail in mailbox.mails]
    assert told == [
        (f"[Condor] Condor Job {asked}.0", "ann@pool.org", "condor@pool.org"),
        (f"[Condor] Condor Job {other}.0", "bob@home.org", "condor@pool.org"),
        (f"[Condor] Condor Job {last}.0", "ann@pool.org", "condor@pool.org"),
    ]
    assert "exited normally with status 0" in mailbox.mails[0].get_content()


def test_a_hold_and_a_release_mail_whom_the_call_says(tmp_path: Path) -> None:
    with mail_server() as (mailbox, port):
        environment = {
            "BIRDBATH_SMTP_SERVER": f"127.0.0.1:{port}",
            "BIRDBATH_UID_DOMAIN": "pool.org",
            "BIRDBATH_CONDOR_ADMIN": "root@pool.org",
        }
        mailbox.refusing = True
        with running_server(tmp_path, environment=environment) as server:
            schedd = Schedd(server.url)
            cluster = submit(server.url, 1000, JobNotification=NEVER, NotifyUser="bob@home.org")
            silent = submit(server.url, 1000, JobNotification=NEVER)
            schedd.hold(silent, 0, "not told")
            schedd.hold(cluster, 0, "look at it", email_user=True, email_admin=True)
            schedd.release(cluster, 0, "go on", email_admin=True)
            mailbox.until(lambda: mailbox.attempts > 0)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        mailbox.refusing = False
        with running_server(tmp_path, environment=environment) as server:
            mailbox.until(lambda: len(mailbox.mails) == 3)
            assert server.stop() == 0
    assert {mail["Subject"] for mail in mailbox.mails} == {f"[Condor] Condor Job {cluster}.0"}
    assert [mail["To"] for mail in mailbox.mails] == ["bob@home.org", "root@pool.org", "root@pool.org"]
    held, also_held, released = (mail.get_content() for mail in mailbox.mails)
    assert "The reason for the hold is: look at it" in held
    assert held == also_held
    assert "The reason for the release is: go on" in released
