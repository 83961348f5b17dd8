"""Qpid Proton, which comes as source: built into this environment when a test wants it, and a peer of its
own making.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import invalidate_caches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.server_process import REPOSITORY
from tests.toolkit import require


def _is_installed() -> bool:
    """Whether all of it is: another worker of the test run may be about it, and the record comes last."""
    with suppress(PackageNotFoundError):
        return distribution("python-qpid-proton").read_text("RECORD") is not None
    return False


@cache
def require_proton() -> None:
    """Let Proton be there; skip without what it is built with, or fail in CI."""
    if _is_installed():
        return
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    buildable = headers and Path("/usr/include/openssl/ssl.h").exists() and shutil.which("cc") is not None
    require("a C compiler, the headers of Python and OpenSSL (Qpid Proton is built with them)", buildable)
    command = [str(REPOSITORY / "scripts" / "environment"), "amqp1"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr
    invalidate_caches()
    assert _is_installed()


class Node:
    """The process of `tests.notify.amqp10.node`; `accepted` is complete when it has ended."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port = port
        self.url = f"amqp1://127.0.0.1:{port}?address=events"
        self.accepted: list[dict[str, Any]] = []
        self._process = process
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.accepted.append(json.loads(line))

    def drop_receivers(self) -> None:
        """Let it close the connections of all who receive."""
        assert self._process.stdin is not None
        self._process.stdin.write("drop_receivers\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """End it, and read what it has accepted."""
        self._process.terminate()
        self._process.wait(60)
        self._reading.join(60)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def node(port: int | None = None, refusals: int = 0) -> Iterator[Node]:
    """A peer on a free port, or on that of a former one; its first `refusals` messages are sent back."""
    port = port or free_port()
    command = [sys.executable, "-m", "tests.notify.amqp10.node", str(port), str(refusals)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    running = Node(port, process)
    try:
        assert said == "listening\n"
        yield running
    finally:
        running.end()
