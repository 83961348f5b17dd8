"""A receiver of webhooks that fails: it refuses, hangs up before or after it took an event, or is away."""

from __future__ import annotations

import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook

from tests.following.audit import Taken
from tests.ports import free_port

SECRET = "whsec_" + "c2VjcmV0" * 4
"""What the campaign's subscriptions sign with."""


class FailingReceiver:
    """Takes events on a port of its own; `failing` is the part of the requests that go wrong."""

    def __init__(self, failing: float, chance: random.Random) -> None:
        self.taken: list[Taken] = []
        self._lock = threading.Lock()
        self._failing, self._chance = failing, chance
        self._server: ThreadingHTTPServer | None = None
        self.port = free_port()
        self.come()

    def come(self) -> None:
        """Listen, on the same port as ever."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = outer.judge({k.lower(): v for k, v in self.headers.items()}, body)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nobody wants to read it."""

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A server that was killed in the middle of a request."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def go(self) -> None:
        """Be away: connections are refused."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def judge(self, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer; 0 to hang up instead."""
        event = Webhook(SECRET).verify(body, headers)
        assert event["id"] == headers["webhook-id"]
        with self._lock:
            fate = self._chance.random() / self._failing if self._failing else 1.0
            if fate < 0.4:
                return 503
            if fate < 0.7:
                return 0
            self.taken.append(Taken(event["source"], int(event["sequence"]), event["id"], event["subject"]))
            return 0 if fate < 1.0 else 204
