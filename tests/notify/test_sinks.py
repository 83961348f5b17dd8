"""What listeners deliver to: files, a real mail server, a real chat server, Apprise."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from slixmpp import ClientXMPP

from birdbath.events import form
from birdbath.events.forms import FORMS
from birdbath.notify.deliveries import SinkFailed
from birdbath.notify.sinks.chat import ChatAccount, ChatSink
from birdbath.notify.sinks.files import FileSink
from birdbath.notify.sinks.mail import MailServer, MailSink, _own_name, parse_server
from birdbath.notify.sinks.services import AppriseSink, NoApprise
from tests import prosody
from tests.events.test_forms import TIME, read, record
from tests.notify.mailbox import mail_server
from tests.ports import free_port
from tests.toolkit import require

pytestmark = pytest.mark.anyio

HELD = record(12, {"HoldReason": "the disk is full", "HoldReasonCode": 3})


def several(count: int) -> list[Any]:
    return [replace(record(11, {}, TIME + number), id=f"u{number}") for number in range(count)]


@pytest.mark.parametrize("kind", ["text", "json", "xml"])
async def test_a_file_is_an_event_log(kind: str, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log", form(kind))
    await sink.deliver([HELD])
    await sink.deliver(several(2))
    await sink.close()
    found = read(tmp_path / "copy", (tmp_path / "log").read_bytes())
    assert [event["EventTypeNumber"] for event in found] == [12, 11, 11]


@pytest.mark.parametrize(
    ("rotations", "names"),
    [(0, ["log"]), (1, ["log", "log.old"]), (3, ["log", "log.1", "log.2", "log.3"])],
)
async def test_a_file_is_rotated(rotations: int, names: list[str], tmp_path: Path) -> None:
    size = len(form("text")(several(1)[0]))
    sink = FileSink(tmp_path / "log", form("text"), max_size=2 * size, max_rotations=rotations)
    await sink.deliver(several(5))
    for event in several(10)[5:]:
        await sink.deliver([event])
    await sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    kept = b"".join((tmp_path / name).read_bytes() for name in [*reversed(names[1:]), "log"])
    assert kept == b"".join(map(form("text"), several(10)[-2 * len(names) :]))
    assert all((tmp_path / name).stat().st_size <= 2 * size for name in names)


@pytest.mark.parametrize("kind", ["text", "json", "xml"])
@pytest.mark.parametrize("cut", [1, 5, 30])
async def test_an_event_that_a_crash_tore_is_written_anew(kind: str, cut: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    whole = [form(kind)(event) for event in several(2)]
    log.write_bytes(whole[0] + whole[1][:-cut])
    sink = FileSink(log, form(kind))
    await sink.deliver(several(2)[1:])
    await sink.close()
    assert log.read_bytes() == b"".join(whole)


@pytest.mark.parametrize("kind", FORMS)
async def test_a_torn_event_may_be_the_first_one(kind: str, tmp_path: Path) -> None:
    log, whole = tmp_path / "log", form(kind)(HELD)
    for left in range(1, len(whole) - 1):
        log.write_bytes(whole[:left])
        sink = FileSink(log, form(kind))
        sink.open()
        await sink.close()
        assert log.read_bytes() == b"", left


@pytest.mark.parametrize("kind", FORMS)
async def test_what_is_no_event_is_left_alone(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"somebody's text")
    sink = FileSink(log, form(kind))
    with pytest.raises(SinkFailed, match=f"does not end with an event in the form {kind}"):
        sink.open()
    for _ in range(2):
        with pytest.raises(SinkFailed, match="does not end with an event"):
            await sink.deliver([HELD])
    assert log.read_bytes() == b"somebody's text"


async def test_an_event_log_in_another_form_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for was, now in (("json", "text"), ("json", "xml"), ("xml", "text"), ("text", "xml")):
        log.write_bytes(form(was)(HELD))
        with pytest.raises(SinkFailed, match="does not end with an event"):
            FileSink(log, form(now)).open()
        assert log.read_bytes() == form(was)(HELD)


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "none" / "log", form("text"))
    with pytest.raises(SinkFailed, match="No such file"):
        sink.open()
    with pytest.raises(SinkFailed, match="No such file"):
        await sink.deliver([HELD])


async def test_what_a_full_disk_has_no_room_for_is_there_once_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, room, write = several(5), 0, os.write

    def write_in_room(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[:room])
        room -= written
        return written

    size = len(form("text")(events[0]))
    sink = FileSink(tmp_path / "log", form("text"), max_size=2 * size, max_rotations=2)
    monkeypatch.setattr(os, "write", write_in_room)
    room = 3 * size + size // 2
    with pytest.raises(SinkFailed, match="No space left") as failed:
        await sink.deliver(events)
    assert failed.value.taken == 2
    room = 10 * size
    await sink.deliver(events[failed.value.taken :])
    await sink.close()
    written = [(tmp_path / name).read_bytes() for name in ("log.2", "log.1", "log")]
    assert b"".join(written) == b"".join(map(form("text"), events))


async def test_a_mail_is_broken_off_in_its_middle() -> None:
    reached = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while not (await reader.readline()).startswith(b"DATA"):
            writer.write(b"250 OK\r\n")
        reached.set()
        await reader.read()  # what comes is the mail, and answered when that has ended
        writer.close()

    async with await asyncio.start_server(converse, "127.0.0.1", free_port()) as listening:
        server = MailServer("127.0.0.1", listening.sockets[0].getsockname()[1], "condor@pool.org", tls="off")
        sending = asyncio.create_task(MailSink(server, ["ann@pool.org"]).deliver([HELD]))
        await reached.wait()
        sending.cancel()
        await asyncio.wait([sending], timeout=20)
        assert sending.cancelled()


async def test_a_cancellation_that_the_mail_library_swallows_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = asyncio.Event()

    async def answer_when_cancelled(*_: Any, **__: Any) -> Any:
        reached.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return {}, "OK"

    monkeypatch.setattr("aiosmtplib.SMTP.send_message", answer_when_cancelled)
    with mail_server() as (_, port):
        sink = MailSink(MailServer("127.0.0.1", port, "condor@pool.org"), ["ann@pool.org"])
        sending = asyncio.create_task(sink.deliver([HELD]))
        await reached.wait()
        sending.cancel()
        await asyncio.wait([sending], timeout=20)
        assert sending.cancelled()


async def test_a_mail_for_each_event() -> None:
    with mail_server() as (mailbox, port):
        sink = MailSink(MailServer("127.0.0.1", port, "birdbath@pool.org"), ["ann@home.org", "bob@home.org"])
        await sink.deliver([HELD, several(1)[0]])
    first, second = mailbox.mails
    assert first["Subject"] == "Condor job 12.3: held"
    assert first["To"] == "ann@home.org, bob@home.org"
    assert first["From"] == "birdbath@pool.org"
    assert "the disk is full" in first.get_content()
    assert second["Subject"] == "Condor job 12.3: unsuspended"
    assert first["Message-ID"] != second["Message-ID"]


async def test_a_digest() -> None:
    with mail_server() as (mailbox, port):
        sink = MailSink(MailServer("127.0.0.1", port, "birdbath@pool.org"), ["ann@home.org"], digest=True)
        await sink.deliver([HELD, *several(3)])
        await sink.deliver([HELD, *several(3)])
    first, again = mailbox.mails
    assert first["Subject"] == "Condor: 4 events of 1 job"
    assert first.get_content().count("...\r\n") == 4
    assert first["Message-ID"] == again["Message-ID"]


async def test_the_own_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take the DNS as long as it likes, but not for each mail."""
    asked: list[str] = []

    def look_up() -> str:
        asked.append("here")
        return "here.example.org"

    _own_name.cache_clear()
    with mail_server() as (mailbox, port), monkeypatch.context() as patch:
        patch.setattr("socket.getfqdn", look_up)
        for _ in range(2):
            await MailSink(MailServer("127.0.0.1", port, "b@p.org"), ["a@b.c"]).deliver(several(2))
        assert len(mailbox.mails) == 4
    assert asked == ["here"]
    assert mailbox.greeted_by == {"here.example.org"}
    _own_name.cache_clear()


