"""Empties a real pool between two tests: its queue, and its collector of the ads that clients inserted.

`python -m tests.htcondor.sweeper` does it for every line that it reads: a process of its own, because the
bindings hold Python's interpreter lock and read their configuration once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.directory import INVALIDATIONS
from birdbath.pool.htcondor.names import KEY
from tests.htcondor.waiting import until

_ROOT = Path(__file__).resolve().parent.parent.parent
_EMPTY = "empty"


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

    def sweep(self) -> None:
        """Take all jobs out of the queue, whoever put them there, and the ads that any gateway's clients
        inserted out of the collector; wait until they are gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != _EMPTY:
            raise RuntimeError("The sweeper ended before the pool was empty")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def _main() -> None:
    import classad2
    import htcondor2

    htcondor2.set_subsystem("TOOL", htcondor2.SubsystemType.Tool)

    collector = htcondor2.Collector

    def has_no_ads() -> bool:
        # The collector makes an ad of type StartD of its own of a slot's, which no client sees.
        of_clients = f"{KEY} =!= undefined"
        found = collector().query(htcondor2.AdType.Any, f'{of_clients} && MyType != "StartD"', ["MyType"])
        for my_type in {ad["MyType"] for ad in found}:
            query = classad2.ClassAd({"MyType": "Query", "TargetType": my_type})
            query["Requirements"] = classad2.ExprTree(of_clients)
            for command in INVALIDATIONS:
                collector().advertise([query], command, True)
        return not found

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

    def answered(question: Callable[[], bool]) -> bool:
        """Its answer; False, too, when a busy daemon gives none in time, or was restarted a moment ago."""
        with suppress(htcondor2.HTCondorException, IndexError):
            return question()
        return False

    for _ in sys.stdin:
        until(lambda: answered(is_empty))
        until(lambda: answered(has_no_ads))
        print(_EMPTY, flush=True)


if __name__ == "__main__":
    _main()
