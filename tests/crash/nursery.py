"""Server lives: one process that has everything loaded, and forks a real server for each of them.

`python -m tests.crash.nursery HOME PORT` reads one line of JSON a life from standard input, {"crash_at":
"point:n", "power_cut": n, "boot": n, "spool_age": seconds}, and writes `born PID`, `ready PID` and
`ended PID STATUS`.
Loading a server takes a second, forking a loaded one some milliseconds: that is what makes hundreds of
kills affordable.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from birdbath.server import serve
from birdbath.settings import load_settings
from birdbath.store import boots, crash_points
from tests.crash.disk import Disk

_PR_SET_PDEATHSIG = 1


# What a server loads only when it starts: a life shall not begin with reading programs.
_LOADED_LATE = (
    "sqlalchemy.dialects.sqlite",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
)


def main(home: Path, port: int) -> None:
    """One life after the other, until standard input ends."""
    for module in _LOADED_LATE:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(home, port, order)
        _, status = os.waitpid(pid, 0)
        say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def say(line: str) -> None:
    """One line in one write: the server and its nursery share standard output."""
    os.write(1, f"{line}\n".encode())


def _live(home: Path, port: int, order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    say(f"born {os.getpid()}")  # itself, or it might be ready before its nursery has come to say so
    crash_points.arm(order["crash_at"])
    boots.number_of_boot = lambda: int(order["boot"])
    if order["power_cut"]:
        Disk(home, order["power_cut"])
    logging.basicConfig(filename=home / "server.log", level=logging.WARNING)
    settings = load_settings(
        home=home,
        port=port,
        program_duration=0.05,
        negotiator_interval=0.2,
        abandoned_spool_age=order["spool_age"],
    )
    uvloop.run(serve(settings, lambda urls: say(f"ready {os.getpid()}")))
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
