"""How the cost of a call grows with the queue: it must not, where the answer does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.population import populate
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.submissions import BEGIN, CLUSTER, COMMIT, JOB, SUBMIT

FLAT = 1.5
"""What still counts as flat: two runs of the same thing differ by some tenths."""

_TURN = "<clusterId>{turn}</clusterId><jobId>0</jobId>"
_NO_MAIL = "<email-user>false</email-user><email-admin>false</email-admin>"
_BY_ID = Step(message("getJobAd", _TURN))
_BY_CLUSTER = Step(message("getJobAds", "<constraint>ClusterId == {turn}</constraint>"))
_HOLD = Step(message("holdJob", _TURN, "<reason>r</reason>", _NO_MAIL, "<system-hold>false</system-hold>"))
_RELEASE = Step(message("releaseJob", _TURN, "<reason>r</reason>", _NO_MAIL))

_PROGRAMS: Sequence[tuple[Sequence[Step], Sequence[tuple[int, str]]]] = (
    ((_BY_ID,), ((0, "getJobAd"),)),
    ((_BY_CLUSTER,), ((0, "getJobAds of a ClusterId"),)),
    ((BEGIN, CLUSTER, JOB, SUBMIT, COMMIT), ((3, "submit"), (4, "commitTransaction"))),
    ((_HOLD, _RELEASE), ((0, "holdJob"), (1, "releaseJob"))),
)


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """Time from request to reply on one connection, in a small and in a large queue."""
    small, large = (_times(folder / f"grown-{jobs}", jobs, scale) for jobs in scale.grown)
    few, many = (f"{jobs:,}" for jobs in scale.grown)
    return [
        compared(
            "growth",
            f"{name}, {many} jobs",
            large[name] * 1e3,
            "ms",
            f"{few} jobs",
            small[name] * 1e3,
            at_most=FLAT,
        )
        for name in large
    ]


def _times(home: Path, jobs: int, scale: Scale) -> dict[str, float]:
    populate(home, jobs)
    with birdbath(home) as server:
        drive(server.port, Program([_BY_CLUSTER]), 1, 1)  # the queue's mirror is loaded by the first query
        rounds = [_round(server, scale) for _ in range(scale.repeats)]
    return {name: sorted(times[name] for times in rounds)[len(rounds) // 2] for name in rounds[0]}


def _round(server: Server, scale: Scale) -> dict[str, float]:
    found = {}
    for steps, wanted in _PROGRAMS:
        times = drive(server.port, Program(steps), 1, min(scale.submissions, scale.grown[0])).times
        found.update({name: times[index] for index, name in wanted})
    return found
