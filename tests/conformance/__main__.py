"""`python -m tests.conformance [--seconds N]`: all operations in any order, for as long as one likes.

Ends with a status that is not 0, and the shortest calls that show it, when something came of them that must
not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck
from hypothesis.database import DirectoryBasedExampleDatabase

from birdbath.store import open_engine
from tests.conformance.door import Door
from tests.conformance.simulated import Simulated
from tests.conformance.test_any_order import explore
from tests.conformance.test_every_operation import EveryOperation

AT_ONCE = 25
STEPS = 60
KEPT = Path(".fuzz") / "operations"


def main() -> None:
    """Explore until the time is over."""
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz operations", description="All operations in any order."
    )
    parser.add_argument("--seconds", type=int, default=3600)
    ends = time.monotonic() + parser.parse_args().seconds
    rounds = 0
    while time.monotonic() < ends:
        with tempfile.TemporaryDirectory(prefix="birdbath-operations-") as folder:
            _round(Path(folder))
        rounds += 1
    print(f"{rounds * AT_ONCE} conversations of up to {STEPS} calls: nothing came of them that must not")


def _round(folder: Path) -> None:
    empty = folder / "empty.db"
    open_engine(f"sqlite:///{empty}").dispose()
    with ExitStack() as opened:

        def open_door(**settings: object) -> Door:
            place = tempfile.mkdtemp(prefix="server-", dir=folder)
            pool = Simulated(Path(place) / "home", empty, settings)
            opened.callback(pool.close)
            return Door(pool)

        explore(
            EveryOperation,
            open_door,
            AT_ONCE,
            STEPS,
            derandomize=False,
            deadline=None,
            database=DirectoryBasedExampleDatabase(KEPT),
            suppress_health_check=list(HealthCheck),
        )


if __name__ == "__main__":
    main()
