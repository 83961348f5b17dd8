"""Following the event log: what writing it costs, how late its followers are, and what they take."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.messages import job, message
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from birdbath.classads import Ad, Expression
from birdbath.client import Schedd
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobId, NewJob
from birdbath.pool.simulated.job_table import Charge, JobTable
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool

GROUP = "following events"
EVENTS_PER_SECOND = 100
FOLLOWERS = 200
_FLAGS = "<emailUser>false</emailUser><emailAdmin>false</emailAdmin><systemHold>false</systemHold>"


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """Events written with their changes; delays at 100 events a second; 200 streams at once."""
    written = [_writing(folder, together, scale) for together in (1, 20)]
    with birdbath(folder / "delays") as server:
        delays = _delays(server, scale.calls // 8)
    with birdbath(folder / "streams") as server:
        return [*written, *delays, *_streams(server, scale.calls // 40)]


# ---------------------------------------------------------------- writing


def _writing(folder: Path, together: int, scale: Scale) -> Figure:
    engine = open_engine(f"sqlite:///{folder / f'written{together}.db'}")
    writer = Writer(engine)
    pool = SimulatedPool(engine, Spool(folder / f"spool{together}"))
    jobs = [JobId(1, proc) for proc in range(together)]
    try:
        writer.write_now(lambda unit: pool.queue.accept(unit, [NewJob(job, _ad()) for job in jobs]))
        measures = [partial(_rate, writer, jobs, with_events, scale) for with_events in (True, False)]
        with_events, alone = alternated(measures, scale.repeats)
    finally:
        pool.close()
        writer.close()
        engine.dispose()
    name = f"changes of jobs with their events, {together} in a commit"
    return compared(GROUP, name, with_events, "changes/s", "the same rows alone", alone, at_least=0.5)


def _ad() -> Ad:
    ad = Ad()
    ad.update({"Owner": "alice", "Cmd": "/bin/true", "JobUniverse": 5, "JobStatus": 1})
    ad.set("Requirements", Expression("FALSE"))
    ad.update({f"Attribute{number}": f"value {number}" for number in range(70)})
    return ad


def _rate(writer: Writer, jobs: list[JobId], with_events: bool, scale: Scale) -> float:
    rounds = max(1, scale.calls // 4 // len(jobs))
    started = time.perf_counter()
    for number in range(rounds):
        writer.write_now(lambda unit, number=number: _change(unit, jobs, number, with_events))  # type: ignore[misc]
    return rounds * len(jobs) / (time.perf_counter() - started)


class _NoClaims:
    """Nothing is claimed."""

    def submitter(self, ad: Ad) -> str:
        return ""

    def change(self, unit: UnitOfWork, moved: Sequence[QueuedJob], charges: Sequence[Charge]) -> None:
        raise AssertionError("no job has a slot")


def _change(unit: UnitOfWork, jobs: list[JobId], number: int, with_events: bool) -> None:
    table = JobTable(unit, lambda ad: "", _NoClaims(), time.time())
    for identifier in jobs:
        queued = table.load(identifier)
        assert queued is not None
        queued.ad.set("JobPrio", number)
        held = JobEvent(EventType.JOB_HELD, *identifier, "alice", time.time(), {"HoldReason": "r"})
        table.save(queued, [held] if with_events else ())
    table.flush()


# ---------------------------------------------------------------- delays


def _delays(server: Server, events: int) -> list[Figure]:
    """How long after its own time, which is before its commit, an event is read from the stream."""
    delays: list[float] = []
    with _stream(server.port) as lines:
        reader = threading.Thread(target=_note, args=(lines, delays, events))
        reader.start()
        _change_jobs(server.port, events, 1 / EVENTS_PER_SECOND)
        reader.join()
    delays.sort()
    at = f"at {EVENTS_PER_SECOND} events/s, from the change to the stream's reader"
    return [
        Figure(GROUP, f"delay {at}, median", statistics.median(delays) * 1e3, "ms"),
        Figure(GROUP, f"delay {at}, 99th percentile", delays[int(len(delays) * 0.99)] * 1e3, "ms"),
    ]


@contextmanager
def _stream(port: int) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(
            "GET",
            "/events?topic=job.held.%23&topic=job.released.%23&form=json&after=0",
            headers={"Accept": "text/event-stream"},
        )
        yield connection.getresponse()
    finally:
        connection.close()


def _note(lines: http.client.HTTPResponse, delays: list[float], events: int) -> None:
    for line in lines:
        if line.startswith(b"data: "):
            moment = json.loads(line[6:])["EventTime"]
            delays.append(time.time() - _seconds(moment))
            if len(delays) == events:
                return


def _seconds(moment: str) -> float:
    whole, _, fraction = moment.partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def _change_jobs(port: int, events: int, pause: float) -> None:
    """Hold and release one job, every `pause` seconds."""
    with Schedd(f"http://127.0.0.1:{port}").transaction() as transaction:
        made = transaction.new_cluster().new_job()
        made.submit(made.template("/bin/true", owner="alice", requirements="FALSE"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    where = job(made.id.cluster, made.id.proc) + "<reason>r</reason>" + _FLAGS
    due = time.monotonic()
    for number in range(events):
        connection.request(
            "POST", "/", message(("holdJob", "releaseJob")[number % 2], where), {"Content-Type": "text/xml"}
        )
        reply = connection.getresponse().read()
        if b"<code>SUCCESS</code>" not in reply:
            raise RuntimeError(reply.decode())
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))
    connection.close()


# ---------------------------------------------------------------- streams


def _streams(server: Server, events: int) -> list[Figure]:
    """What 200 streams take of memory while they get every event, and how long the last of them is behind."""
    _change_jobs(server.port, events, 0)
    before = server.resident()
    with ExitStack() as stack:
        connections = [stack.enter_context(_connected(server.port)) for _ in range(FOLLOWERS)]
        for connection in connections:
            connection.recv(65536)
        started = time.monotonic()
        _change_jobs(server.port, events, 0)
        changed = time.monotonic() - started
        for connection in connections:
            _read_events(connection, events)
        last = time.monotonic() - started
        taken = server.resident() - before
    return [
        Figure(GROUP, f"memory of each of {FOLLOWERS} streams", taken / FOLLOWERS / 1024, "KiB"),
        Figure(GROUP, f"{events} changes, followed by {FOLLOWERS} streams", events / changed, "changes/s"),
        Figure(
            GROUP, "the last event at the last of them, after the last change", (last - changed) * 1e3, "ms"
        ),
    ]


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(
            b"GET /events?topic=job.held.%23&topic=job.released.%23 HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\n\r\n"
        )
        yield connection


def _read_events(connection: socket.socket, events: int) -> None:
    found = 0
    while found < events:
        data = connection.recv(1 << 20)
        if not data:
            raise RuntimeError("a stream ended")
        found += data.count(b"data: ")
