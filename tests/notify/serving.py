"""The routes of events on a real socket, and receivers of webhooks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import uvicorn

from birdbath.access.rules import Rules
from birdbath.http import HttpApplication
from birdbath.http.asgi import Scope, header
from birdbath.http.authentication import Authentication
from birdbath.http.credentials import Identity
from birdbath.http.event_routes import EventRoutes
from birdbath.notify.webhooks import Webhooks, WebhookSettings
from birdbath.server import listen, url_of
from tests.notify.house import House
from tests.soap.wire import Daemons

LOOPBACK = WebhookSettings(networks=("127.0.0.0/8",), first_pause=0.01, longest_pause=0.05)


class Named:
    """Believes whoever says who he is."""

    challenge: bytes | None = b"Named"

    async def identify(self, scope: Scope, address: str) -> Identity | None:
        name = header(scope, b"x-account").decode()
        return Identity(name, "named") if name else None


@asynccontextmanager
async def serving(
    house: House,
    settings: WebhookSettings = LOOPBACK,
    max_followers: int = 1000,
    rules: Rules | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server over the house's events."""
    routes = EventRoutes(house.notifier, Webhooks(house.notifier, settings), max_followers)
    application = HttpApplication(Daemons(), authentication=Authentication([Named()], rules), routes=[routes])
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    task = asyncio.create_task(server._serve([listener]))
    try:
        async with httpx.AsyncClient(base_url=url_of(listener), timeout=60, trust_env=False) as client:
            yield client
    finally:
        house.notifier.log.end()
        server.should_exit = True
        await task
        listener.close()


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """The messages of an event stream by field; without data those that only say where to go on from."""
    message: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            message[name] = f"{message[name]}\n{value}" if name in message else value
        elif message:
            yield message
            message = {}


def data(message: dict[str, str]) -> Any:
    return json.loads(message["data"])


Request = tuple[dict[str, str], bytes]
Judge = Callable[[dict[str, str], bytes], int]
"""Says with which status a request is answered."""


class Receiver:
    """An HTTP server that remembers what was posted to it."""

    def __init__(self, judge: Judge) -> None:
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = {name.lower(): value for name, value in self.headers.items()}, body
                status = judge(*request)
                with outer._changed:
                    outer.requests.append(request)
                    if 200 <= status < 300:
                        outer.taken.append(request)
                    outer._changed.notify_all()
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody wants to read it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    async def until(self, enough: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `enough` is true of what has come."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(enough, seconds)

        assert await asyncio.to_thread(wait), f"{len(self.taken)} of {len(self.requests)} requests taken"

    @property
    def clusters(self) -> list[int]:
        """The clusters of the events that were taken, in order."""
        return [json.loads(body)["data"]["Cluster"] for _, body in self.taken]

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def receiving(judge: Judge = lambda headers, body: 204) -> Iterator[Receiver]:
    """A receiver that takes everything, or what `judge` says."""
    with Receiver(judge).running() as receiver:
        yield receiver
