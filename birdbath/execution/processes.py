"""The processes that run at a time: started, watched and killed, each by a thread of its own."""

from __future__ import annotations

import errno
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from birdbath.errors import BirdbathError
from birdbath.execution.launcher import landlock_version

_LAUNCHER = Path(__file__).with_name("launcher.py")
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Unsupported(BirdbathError):
    """This machine cannot shut programs into a directory, or has not the account to run them under."""


@dataclass(frozen=True)
class Limits:
    """Bounds for one program: memory and the size of each file in bytes, CPU in seconds; 0 for none."""

    memory: int = 0
    cpu: int = 0
    file_size: int = 0

    def as_resources(self) -> dict[str, int]:
        """By the names of the `resource` module."""
        named = {"RLIMIT_DATA": self.memory, "RLIMIT_CPU": self.cpu, "RLIMIT_FSIZE": self.file_size}
        return {name: most for name, most in named.items() if most > 0}


@dataclass(frozen=True)
class Command:
    """A program to run in `directory`: a path, relative to it or absolute, with its arguments.

    `environment` is all the variables that it has, besides PATH and those that name the directory. Streams
    are names of files in the directory, None for /dev/null.
    """

    program: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    limits: Limits = field(default=Limits())


@dataclass(frozen=True)
class Ended:
    """What came of a command: its exit code, or the signal that ended it, or `error` when it never began.

    CPU times in seconds, `memory` the largest resident size in KiB.
    """

    exit_code: int = 0
    signal: int = 0
    errno: int = 0
    error: str = ""
    user: float = 0.0
    system: float = 0.0
    memory: int = 0


class Processes:
    """Runs commands, and calls `ended` in another thread for each that was not killed with `kill`.

    As root they run under `account`. When this process dies, they do. Raises Unsupported.
    """

    def __init__(self, account: str = "nobody") -> None:
        if landlock_version() < 1:
            raise Unsupported("This kernel has no Landlock, which shuts programs into their directory")
        self.account = _account(account) if os.geteuid() == 0 else None
        self._lock = threading.Lock()
        self._running: dict[object, subprocess.Popen[bytes] | None] = {}
        """The launchers, None until they are there."""
        self._closed = False

    def start(self, key: object, command: Command, ended: Callable[[Ended], None]) -> None:
        """Start a command, which `key` names as long as it runs."""
        # The thread lives as long as its process: the launcher ends when the thread that began it does.
        run = threading.Thread(target=self._run, args=(key, command, ended), name=f"job {key}", daemon=True)
        with self._lock:
            self._running[key] = None
        try:
            run.start()
        except RuntimeError as error:  # the system has no thread left
            self.kill(key)
            ended(Ended(errno=errno.EAGAIN, error=str(error)))

    def running(self, key: object) -> bool:
        """Whether the command of that name runs."""
        with self._lock:
            return key in self._running

    def kill(self, key: object) -> None:
        """Kill a command with all that it started; nothing happens when it does not run."""
        with self._lock:
            process = self._running.pop(key, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Kill all, and wait until they are gone."""
        with self._lock:
            self._closed = True
            processes = [process for process in self._running.values() if process is not None]
            self._running.clear()
            for process in processes:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()

    def _run(self, key: object, command: Command, ended: Callable[[Ended], None]) -> None:
        try:
            process = self._launched(key)
        except OSError as error:  # the system has no process or no descriptor left
            self.kill(key)
            ended(Ended(errno=error.errno or errno.EAGAIN, error=str(error)))
            return
        if process is None:
            return
        output, _ = process.communicate(json.dumps(self._order(command)).encode())
        with self._lock:
            killed = self._running.get(key) is not process
            if not killed:
                del self._running[key]
        if not killed:
            ended(_read(output))

    def _launched(self, key: object) -> subprocess.Popen[bytes] | None:
        """The launcher of a command, unless it was killed before it began."""
        with self._lock:
            if self._closed or key not in self._running:
                return None
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
            self._running[key] = process
            return process

    def _order(self, command: Command) -> dict[str, object]:
        return {
            "parent": os.getpid(),
            "account": self.account,
            "program": command.program,
            "arguments": [command.program, *command.arguments],
            "environment": {"PATH": _PATH, **command.environment},
            "directory": str(command.directory),
            "stdin": command.stdin,
            "stdout": command.stdout,
            "stderr": command.stderr,
            "limits": command.limits.as_resources(),
        }


def _account(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise Unsupported(f"There is no account {name!r} to run programs under") from None
    if entry.pw_uid == 0:
        raise Unsupported(f"The account {name!r} to run programs under is root's")
    return entry.pw_uid, entry.pw_gid


def _read(output: bytes) -> Ended:
    """What the launcher wrote; one that was killed wrote nothing."""
    try:
        return Ended(**json.loads(output))
    except ValueError:
        return Ended(signal=int(signal.SIGKILL))