async def test_encrypted_and_with_a_password(certificates: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"pw", handled=False)

    options = {
        "tls_context": context,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": check,
    }
    trusting = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    with mail_server(**options) as (mailbox, port):
        server = MailServer("127.0.0.1", port, "b@pool.org", "bird", "pw", "require", trusting)
        await MailSink(server, ["ann@home.org"]).deliver([HELD])
        assert len(mailbox.mails) == 1
        wrong = MailServer("127.0.0.1", port, "b@pool.org", "bird", "no", "require", trusting)
        with pytest.raises(SinkFailed):
            await MailSink(wrong, ["ann@home.org"]).deliver([HELD])
        with pytest.raises(SinkFailed):  # nobody vouches for the certificate
            await MailSink(MailServer("127.0.0.1", port, "b@pool.org", tls="require"), ["a@b.c"]).deliver(
                [HELD]
            )
    assert "pw" not in repr(server)


async def test_a_server_that_refuses_or_is_not_there() -> None:
    with mail_server() as (mailbox, port):
        mailbox.refusing = True
        with pytest.raises(SinkFailed, match="try again"):
            await MailSink(MailServer("127.0.0.1", port, "b@p.org"), ["ann@home.org"]).deliver([HELD])
    with pytest.raises(SinkFailed):
        await MailSink(MailServer("127.0.0.1", port, "b@p.org"), ["ann@home.org"]).deliver([HELD])


