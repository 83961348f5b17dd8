"""The sockets that the server listens on: opened, told, and handed over to the server's next start."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
import time
from typing import Final, NoReturn

from birdbath.errors import BirdbathError
from birdbath.settings import Settings

BACKLOG: Final = 2048
TRIAL_SECONDS: Final = 120
MOST_SAID: Final = 1000
"""Characters of what a trial says that are logged: its last ones, where the reason is."""
_MOST_WAITED: Final = 1.0
_VARIABLE: Final = "_BIRDBATH_LISTENERS"

_asked = threading.Event()


class CannotStart(BirdbathError):
    """What the server needs is not to be had: the address, the home folder."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotStart with the reason; when the address is in use, after a second: a
    server that was killed leaves it for a moment to a program that it was just starting.
    """
    end = time.monotonic() + _MOST_WAITED
    while True:
        try:
            return _listener(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise CannotStart(f"Cannot listen on {host} port {port}: {error.strerror or error}") from None
        time.sleep(0.01)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by every connection: else a reply in two packets waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def listeners(settings: Settings) -> list[socket.socket]:
    """The server's sockets: those that its former life left, else new ones. Raises CannotStart."""
    left = os.environ.pop(_VARIABLE, "")
    if left:
        return [socket.socket(fileno=int(descriptor)) for descriptor in left.split(",")]
    found = [listen(settings.host, settings.port)]
    if settings.collector_port is not None:
        try:
            found.append(listen(settings.host, settings.collector_port))
        except CannotStart:
            found[0].close()
            raise
    return found


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """A URL by which a listening socket can be reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def heed_hangups() -> None:
    """Let SIGHUP, from now to the end of the process, ask for a restart instead of ending it: the server may
    be at its start, or at its end.
    """
    signal.signal(signal.SIGHUP, lambda *_: _asked.set())


def heed_the_end_as_first_process() -> None:
    """Let SIGTERM end the process before the server heeds it. It does so by itself, but not with the first
    process of a container, which is given no signal that it does not ask for.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def restart_asked() -> bool:
    """Whether SIGHUP has come since this was last called."""
    asked = _asked.is_set()
    if asked:
        _asked.clear()
    return asked


async def trouble_of_a_restart() -> str | None:
    """Why the server could not become a new one, as that one says itself in a trial; None: it could.

    The trial is the command with `--check`: the program may be a new one, too, with settings of its own.
    """
    try:
        trial = await asyncio.create_subprocess_exec(
            sys.executable,
            *sys.orig_argv[1:],
            "--check",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return f"{sys.executable} cannot be run: {error.strerror}"
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            said, _ = await trial.communicate()
    except TimeoutError:
        return f"the trial took more than {TRIAL_SECONDS} seconds"
    finally:
        if trial.returncode is None:
            trial.kill()
    if trial.returncode == 0:
        return None
    lines = said.decode(errors="replace").removeprefix("birdbath: ").splitlines()
    return " | ".join(lines)[-MOST_SAID:] or f"the trial ended with status {trial.returncode}"


def restart(descriptors: list[int]) -> NoReturn:
    """Become a new server, with the same command, process id and listening sockets.

    Clients that connect meanwhile wait in the sockets' backlog: nobody is refused.
    """
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    # Else it would end the new server until that heeds it; its settings are not read before then.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    environment = os.environ | {_VARIABLE: ",".join(map(str, descriptors))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
