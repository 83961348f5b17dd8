"""Chromium's own EventSource reads the event stream, across a restart of the server."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.notify.jobs import events_service, submit
from tests.ports import free_port
from tests.server_process import running_server
from tests.toolkit import require

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PAGE = """<!DOCTYPE html><title>Events</title><script>
const source = new EventSource("URL/events?after=0&topic=job.submit.%23&topic=job.terminated.%23");
const tell = what => fetch("/told", {method: "POST", body: JSON.stringify(what)});
source.onmessage = event => tell({last: event.lastEventId, ...JSON.parse(event.data)});
source.onerror = () => tell({error: source.readyState});
</script>"""

Told = dict[str, object]


class Portal:
    """A web site of its own, with a page that follows events and tells what it got."""

    def __init__(self) -> None:
        self.page = ""
        self.told: list[Told] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(outer.page.encode() if self.path == "/" else b"")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._answer(b"")
                with outer._changed:
                    outer.told.append(body)
                    outer._changed.notify_all()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody wants to read it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def until(self, enough: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(enough, 60), self.told

    @property
    def events(self) -> list[Told]:
        """What was told, in the order of the events: the page's requests may overtake each other."""
        return sorted((t for t in self.told if "id" in t), key=lambda told: int(str(told["last"])))

    @contextmanager
    def running(self) -> Iterator[Portal]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def browsing(url: str, profile: Path) -> Iterator[None]:
    """Chromium with this page open."""
    assert CHROMIUM is not None
    with (profile.parent / "chromium.log").open("wb") as log:
        command = [CHROMIUM, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", url]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.toolkit
def test_chromium_follows_events_across_a_restart_of_the_server(tmp_path: Path) -> None:
    require("chromium", CHROMIUM is not None)
    with Portal().running() as portal:
        environment = {
            "BIRDBATH_NEGOTIATOR_INTERVAL": "0.1",
            "BIRDBATH_PROGRAM_DURATION": "0.1",
            "BIRDBATH_ALLOWED_ORIGINS": portal.url,
        }
        port = str(free_port())  # while the server is away no connection of others takes it
        with running_server(tmp_path / "home", "--port", port, environment=environment) as server:
            first = submit(server.url)
            portal.page = PAGE.replace("URL", server.url)
            with browsing(portal.url, tmp_path / "profile"):
                portal.until(lambda: len(portal.events) == 2)
                server.stop()
                portal.until(lambda: {"error": 0} in portal.told)
                with running_server(tmp_path / "home", "--port", port, environment=environment) as again:
                    second = submit(again.url)
                    portal.until(lambda: len(portal.events) == 4)
                    page = events_service(again.url).getEvents(0, 100, 0, None, None)
    wanted = [event for event in page.events.item if event.name in ("submit", "terminated")]
    assert [told["id"] for told in portal.events] == [event.id for event in wanted]
    assert [told["last"] for told in portal.events] == [str(event.sequence) for event in wanted]
    assert [told["subject"] for told in portal.events] == [f"{n}.0" for n in (first, first, second, second)]


@pytest.mark.toolkit
def test_a_page_of_any_other_site_gets_nothing(tmp_path: Path) -> None:
    require("chromium", CHROMIUM is not None)
    with Portal().running() as portal, running_server(tmp_path / "home") as server:
        submit(server.url)
        portal.page = PAGE.replace("URL", server.url)
        with browsing(portal.url, tmp_path / "profile"):
            portal.until(lambda: {"error": 2} in portal.told)
        assert portal.events == []
