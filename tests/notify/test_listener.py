"""Listeners: from a server or a broker, through a filter, to a sink; feedback mode; the command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from typer.testing import CliRunner

from birdbath.access import AccessRules, Level
from birdbath.classads import Ad
from birdbath.cli import app
from birdbath.events import EventRecord
from birdbath.notify import Filter
from birdbath.notify.brokers import source as broker_source
from birdbath.notify.deliveries import Delivery, SinkFailed
from birdbath.notify.filters import InvalidFilter
from birdbath.notify.http_source import HttpSource, ServerRefuses, StreamParser
from birdbath.notify.listener import Listener
from birdbath.notify.pauses import Pauses
from birdbath.notify.tasks import end
from birdbath.store.tables import jobs
from tests.events.test_forms import record
from tests.notify.amqp.queues import declared
from tests.notify.amqp.test_relay import a_name, relaying
from tests.notify.house import RELEASED, Open, event
from tests.notify.serving import serving
from tests.rabbitmq import Broker

pytestmark = pytest.mark.anyio


def quick() -> Pauses:
    return Pauses(first=0.01, longest=0.05)


class Kept:
    """A sink that keeps what it gets, and fails as often as it is told to."""

    def __init__(self, failures: int = 0, taken: int = 0) -> None:
        self.taken = taken
        self.groups: list[list[EventRecord]] = []
        self.failures = failures
        self._changed = asyncio.Condition()

    @property
    def clusters(self) -> list[int]:
        return [event.cluster for group in self.groups for event in group]

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        if self.failures:
            self.failures -= 1
            if self.taken:
                await self._keep(events[: self.taken])
            raise SinkFailed("full", self.taken)
        await self._keep(events)

    async def _keep(self, events: Sequence[EventRecord]) -> None:
        async with self._changed:
            self.groups.append(list(events))
            self._changed.notify_all()

    async def close(self) -> None: ...

    async def until(self, *clusters: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.clusters == list(clusters))


class Given:
    """A source of what a test says."""

    def __init__(self, *groups: list[EventRecord]) -> None:
        self.groups = groups
        self.acknowledged: list[int] = []
        self.filters: list[Filter] = []
        self.over = asyncio.Event()

    def unapplied(self, filter: Filter) -> Filter:
        return filter.without_jobs()

    async def use(self, filter: Filter) -> None:
        self.filters.append(filter)

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        for number, group in enumerate(self.groups):
            yield Delivery(group, self._acknowledge(number))
        self.over.set()
        await asyncio.Event().wait()

    def _acknowledge(self, number: int) -> Callable[[], Awaitable[None]]:
        async def acknowledge() -> None:
            self.acknowledged.append(number)

        return acknowledge


def numbered(*clusters: int) -> list[EventRecord]:
    return [EventRecord(n, f"e{n}", float(n), 12, n, 0, "ann", event(n).ad()) for n in clusters]


async def stop(task: asyncio.Task[None]) -> None:
    await end(task)
    assert task.cancelled()


async def test_a_sink_that_fails_is_asked_again_and_nothing_is_acknowledged_before() -> None:
    source, sink = Given(numbered(1, 2), numbered(3)), Kept(failures=3)
    task = asyncio.create_task(Listener(source, sink, Filter.of(), pauses=quick).run())
    await sink.until(1, 2, 3)
    await stop(task)
    assert [len(group) for group in sink.groups] == [2, 1]
    assert source.acknowledged[0] == 0


async def test_what_a_sink_has_taken_it_gets_no_more() -> None:
    source, sink = Given(numbered(1, 2, 3), numbered(1, 4)), Kept(failures=2, taken=1)
    task = asyncio.create_task(Listener(source, sink, Filter.of(), pauses=quick).run())
    await sink.until(1, 2, 3, 4)
    await stop(task)


async def test_what_comes_twice_is_delivered_once() -> None:
    source, sink = Given(numbered(1, 2), numbered(1, 2, 3), numbered(2)), Kept()
    task = asyncio.create_task(Listener(source, sink, Filter.of(), pauses=quick).run())
    await source.over.wait()
    await sink.until(1, 2, 3)
    await stop(task)


async def test_a_digest_gathers_what_comes_within_its_window() -> None:
    source, sink = Given(numbered(1), numbered(2), numbered(3)), Kept()
    task = asyncio.create_task(Listener(source, sink, Filter.of(), window=2.0, pauses=quick).run())
    await sink.until(1, 2, 3)
    await stop(task)
    assert len(sink.groups) == 1


async def test_the_listener_filters_for_itself() -> None:
    source, sink = Given(numbered(1, 2), numbered(3)), Kept()
    task = asyncio.create_task(Listener(source, sink, Filter.of([], "Cluster >= 2"), pauses=quick).run())
    await source.over.wait()
    await stop(task)
    assert sink.clusters in ([2, 3], [2])


async def test_a_new_filter_is_sent_back() -> None:
    source, sink = Given(), Kept()
    listener = Listener(source, sink, Filter.of(), pauses=quick)
    await listener.use(Filter.of(["job.held.#"]), feedback=False)
    assert source.filters == []
    await listener.use(Filter.of(["job.released.#"]))
    assert source.filters == [listener.filter] == [Filter.of(["job.released.#"])]


async def test_from_a_server_with_a_filter_that_changes(house: Open, tmp_path: Path) -> None:
    async with house() as opened, serving(opened) as client:
        state, sink = tmp_path / "state", Kept()
        await client.post("/events/subscriptions", json={})
        source = HttpSource(str(client.base_url), Filter.of(["job.held.#"]), state, pauses=quick)
        listener = Listener(source, sink, Filter.of(["job.held.#"]), pauses=quick)
        await source._ensure()
        task = asyncio.create_task(listener.run())
        await opened.write(event(1), event(2, RELEASED), event(3))
        await sink.until(1, 3)
        await listener.use(Filter.of(["job.released.#"]))
        await opened.write(event(4), event(5, RELEASED))
        await sink.until(1, 3, 5)
        subscription = state.read_text().strip()
        server_side = Filter.from_json(opened.notifier.subscriptions.get(subscription).filter)
        assert server_side == listener.filter
        await stop(task)
        again = HttpSource(str(client.base_url), listener.filter, state, pauses=quick)
        await opened.write(event(6, RELEASED))
        deliveries = again.deliveries()
        found = [one.cluster for one in (await anext(deliveries)).events]
        await deliveries.aclose()
    assert found in ([6], [5, 6])  # an acknowledgement may have been cut off


async def test_a_constraint_on_the_job_is_the_servers_to_apply(house: Open, engine: Engine) -> None:
    constraint = Filter.of([], 'Job.Cmd == "/bin/sleep" && JobUniverse == 5')
    for cluster, cmd in ((1, "/bin/true"), (2, "/bin/sleep")):
        job = Ad()
        job.update({"Owner": "ann", "Cmd": cmd, "JobUniverse": 5})
        row = {"cluster_id": cluster, "proc_id": 0, "version": cluster, "in_queue": True, "status": 4}
        with engine.begin() as connection:
            connection.execute(insert(jobs).values(**row, owner="ann", ad=job.to_json()))
    async with house() as opened, serving(opened) as client:
        sink, source = Kept(), HttpSource(str(client.base_url), constraint, pauses=quick)
        await source._ensure()
        task = asyncio.create_task(Listener(source, sink, constraint, pauses=quick).run())
        await opened.write(event(1), event(2))
        await sink.until(2)
        await stop(task)


async def test_a_constraint_on_the_job_is_refused_where_no_job_comes() -> None:
    url = "amqp://127.0.0.1"
    for nonsense in ('Job.Cmd == "/bin/sleep"', "JobUniverse == 5 && Cluster > 1"):
        filter = Filter.of([], nonsense)
        with pytest.raises(InvalidFilter, match="no attribute of an event"):
            Listener(broker_source(url, filter), Kept(), filter)
    kept = Filter.of([], 'regexp("disk", TARGET.HoldReason) || CpusUsage > 1')
    listener = Listener(broker_source(url, kept), Kept(), kept)
    with pytest.raises(InvalidFilter):
        await listener.use(Filter.of([], "JobUniverse == 5"), feedback=False)
    assert listener.filter == kept
    told = Filter.of(["job.ad_information.#"], "JobUniverse == 5")
    assert Listener(broker_source(url, told), Kept(), told).filter == told


async def test_a_state_file_is_on_disk_with_its_name(
    house: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def recording(descriptor: int, fsync: Callable[[int], None] = os.fsync) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter.of(), tmp_path / "state", pauses=quick)
        monkeypatch.setattr(os, "fsync", recording)
        await source._ensure()
        await source._leave()
    assert {str(tmp_path / "state.new"), str(tmp_path)} <= set(synced)


async def test_without_a_state_file_the_subscription_ends_with_the_listener(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter.of(), pauses=quick)
        await source._ensure()
        deliveries = source.deliveries()
        await opened.write(event(1))
        assert (await anext(deliveries)).events[0].cluster == 1
        assert len(opened.notifier.subscriptions.all()) == 1
        await deliveries.aclose()
        assert opened.notifier.subscriptions.all() == []


async def test_a_subscription_that_is_gone_is_made_anew_from_where_the_listener_is(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter.of(), pauses=quick)
        subscriptions, deliveries = opened.notifier.subscriptions, source.deliveries()
        await source._ensure()
        for number in range(1, 4):
            await opened.write(event(number))
            delivery = await anext(deliveries)
            assert [found.cluster for found in delivery.events] == [number]
            (known,) = subscriptions.all()
            if number == 2:  # the acknowledgement comes too late
                await subscriptions.remove(known.id)
                await delivery.acknowledge()
            else:
                await delivery.acknowledge()
                await subscriptions.remove(known.id)
        await deliveries.aclose()


async def test_a_filter_that_the_server_refuses_leaves_the_former_one_in_force(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        held, sink = Filter.of(["job.held.#"]), Kept()
        source = HttpSource(str(client.base_url), held, pauses=quick)
        listener = Listener(source, sink, held, pauses=quick)
        await source._ensure()
        task = asyncio.create_task(listener.run())
        with pytest.raises(ServerRefuses, match="can match nothing"):
            await listener.use(Filter(("no.such.topic",)))
        assert listener.filter == held
        (known,) = opened.notifier.subscriptions.all()
        await opened.notifier.subscriptions.remove(known.id)  # what it asks for next is not the refused one
        await opened.write(event(1))
        await sink.until(1)
        await stop(task)


async def test_a_log_that_has_begun_anew_is_listened_to_from_now_on(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter.of(), pauses=quick)
        source._through = 100
        await source._ensure()
        assert [known.cursor for known in opened.notifier.subscriptions.all()] == [0]
        await source._leave()


async def test_a_listener_has_one_subscription_whoever_asks_for_it_first(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter.of(), pauses=quick)
        await asyncio.gather(source.use(Filter.of(["job.held.#"])), source._ensure())
        assert [json.loads(known.filter)["topics"] for known in opened.notifier.subscriptions.all()] == [
            ["job.held.#"]
        ]
        await source._leave()


async def test_reading_is_enough_to_listen(house: Open) -> None:
    readers = AccessRules.of({Level.READ: ["*"], Level.WRITE: ["root"]}, {})
    async with house() as opened, serving(opened, rules=readers) as client:
        deliveries = HttpSource(str(client.base_url), Filter.of(), pauses=quick).deliveries()
        upcoming = asyncio.ensure_future(anext(deliveries))
        while not opened.notifier.subscriptions.all():
            await asyncio.sleep(0.001)
        await opened.write(event(1))
        delivery = await upcoming
        assert [found.cluster for found in delivery.events] == [1]
        await delivery.acknowledge()
        assert [known.cursor for known in opened.notifier.subscriptions.all()] == [1]
        await deliveries.aclose()


async def test_a_server_that_refuses_is_not_asked_for_ever(house: Open) -> None:
    async with house() as opened, serving(opened) as client:
        source = HttpSource(str(client.base_url), Filter(("no.such.topic",)), pauses=quick)
        with pytest.raises(ServerRefuses, match="can match nothing"):
            await anext(source.deliveries())


@pytest.mark.parametrize("known", [False, True])
async def test_an_address_without_events_is_said_to_be_none(house: Open, known: bool, tmp_path: Path) -> None:
    state = tmp_path / "state"
    if known:
        state.write_text("its-id\n")
    async with house() as opened, serving(opened) as client:
        source = HttpSource(f"{client.base_url}/nope", Filter.of(), state, pauses=quick)
        with pytest.raises(ServerRefuses, match=r"no events at http.*/nope/events/subscriptions"):
            await anext(source.deliveries())
    assert state.exists() == known


@pytest.mark.parametrize(
    ("status", "kind", "refused"),
    [
        (200, "text/html", True),
        (301, "text/html", True),
        (404, "text/html; charset=utf-8", True),
        (500, "text/html", True),
        (500, "text/plain", False),
        (502, "text/html", False),
        (503, "application/problem+json", False),
    ],
)
async def test_who_answers_is_no_server_of_events(status: int, kind: str, refused: bool) -> None:
    asked = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} So\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n".encode())
        writer.write(b"Connection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        asked.release()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    asking = asyncio.ensure_future(anext(HttpSource(url, Filter.of(), pauses=quick).deliveries()))
    if refused:
        with pytest.raises(ServerRefuses, match=f"the answer is {status} So, text/html"):
            await asking
    else:
        for _ in range(3):
            await asked.acquire()
        await end(asking)
    server.close()
    await server.wait_closed()


async def test_a_server_that_is_away_is_waited_for(house: Open, tmp_path: Path) -> None:
    source = HttpSource("http://127.0.0.1:9", Filter.of(), tmp_path / "state", pauses=quick)
    waiting = asyncio.ensure_future(anext(source.deliveries()))
    await asyncio.wait([waiting], timeout=0.2)
    assert not waiting.done()
    await end(waiting)


def test_a_stream_in_any_pieces() -> None:
    from birdbath.events import form

    body = form("cloudevents", "urn:pool")(record(12))
    stream = b"retry: 1000\n\nid: 4\ndata: " + body + b"\n\nid: 9\n\nevent: filter\ndata: {}\n\ndata: x\n\n"
    parser = StreamParser()
    parts = [parser.feed(bytes([byte])) for byte in stream]
    assert [event.id for events, _ in parts for event in events] == ["e-7"]
    assert [last for _, last in parts if last is not None] == [4, 9]


@pytest.mark.toolkit
async def test_the_command_from_a_broker_to_a_file(house: Open, broker: Broker, tmp_path: Path) -> None:
    exchange, queue, log, wanted = a_name(), a_name(), tmp_path / "log", tmp_path / "filter.json"
    wanted.write_text(json.dumps({"topics": ["job.held.#"]}))
    await declared(broker.url, exchange, queue, "job.held.#")
    arguments = [broker.url, "--exchange", exchange, "--queue", queue, "--file", str(log), "--form", "json"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "birdbath", "listen", *arguments, "--filter-file", str(wanted)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with house() as opened, relaying(opened, broker.url, exchange):
        while b"Listening on" not in await process.stderr.readline():
            pass
        await opened.write(event(1), event(2, RELEASED))
        await _until(lambda: log.exists() and b'"Cluster":1' in log.read_bytes())
        wanted.write_text(json.dumps({"topics": ["job.released.#"]}))
        process.send_signal(signal.SIGHUP)
        await _until_written(opened.write, log, b'"Cluster":4')
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    found = [json.loads(line)["Cluster"] for line in log.read_text().splitlines()]
    assert set(found) == {1, 4}


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)  # another process writes the file


async def _until_written(write: Callable[..., Awaitable[int]], log: Path, text: bytes) -> None:
    """Events until one passes the new filter: when it was read is for the other process to know."""
    while text not in log.read_bytes():
        await write(event(4, RELEASED))
        await asyncio.sleep(0.05)


CHAT = ["--chat", "a@b.c", "--jid", "b@b.c", "--xmpp-password", "pw"]


def test_mistakes_are_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes('{"topics": ["job.*.jörg.#"]}'.encode("latin-1"))
    for arguments, reason in (
        (["http://127.0.0.1:1"], "--file, --mail, --chat and --apprise"),
        (["http://127.0.0.1:1", "--file", "-", "--mail", "a@b.c"], "one of"),
        (["nonsense", "--file", "-"], "A source is a URL such as http://host"),
        (["http://", "--file", "-"], "A source is a URL such as http://host"),
        (["http://127.0.0.1:1", "--file", "-", "--queue", "q"], "--queue is for a broker"),
        (["amqp://127.0.0.1", "--file", "-", "--state", "s"], "--state is for a server"),
        (["http://127.0.0.1:1", "--file", str(tmp_path / "none" / "x")], "none/x: No such file or directory"),
        (["amqp://127.0.0.1", "--file", "-", "--unbind", "job.#"], "--unbind is for a --queue"),
        (["http://127.0.0.1:1", "--file", "-", "--topic", "x.y"], "can match nothing"),
        (["amqp://127.0.0.1", "--file", "-", "--constraint", "JobUniverse == 5"], "looks at JobUniverse"),
        (["http://127.0.0.1:1", "--chat", "a@b.c"], "--jid"),
        (
            ["http://127.0.0.1:1", "--mail", "a@b.c", "--smtp", "h:p"],
            "--smtp is host or host:port, not",
        ),
        (
            ["http://127.0.0.1:1", *CHAT, "--xmpp-server", "h:p"],
            "--xmpp-server is host or host:port",
        ),
        (["http://127.0.0.1:1", *CHAT, "--chat", "roster"], "no contact beside it"),
        (["http://127.0.0.1:1", *CHAT, "--chat", "a@@b"], "'a@@b' is no XMPP address"),
        (["http://127.0.0.1:1", "--file", "-", "--form", "yaml"], "No event form"),
        (["http://127.0.0.1:1", "--file", "-", "--filter-file", str(tmp_path / "latin")], "is not JSON"),
    ):
        done = CliRunner().invoke(app, ["listen", *arguments])
        assert done.exit_code == 1, done.output
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
