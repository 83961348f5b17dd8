"""Constraint queries, against ClassAds' own library evaluating the same expression in a bare loop."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import classad2

from benchmarks.ad_lists import Door
from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.population import in_own_process, populate
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from birdbath.classads import Constraint

EXPRESSION = "Share == 7 && JobUniverse == 5"
"""Selects one ad in a hundred."""
MOST = 1.5
_REQUEST = message("getJobAds", f"<constraint>{EXPRESSION.replace('&', '&amp;')}</constraint>")


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """In process and over HTTP, everything parsed and rendered before."""
    found = []
    query = Program([Step(_REQUEST)])
    for ads in scale.queried:
        home = folder / f"queried-{ads}"
        populate(home, ads)
        inside, loop = in_own_process(_inside, home, ads, scale.repeats)
        with birdbath(home) as server:
            drive(server.port, query, 1, 2)
            (outside,) = alternated([partial(_over_http, server, query)], scale.repeats)
        for name, value in (("in process", inside), ("over HTTP", outside)):
            found.append(
                compared(
                    "constraint queries",
                    f"1 % of {ads:,} ads, {name}",
                    value * 1e3,
                    "ms",
                    "classad2 in a loop",
                    loop * 1e3,
                    at_most=MOST,
                )
            )
    return found


def _over_http(server: Server, query: Program) -> float:
    return drive(server.port, query, 1, 1).each


def _inside(home: Path, ads: int, repeats: int) -> tuple[float, float]:
    """Seconds of a whole answer, and of the bare loop."""
    with Door(home) as door:
        door.call(_REQUEST)
        records = door.parts.pool.queue.query(Constraint(None), time.time()).records
        assert len(records) == ads
        parsed = [record.parsed for record in records]
        expression = classad2.ExprTree(EXPRESSION)

        def bare() -> float:
            started = time.perf_counter()
            selected = [ad for ad in parsed if expression.eval(ad) is True]
            seconds = time.perf_counter() - started
            assert len(selected) == ads // 100
            return seconds

        inside, loop = alternated([lambda: door.seconds(_REQUEST), bare], 2 * repeats + 1)
        return inside, loop
