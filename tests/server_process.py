"""A real `birdbath serve` in a process of its own, as a user would start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from birdbath.store import open_engine

REPOSITORY = Path(__file__).parent.parent
START_SECONDS = 60


@dataclass
class ServerProcess:
    """A server that said it is ready; `urls` are those of its ready line."""

    process: subprocess.Popen[str]
    urls: list[str]
    ready_line: str
    log: Path

    @property
    def url(self) -> str:
        return self.urls[0]

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit status; fails when it has not stopped within 60 seconds."""
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=60)


def serve_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "birdbath", "serve", *options]


@cache
def _empty_database() -> bytes:
    """A database with all tables and nothing in them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "birdbath.db"
        open_engine(f"sqlite:///{path}").dispose()
        return path.read_bytes()


@contextmanager
def running_server(
    home: Path, *options: str, environment: dict[str, str] | None = None
) -> Iterator[ServerProcess]:
    """Start a server on a free loopback port and stop it, by its own process id, at the end.

    Its log may hold no traceback. A new home gets its tables here: a server would take half as long again to
    start.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not any(home.iterdir()):
        (home / "birdbath.db").write_bytes(_empty_database())
    log = home / "server.log"
    command = serve_command("--home", str(home), "--port", "0", *options)
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | (environment or {}),
        )
    assert process.stdout is not None
    with process:
        killer = threading.Timer(START_SECONDS, process.kill)
        killer.start()
        try:
            line = process.stdout.readline()
            urls = re.findall(r"https?://[^ /]+:[1-9][0-9]*(?= |$)", line.replace(",", " "))
            assert urls, f"no ready line but {line!r}; {log.read_text()}"
            killer.cancel()
            yield ServerProcess(process, urls, line, log)
        finally:
            killer.cancel()
            if process.poll() is None:
                process.terminate()
    assert "Traceback" not in log.read_text(), log.read_text()
