"""Empties the queue of a real pool between two tests.

`python -m tests.htcondor.sweeper` does it for every line that it reads: a process of its own, because the
bindings hold Python's interpreter lock and read their configuration once.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.names import KEY
from tests.htcondor.waiting import until

_ROOT = Path(__file__).resolve().parent.parent.parent
_EMPTY, _BUT_ADS = "empty", "empty, but for ads"


class Sweeper:
    """For one pool."""

    def __init__(self, configuration: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=Connection(str(configuration)).environment(),
        )

    def sweep(self) -> bool:
        """Take all jobs out of the queue, whoever put them there, and wait until they are gone; whether the
        collector has ads that a gateway's client inserted.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if answer not in (_EMPTY, _BUT_ADS):
            raise RuntimeError("The sweeper ended before the queue was empty")
        return answer == _BUT_ADS

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def _main() -> None:
    import htcondor2

    htcondor2.set_subsystem("TOOL", htcondor2.SubsystemType.Tool)

    collector = htcondor2.Collector

    def is_empty() -> bool:
        # Looked up anew: the schedd may have been restarted since.
        schedd = htcondor2.Schedd(collector().query(htcondor2.AdType.Schedd, f"{KEY} =?= undefined")[0])
        if not schedd.query("true", ["ProcId"], limit=1):
            return True
        with suppress(htcondor2.HTCondorException):  # jobs go by themselves meanwhile
            schedd.edit("true", "LeaveJobInQueue", "false")
        for action in (htcondor2.JobAction.Remove, htcondor2.JobAction.RemoveX):
            schedd.act(action, "true", ("the test is over", 0))
        return not schedd.query("true", ["ProcId"], limit=1)

    for _ in sys.stdin:
        until(is_empty)
        # The collector makes an ad of type StartD of its own of a slot's, which no client sees.
        of_clients = f'{KEY} =!= undefined && MyType != "StartD"'
        inserted = collector().query(htcondor2.AdType.Any, of_clients, ["Name"])
        print(_BUT_ADS if inserted else _EMPTY, flush=True)


if __name__ == "__main__":
    _main()
