"""The followers of a campaign that are processes of their own: killed at any point, and started again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from birdbath.notify.amqp import EXCHANGE
from tests.following import consumer
from tests.following.audit import Taken
from tests.notify.amqp.queues import declared
from tests.server_process import REPOSITORY


class Follower:
    """A process, by its command, and the file that it writes what it took to."""

    def __init__(self, journal: Path, command: Sequence[str]) -> None:
        self.journal = journal
        self._command = command

    def start(self) -> None:
        with self.journal.with_suffix(".log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=output
            )

    def kill(self) -> None:
        """Kill it and start it again."""
        self._process.kill()
        self._process.wait()
        self.start()

    @contextmanager
    def running(self) -> Iterator[Follower]:
        self.start()
        try:
            yield self
        finally:
            self._process.kill()
            self._process.wait()

    def taken(self) -> list[Taken]:
        """What it has taken so far, in order."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [found for line in lines if (found := self._read(line)) is not None]

    @staticmethod
    def _read(line: str) -> Taken | None:
        words = line.split()
        return Taken(words[0], int(words[1]), words[2], words[3]) if len(words) == 4 else None


class Listener(Follower):
    """`birdbath listen`, from a durable queue into a file."""

    QUEUE = "campaign"

    def __init__(self, journal: Path, broker: str, way: str) -> None:
        # There before the first event, which nobody would get otherwise.
        asyncio.run(declared(broker, EXCHANGE, self.QUEUE))
        options = ["--queue", self.QUEUE, "--file", str(journal), "--form", "cloudevents"]
        super().__init__(journal, [sys.executable, "-m", "birdbath", "listen", way, *options])

    @staticmethod
    def _read(line: str) -> Taken | None:
        try:
            event = json.loads(line)
        except ValueError:  # torn by a kill, and written anew at the next start
            return None
        return Taken(event["source"], int(event["sequence"]), event["id"], event["subject"])


def stream_follower(port: int, path: str, journal: Path) -> Follower:
    """The consumer of an event stream."""
    return Follower(journal, [sys.executable, consumer.__file__, str(port), path, str(journal)])
