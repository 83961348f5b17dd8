"""Processes that end with the test run that started them, also when that is killed outright."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

# Begins when the watch is there: what ran before that would outlive a run that is killed in between.
# Bash, as other shells read from no descriptor above 9.
_BEGIN = 'read -r _ <&"$1" || exit; shift; exec "$@"'
# Reads what only the starting process could write, which is never anything: the end comes when that ends.
_WATCH = 'read -r _; kill -s KILL -- "-$1"'


class Watched:
    """A process group of its own, killed at the latest when the process that made this ends."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        begin, watched = os.pipe()
        self.process = subprocess.Popen(
            ["bash", "-c", _BEGIN, "begin", str(begin), *command],
            start_new_session=True,
            pass_fds=[begin],
            **options,
        )
        os.close(begin)
        self._watch = subprocess.Popen(
            ["sh", "-c", _WATCH, "watch", str(self.process.pid)],
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with os.fdopen(watched, "wb") as line:
            line.write(b"\n")

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the group."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill the group with SIGKILL, and wait for the process."""
        self._watch.kill()
        self._watch.communicate()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()
