"""A campaign: jobs that change all the time, followers by stream, webhook and broker, and kills of all
sides.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from birdbath.client import Schedd
from tests.crash.wire import Lost, NotSent, Refused, Wire
from tests.following.hook import FailingReceiver, Taken
from tests.following.processes import Follower, Listener, stream_follower
from tests.rabbitmq import Broker
from tests.server_process import ServerProcess, running_server

CLIENTS = 4
JOBS = 10
PATIENCE = 240.0
"""Seconds without a new event after which followers are taken to have lost something."""


@dataclass
class Report:
    """What came of a campaign: `violations` is empty when nothing was lost."""

    events: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def summary(self) -> str:
        kills = ", ".join(f"{count} of the {what}" for what, count in sorted(self.kills.items()))
        again = ", ".join(f"{count} by {what}" for what, count in sorted(self.repeated.items()))
        return f"{self.events} events; kills: {kills}; delivered again: {again or 'none'}"


def run(home: Path, seed: str, events: int, kills: int, away: float, broker: Broker | None = None) -> Report:
    """About `events` events, `kills` kills of the server, more of the consumers and, with a broker, of the
    broker, and a receiver and a broker that are away for `away` seconds in the middle.
    """
    chance, report = random.Random(seed), Report()
    hook = FailingReceiver(0.01, random.Random(seed))
    house = _House(home, broker)
    with ExitStack() as stack:
        stack.callback(hook.go)
        stack.callback(house.stop)
        house.start()
        hook.secret = _subscribe(house.port, hook.url)
        followers = {"stream": stream_follower(house.port, home / "stream.journal")}
        if broker is not None:
            followers["amqp"] = Listener(home / "amqp.journal", broker.url)
        for follower in followers.values():
            stack.enter_context(follower.running())
        partition: threading.Thread | None = None
        producers = _Producers(house.port, events)
        stack.enter_context(producers.running())
        pauses = sorted(chance.random() for _ in range(kills))
        for number, share in enumerate(pauses):
            producers.until(int(share * events))
            if number == kills // 2:
                partition = threading.Thread(target=_be_away, args=(hook, broker, away))
                partition.start()
                stack.callback(partition.join)
                report.kills["partition"] += 1
            whom = [name for name in ("broker", *followers) if chance.random() < 0.5]
            house.kill()
            report.kills["server"] += 1
            if "broker" in whom and broker is not None and not (partition and partition.is_alive()):
                broker.kill()
                report.kills["broker"] += 1
                house.start()
                broker.start()
            else:
                house.start()
            for name in whom:
                if name in followers:
                    followers[name].kill()
                    report.kills[f"{name} consumer"] += 1
        producers.until(events)
        producers.stop()
        written = _log(house.port)
        _until_done(house.port, followers.values(), hook, written)
    report.events = len(written)
    for name, follower in followers.items():
        _audit(report, name, written, follower.taken())
    _audit(report, "webhook", written, hook.taken)
    if len(written) < producers.acknowledged:
        report.violations.append(f"{producers.acknowledged} changes, but {len(written)} events")
    return report


def _be_away(hook: FailingReceiver, broker: Broker | None, seconds: float) -> None:
    """A partition: nobody listens where the receiver was, and the broker's connections hang."""
    hook.go()
    if broker is not None:
        broker.stand_still()
    time.sleep(seconds)
    if broker is not None:
        broker.go_on()
    hook.come()


class _House:
    """A server that is killed and started again, always on the same port."""

    def __init__(self, home: Path, broker: Broker | None) -> None:
        self._home = home
        self._broker = {} if broker is None else {"BIRDBATH_AMQP_URL": f"{broker.url}?heartbeat=5"}
        self.port = 0
        self._stack = ExitStack()
        self._server: ServerProcess | None = None

    def start(self) -> None:
        environment = {"BIRDBATH_WEBHOOK_NETWORKS": "127.0.0.0/8", "COVERAGE_PROCESS_CONFIG": ""}
        environment |= self._broker
        options = ("--port", str(self.port), "--log-level", "warning")
        running = running_server(self._home, *options, environment=environment)
        self._server = self._stack.enter_context(running)
        self.port = int(self._server.url.rpartition(":")[2])

    def kill(self) -> None:
        assert self._server is not None
        self._server.process.send_signal(signal.SIGKILL)
        self._server.process.wait()

    def stop(self) -> None:
        self._stack.close()