async def test_what_has_gone_out_is_not_sent_again_when_the_next_fails() -> None:
    with mail_server() as (mailbox, port):
        sink = MailSink(MailServer("127.0.0.1", port, "b@p.org"), ["ann@home.org"])
        mailbox.busy = 3
        with pytest.raises(SinkFailed) as failed:
            await sink.deliver([HELD, *several(3)])
        assert failed.value.taken == 2
        await sink.deliver(several(3)[1:])
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == len(mailbox.mails) == 4


@pytest.mark.parametrize("digest", [False, True])
async def test_a_receiver_that_is_refused_holds_nobody_up(
    digest: bool, caplog: pytest.LogCaptureFixture
) -> None:
    to = ["ann@home.org", "nobody@home.org", "eve@home.org"]
    with mail_server() as (mailbox, port):
        mailbox.unknown, mailbox.full = ("nobody@home.org",), ["eve@home.org"]
        sink = MailSink(MailServer("127.0.0.1", port, "b@p.org"), to, digest)
        with pytest.raises(SinkFailed, match="452 come again"):
            await sink.deliver([HELD])
        await sink.deliver([HELD])
        await sink.deliver([HELD])
        await MailSink(MailServer("127.0.0.1", port, "b@p.org"), to[1:2], digest).deliver([HELD])
    assert mailbox.receivers == [["ann@home.org"], ["eve@home.org"], ["ann@home.org", "eve@home.org"]]
    assert caplog.text.count("Passed over for nobody@home.org: Condor job 12.3: held: 550 nobody") == 2
    assert "Passed over: Condor job 12.3: held: mail to nobody@home.org" in caplog.text


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("mail", ("mail", 25)),
        ("mail:587", ("mail", 587)),
        ("::1", ("::1", 25)),
        ("[::1]", ("::1", 25)),
        ("[::1]:587", ("::1", 587)),
    ],
)
def test_addresses_of_servers(address: str, parsed: tuple[str, int]) -> None:
    assert parse_server(address) == parsed


@pytest.fixture(scope="module")
def chat(certificates: Path) -> Iterator[prosody.Server]:
    """The XMPP server at the address in BIRDBATH_TEST_XMPP, or else one of the tests' own."""
    if (server := prosody.given()) is not None:
        yield server
        return
    require("Prosody (Debian's prosody)", prosody.program() is not None)
    with prosody.running(certificates, ["bird", "ann", "bob", "eve"], {"bird": ["ann", "bob"]}) as server:
        yield server


