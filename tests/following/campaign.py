"""A campaign: jobs of two pools that change all the time, followers by stream, webhook and broker, kills of
all sides, and a partition that cuts every follower off.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from birdbath.client import Schedd
from tests.crash.wire import Lost, NotSent, Refused, Wire
from tests.following.audit import Report, Taken
from tests.following.hook import SECRET, FailingReceiver
from tests.following.processes import Follower, Listener, stream_follower
from tests.network import Network
from tests.ports import free_port
from tests.rabbitmq import Broker
from tests.server_process import ServerProcess, running_server

POOLS = ("desk", "cluster")
"""The server's own, and a further one."""

CLIENTS = 4
JOBS = 10
PATIENCE = 240.0
"""Seconds without a new event after which followers are taken to have lost something."""


def run(home: Path, seed: str, events: int, kills: int, away: float, broker: Broker | None = None) -> Report:
    """About `events` events, `kills` kills of the server, more of the consumers, of the receiver of webhooks
    and, with a broker, of the broker.

    In the middle a partition cuts off the streams' readers, the receiver and the broker, this from the server
    as from its consumers. It lasts from one kill of the server to the next at least, for `away` seconds at
    least, and longer than any connection.
    """
    chance, report = random.Random(seed), Report()
    hook = FailingReceiver(0.01, random.Random(seed))
    with ExitStack() as stack:
        stack.callback(hook.go)
        network = stack.enter_context(Network().running())
        house = _House(home, None if broker is None else network.way("relay", broker.port))
        stack.callback(house.stop)
        house.start()
        receiver, server = network.way("webhook", hook.port), network.way("stream", house.port)
        followers: dict[str, Follower] = {}
        for pool in POOLS:
            _subscribe(house.port, pool, f"http://127.0.0.1:{receiver}/{pool}")
            journal = home / f"{pool}.journal"
            followers[f"stream of {pool}"] = stream_follower(server, f"/pools/{pool}/events", journal)
        if broker is not None:
            way = _broker_url(network.way("listener", broker.port))
            followers["listener"] = Listener(home / "listener.journal", broker.url, way)
        for follower in followers.values():
            stack.enter_context(follower.running())
        producers = _Producers(house.port, events)
        stack.enter_context(producers.running())
        pauses = sorted(chance.random() for _ in range(kills))
        reunion: float | None = None
        for number, share in enumerate(pauses):
            producers.until(int(share * events))
            whom = [name for name in ("broker", "receiver", *followers) if chance.random() < 0.5]
            house.kill()
            report.kills["server"] += 1
            if "broker" in whom and broker is not None:
                broker.kill()
                broker.start()
                report.kills["broker"] += 1
            if "receiver" in whom:
                hook.go()
                report.kills["receiver"] += 1
            house.start()
            if "receiver" in whom:
                hook.come()
            for name in whom:
                if name in followers:
                    followers[name].kill()
                    report.kills[name] += 1
            if reunion is not None and not report.severed and time.monotonic() >= reunion:
                report.severed = network.mend()
            if number == (kills - 1) // 2:
                network.cut()
                reunion = time.monotonic() + away
        producers.until(events)
        producers.stop()
        if reunion is not None and not report.severed:
            threading.Event().wait(max(0.0, reunion - time.monotonic()))
            report.severed = network.mend()
        written = {pool: _log(house.port, pool) for pool in POOLS}
        everything = [event for pool in POOLS for event in written[pool]]
        _until_done(house.port, followers.values(), hook, len(everything))
    report.events = len(everything)
    report.audit_log(everything)
    for name, follower in followers.items():
        report.audit(name, written.get(name.removeprefix("stream of "), everything), follower.taken())
    report.audit("webhook", everything, hook.taken)
    if len(everything) < producers.acknowledged:
        report.violations.append(f"{producers.acknowledged} changes, but {len(everything)} events")
    return report


def _broker_url(port: int) -> str:
    return f"amqp://guest:guest@127.0.0.1:{port}/?heartbeat=5"


class _House:
    """A server that is killed and started again, always on the same port, and reaches a broker by one."""

    def __init__(self, home: Path, broker: int | None) -> None:
        self._home = home / "home"
        self._broker = {} if broker is None else {"BIRDBATH_AMQP_URL": _broker_url(broker)}
        self._settings = home / "birdbath.toml"
        own, further = POOLS
        self._settings.write_text(f'pool_name = "{own}"\n[pools.{further}]\npool = "laptop"\n')
        self.port = free_port()
        self._stack = ExitStack()
        self._server: ServerProcess | None = None

    def start(self) -> None:
        environment = {"BIRDBATH_WEBHOOK_NETWORKS": "127.0.0.0/8"}
        environment |= self._broker
        options = ("--port", str(self.port), "--config", str(self._settings), "--log-level", "warning")
        running = running_server(self._home, *options, environment=environment)
        self._server = self._stack.enter_context(running)

    def kill(self) -> None:
        assert self._server is not None
        self._server.process.send_signal(signal.SIGKILL)
        self._server.process.wait()

    def stop(self) -> None:
        self._stack.close()


def _subscribe(port: int, pool: str, url: str) -> None:
    body = json.dumps({"kind": "webhook", "url": url, "after": 0, "secret": SECRET})
    _ask(port, "POST", f"/pools/{pool}/events/subscriptions", body)


def _ask(port: int, method: str, path: str, body: str | None = None) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"content-type": "application/json"})
        with connection.getresponse() as response:
            found = json.loads(response.read())
            assert response.status < 300, found
            return found


class _Producers:
    """Clients that hold and release jobs of their own, in each pool, until there were enough changes."""

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
        with Schedd(f"http://127.0.0.1:{self._port}{_schedd_of(number)}").transaction() as transaction:
            cluster = transaction.new_cluster()
            for _ in range(JOBS):
                job = cluster.new_job()
                job.submit(job.template("/bin/true", owner=f"user{number}", requirements="FALSE"))
            self._clusters[number] = int(cluster.id)

    def _work(self, number: int) -> None:
        wire, cluster = Wire(self._port, _schedd_of(number)), self._clusters[number]
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


def _schedd_of(client: int) -> str:
    return f"/pools/{POOLS[client % len(POOLS)]}/schedd"


def _log(port: int, pool: str) -> list[Taken]:
    """The event log of a pool itself, by long polling without a wait."""
    found: list[Taken] = []
    while True:
        last = found[-1].sequence if found else 0
        page = _ask(port, "GET", f"/pools/{pool}/events?after={last}&wait=0&max=1000")
        if not page:
            return found
        found += [Taken(one["source"], int(one["sequence"]), one["id"], one["subject"]) for one in page]


def _until_done(port: int, followers: Collection[Follower], hook: FailingReceiver, events: int) -> None:
    """Wait until all followers have got as far as they will: to the end, or no further for too long.

    A stream has its pool's events only, a broker and the receiver those of all.
    """
    progress, since = [0], time.monotonic()
    while time.monotonic() - since < PATIENCE:
        streams = [len(set(one.taken())) for one in followers if not isinstance(one, Listener)]
        others = [len(set(one.taken())) for one in followers if isinstance(one, Listener)]
        now = [sum(streams), len(set(hook.taken)), *others]
        if now != progress:
            progress, since = now, time.monotonic()
        with suppress(OSError):
            if min(now) >= events and not any(_lags(port, pool) for pool in POOLS):
                return
        time.sleep(0.5)


def _lags(port: int, pool: str) -> bool:
    known = _ask(port, "GET", f"/pools/{pool}/events/subscriptions")["subscriptions"]
    return any(subscription["lag"] for subscription in known)