def _subscribe(port: int, url: str) -> str:
    body = json.dumps({"kind": "webhook", "url": url, "after": 0})
    return str(_ask(port, "POST", "/events/subscriptions", body)["secret"])


def _ask(port: int, method: str, path: str, body: str | None = None) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"content-type": "application/json"})
        with connection.getresponse() as response:
            found = json.loads(response.read())
            assert response.status < 300, found
            return found


class _Producers:
    """Clients that hold and release jobs of their own, until there were enough changes."""

    def __init__(self, port: int, events: int) -> None:
        self._port = port
        self._each = -(-events // CLIENTS)
        self._done = [0] * CLIENTS
        self._changed = threading.Condition()
        self._stopping = False
        self._clusters: dict[int, int] = {}

    @property
    def acknowledged(self) -> int:
        """Changes that the server said it made."""
        return sum(self._done)

    def until(self, events: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.acknowledged >= min(events, self._each * CLIENTS))

    def stop(self) -> None:
        self._stopping = True

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, args=(n,)) for n in range(CLIENTS)]
        for number, thread in enumerate(threads):
            self._jobs(number)
            thread.start()
        try:
            yield
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def _jobs(self, number: int) -> None:
        with Schedd(f"http://127.0.0.1:{self._port}").transaction() as transaction:
            cluster = transaction.new_cluster()
            for _ in range(JOBS):
                job = cluster.new_job()
                job.submit(job.template("/bin/true", owner=f"user{number}", requirements="FALSE"))
            self._clusters[number] = int(cluster.id)

    def _work(self, number: int) -> None:
        wire, cluster = Wire(self._port), self._clusters[number]
        step = 0
        while self._done[number] < self._each and not self._stopping:
            operation = ("holdJob", "releaseJob")[step // JOBS % 2]
            if self._change(wire, operation, cluster, step % JOBS):
                with self._changed:
                    self._done[number] += 1
                    self._changed.notify_all()
            step += 1
        wire.close()

    def _change(self, wire: Wire, operation: str, cluster: int, job: int) -> bool:
        """Whether the server said that it did it; a call is made until it is answered."""
        where = f"<clusterId>{cluster}</clusterId><jobId>{job}</jobId><reason>r</reason>"
        flags = "<emailUser>false</emailUser><emailAdmin>false</emailAdmin><systemHold>false</systemHold>"
        while not self._stopping:
            try:
                wire.call(operation, where + flags)
            except (Lost, NotSent):
                time.sleep(0.02)
            except Refused:  # it was done by a call whose reply was lost
                return False
            else:
                return True
        return False


def _log(port: int) -> list[Taken]:
    """The event log itself, by long polling without a wait."""
    found: list[Taken] = []
    while True:
        last = found[-1][0] if found else 0
        page = _ask(port, "GET", f"/events?after={last}&wait=0&max=1000")
        if not page:
            return found
        found += [(int(event["sequence"]), event["id"], event["subject"]) for event in page]


def _until_done(
    port: int, followers: Collection[Follower], hook: FailingReceiver, written: Sequence[Taken]
) -> None:
    """Wait until all followers have got as far as they will: to the end, or no further for too long."""
    wanted, progress, since = len(written), [0], time.monotonic()
    while time.monotonic() - since < PATIENCE:
        now = [len(set(hook.taken)), *(len(set(follower.taken())) for follower in followers)]
        if now != progress:
            progress, since = now, time.monotonic()
        with suppress(OSError):
            known = _ask(port, "GET", "/events/subscriptions")["subscriptions"]
            if min(now) >= wanted and not any(subscription["lag"] for subscription in known):
                return
        time.sleep(0.5)


def _audit(report: Report, name: str, written: Sequence[Taken], taken: Sequence[Taken]) -> None:
    first: dict[int, Taken] = {}
    order: dict[str, int] = {}
    for event in taken:
        sequence, _, job = event
        if sequence in first:
            report.repeated[name] += 1
            if event != first[sequence]:
                report.violations.append(f"{name}: event {sequence} came as {event} and {first[sequence]}")
            continue
        first[sequence] = event
        if order.get(job, 0) > sequence:
            report.violations.append(f"{name}: event {sequence} of job {job} came after {order[job]}")
        order[job] = max(sequence, order.get(job, 0))
    missing = [event for event in written if first.get(event[0]) != event]
    if missing:
        report.violations.append(f"{name}: {len(missing)} of {len(written)} missing, such as {missing[:3]}")
    if [sequence for sequence, _, _ in written] != list(range(1, len(written) + 1)):
        report.violations.append("the log has gaps")
