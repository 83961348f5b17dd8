"""What HTCondor's own bindings take: `python -m benchmarks.bindings ACTION ARGUMENT` prints the seconds.

In a process of its own, with CONDOR_CONFIG in its environment: the bindings hold the interpreter lock.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import htcondor2

from benchmarks.servers import ROOT
from birdbath.pool.htcondor.connection import Connection

REPEATED = 200


def seconds(configuration: Path, action: str, argument: str) -> float:
    """Run an action in a process as the pool's client."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bindings", action, argument],
        cwd=ROOT,
        env=Connection(str(configuration)).environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return float(done.stdout)


def _spool(schedd: htcondor2.Schedd, file: str) -> float:
    """Submit a job with the file and spool it."""
    description = {
        "executable": "/bin/cat",
        "transfer_executable": "false",
        "transfer_input_files": file,
        "requirements": "FALSE",
    }
    started = time.perf_counter()
    schedd.spool(schedd.submit(htcondor2.Submit(description), spool=True))
    return time.perf_counter() - started


def _retrieve(schedd: htcondor2.Schedd, constraint: str) -> float:
    """Bring back what the jobs have written, where they were submitted."""
    started = time.perf_counter()
    schedd.retrieve(constraint)
    return time.perf_counter() - started


def _query(schedd: htcondor2.Schedd, constraint: str) -> float:
    """Ask for one job."""
    schedd.query(constraint)
    started = time.perf_counter()
    for _ in range(REPEATED):
        schedd.query(constraint)
    return (time.perf_counter() - started) / REPEATED


ACTIONS: dict[str, Callable[[htcondor2.Schedd, str], float]] = {
    "spool": _spool,
    "retrieve": _retrieve,
    "query": _query,
}


def _main(action: str, argument: str) -> None:
    htcondor2.set_subsystem("TOOL", htcondor2.SubsystemType.Tool)
    schedd = htcondor2.Schedd(htcondor2.Collector().locateAll(htcondor2.DaemonType.Schedd)[0])
    print(ACTIONS[action](schedd, argument))


if __name__ == "__main__":
    _main(*sys.argv[1:])
