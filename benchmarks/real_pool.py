"""The SOAP interface in front of a real HTCondor pool, side by side with the pool's own tools."""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.bindings import REPEATED, seconds
from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.submissions import WHOLE
from birdbath.client import Schedd
from tests import htcondor_pool as pools
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool

CONNECTIONS = (16, 32)
"""With fewer, it is the clients that are waited for, and with more the pool: that is the figure."""
ATTRIBUTES = 93
"""Of a machine, so that it has a hundred."""
COMPLETED = 4
ONE_PERCENT = "ProcId % 100 == 7"


class NoPool(Exception):
    """HTCondor cannot be had here."""


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """Submissions and listings against the pool's own programs, files and one call against its bindings."""
    if missing := pools.install():
        raise NoPool(missing)
    settings = {"pool": "htcondor"}
    with pools.running("MAX_JOBS_SUBMITTED = 1000000") as pool:
        settings["htcondor_config"] = str(pool.configuration)
        with birdbath(folder / "htcondor", **settings) as server:
            return [
                *_submissions(server, pool, scale),
                *_listings(server, pool, scale),
                *_machines(server, pool, scale),
                *_transfers(server, pool, scale, folder),
                _delay(server, pool, scale),
            ]


def _submissions(server: Server, pool: HTCondorPool, scale: Scale) -> list[Figure]:
    count = max(32, scale.submissions)

    def through_soap(connections: int) -> float:
        return count / drive(server.port, Program(WHOLE), connections, count).seconds

    file = pool.description(1, executable="/bin/cat", transfer_executable="false", requirements="FALSE")

    def condor_submit() -> float:
        return 1 / statistics.mean(
            _tool(pool, "condor_submit", "-terse", str(file)) for _ in range(max(8, count // 8))
        )

    drive(server.port, Program(WHOLE), CONNECTIONS[-1], CONNECTIONS[-1])  # the workers start

    found = []
    for connections in CONNECTIONS:
        measures: list[Callable[[], float]] = [partial(through_soap, connections), condor_submit]
        soap, tool = alternated(measures, min(3, scale.repeats))
        name = f"single-job submissions with a file of 10 KB, {connections} connections"
        at_least = 2 if connections == CONNECTIONS[-1] else None
        found.append(compared("real pool", name, soap, "jobs/s", "condor_submit", tool, at_least=at_least))
    return found


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


def _machines(server: Server, pool: HTCondorPool, scale: Scale) -> list[Figure]:
    found = [_machines_named(server, pool, scale, "queryStartdAds of the pool's own machine")]
    machines = scale.ads[-1]
    pool.advertise_machines(machines, "measured", ATTRIBUTES)
    found.append(_machines_named(server, pool, scale, f"queryStartdAds of {machines} machines and more"))
    return found


def _machines_named(server: Server, pool: HTCondorPool, scale: Scale, name: str) -> Figure:
    step = Step(message("queryStartdAds", "<constraint>true</constraint>"))
    _each(server, step)  # a worker starts
    measures = [partial(_each, server, step), partial(_tool, pool, "condor_status", "-json")]
    soap, tool = alternated(measures, scale.repeats)
    return compared("real pool", name, soap * 1e3, "ms", "condor_status -json", tool * 1e3, at_most=1.2)


def _transfers(server: Server, pool: HTCondorPool, scale: Scale, folder: Path) -> list[Figure]:
    """A file up, with its whole submission, and what a job made of it down again."""
    file = folder / "file"
    file.write_bytes(random.Random(1).randbytes(scale.transfer))
    schedd = Schedd(f"http://127.0.0.1:{server.port}")
    jobs = []

    def upload(requirements: str = "FALSE") -> float:
        started = time.perf_counter()
        with schedd.transaction() as transaction:
            job = transaction.new_cluster().new_job()
            ad = job.template("/bin/cat", "file", owner="alice", requirements=requirements)
            ad.update({"Out": "out", "TestMark": "transferred"})
            job.upload(file)
            job.submit(ad)
        jobs.append(job.id)
        return time.perf_counter() - started

    spool = partial(seconds, pool.configuration, "spool", str(file))
    found = [_rates("upload of a file, with its submission", "spooling", scale, [upload, spool])]
    upload("TRUE")
    done = jobs[-1]
    until(lambda: schedd.job_ad(*done)["JobStatus"] == COMPLETED)
    known = pool.run(
        "condor_q", "-all", "-constraint", f'BirdbathJob == "{done[0]}.{done[1]}"', "-af", "ClusterId"
    )

    def download() -> float:
        started = time.perf_counter()
        with (folder / "back").open("wb") as target:
            schedd.download(*done, "out", target)
        return time.perf_counter() - started

    retrieve = partial(seconds, pool.configuration, "retrieve", f"ClusterId == {known.strip()}")
    first = download()  # the gateway fetches it from the schedd once
    found.append(_rate("download of a file, the first time", "retrieving", scale, first, retrieve()))
    found.append(_rates("download of a file, once more", "retrieving", scale, [download, retrieve]))
    return found


def _rates(name: str, reference: str, scale: Scale, measures: list[Callable[[], float]]) -> Figure:
    soap, bindings = alternated(measures, min(3, scale.repeats))
    return _rate(name, reference, scale, soap, bindings)


def _rate(name: str, reference: str, scale: Scale, soap: float, bindings: float) -> Figure:
    size = scale.transfer / (1 << 20)
    name = f"{name} ({size:g} MiB)"
    return compared("real pool", name, size / soap, "MiB/s", f"{reference} by the bindings", size / bindings)


def _delay(server: Server, pool: HTCondorPool, scale: Scale) -> Figure:
    """One job by its id: what the way through the gateway adds."""
    cluster = pool.submit(executable="/bin/true", transfer_executable="false", hold="true")
    step = Step(message("getJobAds", f"<constraint>ClusterId == {cluster}</constraint>"))

    def soap() -> float:
        return drive(server.port, Program([step]), 1, REPEATED).each

    bindings = partial(seconds, pool.configuration, "query", f"ClusterId == {cluster}")
    through, alone = alternated([soap, bindings], scale.repeats)
    return compared("real pool", "getJobAds of one job", through * 1e3, "ms", "the bindings", alone * 1e3)


def _each(server: Server, step: Step) -> float:
    return drive(server.port, Program([step]), 1, 3).each


def _tool(pool: HTCondorPool, program: str, *arguments: str) -> float:
    """Seconds that one of the pool's programs takes, started as a user would start it."""
    command, environment = pool.command(program, *arguments)
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
