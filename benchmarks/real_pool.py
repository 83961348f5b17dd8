"""The SOAP interface in front of a real HTCondor pool, side by side with the pool's own tools."""

from __future__ import annotations

import statistics
import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.submissions import WHOLE
from tests import htcondor_pool as pools
from tests.htcondor_pool import HTCondorPool

CONNECTIONS = 16
ONE_PERCENT = "ProcId % 100 == 7"


class NoPool(Exception):
    """HTCondor cannot be had here."""


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """Submissions a second against condor_submit; listings against condor_q and condor_status."""
    if missing := pools.install():
        raise NoPool(missing)
    settings = {"pool": "htcondor"}
    with pools.running("MAX_JOBS_SUBMITTED = 1000000") as pool:
        settings["htcondor_config"] = str(pool.configuration)
        with birdbath(folder / "htcondor", **settings) as server:
            return [
                _submissions(server, pool, scale),
                *_listings(server, pool, scale),
                _machines(server, pool, scale),
            ]


def _submissions(server: Server, pool: HTCondorPool, scale: Scale) -> Figure:
    count = max(16, scale.submissions // 2)

    def through_soap() -> float:
        return count / drive(server.port, Program(WHOLE), CONNECTIONS, count).seconds

    file = pool.description(1, executable="/bin/cat", transfer_executable="false", requirements="FALSE")

    def condor_submit() -> float:
        return 1 / statistics.mean(_tool(pool, "condor_submit", str(file)) for _ in range(max(8, count // 4)))

    drive(server.port, Program(WHOLE), CONNECTIONS, CONNECTIONS)  # the workers start

    measures = [through_soap, condor_submit]
    soap, tool = alternated(measures, min(3, scale.repeats))
    name = f"single-job submissions with a file of 10 KB, {CONNECTIONS} connections"
    return compared("real pool", name, soap, "jobs/s", "condor_submit", tool, at_least=2)


def _listings(server: Server, pool: HTCondorPool, scale: Scale) -> list[Figure]:
    jobs = scale.ads[-1]
    pool.submit_many(jobs, executable="/bin/true", transfer_executable="false", hold="true")
    limits = {f"getJobAds of {jobs} jobs and more": ("true", 1.5), "getJobAds of 1 %": (ONE_PERCENT, 1.0)}
    found = []
    for name, (constraint, at_most) in limits.items():
        step = Step(message("getJobAds", f"<constraint>{constraint}</constraint>"))
        _each(server, step)
        measures = [
            partial(_each, server, step),
            partial(_tool, pool, "condor_q", "-all", "-json", "-constraint", constraint),
        ]
        soap, tool = alternated(measures, scale.repeats)
        found.append(
            compared("real pool", name, soap * 1e3, "ms", "condor_q -json", tool * 1e3, at_most=at_most)
        )
    return found


def _machines(server: Server, pool: HTCondorPool, scale: Scale) -> Figure:
    step = Step(message("queryStartdAds", "<constraint>true</constraint>"))
    _each(server, step)  # a worker starts
    measures = [partial(_each, server, step), partial(_tool, pool, "condor_status", "-json")]
    soap, tool = alternated(measures, scale.repeats)
    name = "queryStartdAds of the pool's own machine"
    return compared("real pool", name, soap * 1e3, "ms", "condor_status -json", tool * 1e3, at_most=1.2)


def _each(server: Server, step: Step) -> float:
    return drive(server.port, Program([step]), 1, 3).each


def _tool(pool: HTCondorPool, program: str, *arguments: str) -> float:
    """Seconds that one of the pool's programs takes, started as a user would start it."""
    command, environment = pool.command(program, *arguments)
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