@asynccontextmanager
async def contact(name: str, server: prosody.Server) -> AsyncIterator[asyncio.Queue[str]]:
    """Somebody with a chat client: the messages that arrive."""
    client, arrived, ready = (
        ClientXMPP(f"{name}@localhost", prosody.PASSWORD),
        asyncio.Queue[str](),
        asyncio.Event(),
    )
    client.ssl_context = ssl.create_default_context(cafile=server.authority)
    client.add_event_handler("session_start", lambda event: ready.set())
    client.add_event_handler("message", lambda message: arrived.put_nowait(message["body"]))
    client.connect(server.host, server.port)
    await ready.wait()
    client.send_presence()
    await client.get_roster()
    try:
        yield arrived
    finally:
        await client.disconnect(wait=1.0)


@pytest.mark.toolkit
@pytest.mark.parametrize(("contacts", "told"), [(["ann"], "a"), (["ann", "eve"], "ae"), ([], "ab")])
async def test_chat(contacts: list[str], told: str, chat: prosody.Server) -> None:
    account = ChatAccount("bird@localhost", prosody.PASSWORD, chat.host, chat.port, chat.authority)
    async with (
        contact("ann", chat) as ann,
        contact("bob", chat) as bob,
        contact("eve", chat) as eve,
    ):
        sink = ChatSink(account, [f"{name}@localhost" for name in contacts])
        await sink.deliver([HELD])
        await sink.deliver(several(1))
        for name, queue in (("a", ann), ("b", bob), ("e", eve)):
            if name in told:
                assert "the disk is full" in await queue.get()
                assert await queue.get() == "Job 12.3 (ann): Job was unsuspended."
            assert queue.empty()
        await sink.close()


@pytest.mark.toolkit
async def test_what_no_stream_may_hold_ends_none(chat: prosody.Server) -> None:
    account = ChatAccount("bird@localhost", prosody.PASSWORD, chat.host, chat.port, chat.authority)
    async with contact("ann", chat) as ann:
        sink = ChatSink(account, ["ann@localhost"])
        await sink.deliver([record(12, {"HoldReason": "a \x1b[1mbold word\uffff", "HoldReasonCode": 3})])
        assert "a \ufffd[1mbold" in await ann.get()
        await sink.close()


@pytest.mark.toolkit
async def test_chat_that_cannot_be(chat: prosody.Server) -> None:
    wrong = ChatAccount("bird@localhost", "wrong", chat.host, chat.port, chat.authority)
    with pytest.raises(SinkFailed, match="cannot log in"):
        await ChatSink(wrong, ["ann@localhost"]).deliver([HELD])
    nobody = ChatAccount("bird@localhost", prosody.PASSWORD, "127.0.0.1", free_port(), chat.authority)
    with pytest.raises(SinkFailed):
        await ChatSink(nobody, ["ann@localhost"]).deliver([HELD])
    assert "wrong" not in repr(wrong)


@asynccontextmanager
async def json_service(posted: list[dict[str, Any]], refused: tuple[int, ...] = ()) -> AsyncIterator[str]:
    """Apprise's `json://` service posts anywhere: here to one of ours, which refuses the `refused`th."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        posted.append(json.loads(await reader.readexactly(length)))
        status = b"500 No" if len(posted) in refused else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


async def test_apprise_reaches_a_service() -> None:
    posted: list[dict[str, Any]] = []
    async with json_service(posted) as url:
        await AppriseSink([url]).deliver([HELD, *several(1)])
    assert [one["title"] for one in posted] == ["Condor job 12.3: held", "Condor job 12.3: unsuspended"]
    assert "the disk is full" in posted[0]["message"]
    with pytest.raises(SinkFailed):
        await AppriseSink([url]).deliver([HELD])


async def test_a_service_that_fails_floods_neither_itself_nor_others() -> None:
    one: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    async with json_service(one) as first, json_service(other, refused=(2,)) as second:
        sink = AppriseSink([first, second])
        with pytest.raises(SinkFailed) as failed:
            await sink.deliver([HELD, *several(2)])
        assert failed.value.taken == 1
        await sink.deliver(several(2))
    assert (len(one), len(other)) == (3, 4)


async def test_apprise_addresses_that_are_none() -> None:
    with pytest.raises(NoApprise, match="nonsense"):
        AppriseSink(["nonsense://x"])
