"""Server processes, and what they cost as the kernel counts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_READY = re.compile(r"https?://127\.0\.0\.1:([0-9]+)")


class Server:
    """A running server: its port, and the process that it is."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = process
        self._folder = Path(f"/proc/{process.pid}")
        # As clock_getcpuclockid(3) has it. /proc/PID/stat counts in ticks of 10 ms.
        self._cpu_clock = (~process.pid << 3) | 2

    def cpu(self) -> float:
        """Seconds of processor time used so far, by all threads, user and system."""
        return time.clock_gettime(self._cpu_clock)

    def resident(self) -> int:
        """Bytes of memory in use now."""
        return self._memory("VmRSS")

    def reset_peak(self) -> None:
        """Begin to look for the peak of memory anew."""
        (self._folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        """The most bytes of memory in use at once since `reset_peak`."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found is not None
        return int(found[1]) * 1024


@contextmanager
def birdbath(home: Path, **settings: str) -> Iterator[Server]:
    """`birdbath serve` on a home folder, with any number of open transactions unless `settings` bound it."""
    given = {"max_transactions_per_owner": "0", **settings}
    environment = {f"BIRDBATH_{name.upper()}": value for name, value in given.items()}
    command = [
        sys.executable,
        "-m",
        "birdbath",
        "serve",
        "--home",
        str(home),
        "--port",
        "0",
        "--log-level",
        "warning",
    ]
    with _running(command, environment, b"") as server:
        yield server


@contextmanager
def bare(folder: Path, reply: bytes) -> Iterator[Server]:
    """The reference server; `reply` is what it answers to a POST."""
    folder.mkdir(parents=True, exist_ok=True)
    with _running([sys.executable, "-m", "benchmarks.bare", str(folder)], {}, reply) as server:
        yield server


@contextmanager
def _running(command: list[str], environment: dict[str, str], data: bytes) -> Iterator[Server]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("BIRDBATH_", "COVERAGE_"))
    }
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data)
        process.stdin.close()
        ready = _READY.search(process.stdout.readline().decode())
        if ready is None:
            raise RuntimeError(f"the server did not start: {' '.join(command)}")
        yield Server(process, int(ready[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
