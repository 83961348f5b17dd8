"""`birdbath submit`: jobs from a submit description file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, complain, guarded

if TYPE_CHECKING:
    from birdbath.client import Ad, Cluster, Job, JobId, Schedd, Transaction
    from birdbath.commands.terminal import Meter
    from birdbath.description import Description, PlannedJob, Planner


@guarded
def submit(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A submit description, as for condor_submit, or a DAG (NAME.dag), as for condor_submit_dag.",
        ),
    ],
    owner: Annotated[
        str | None, typer.Option(help="Whose jobs these are, if the server lets you say.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the jobs' ads and send nothing.")] = False,
    lease: Annotated[
        int, typer.Option(help="Seconds after which the server gives up on a broken connection.")
    ] = 60,
    dag: Annotated[bool, typer.Option("--dag", help="FILE is a DAG, whatever its name.")] = False,
    max_jobs: Annotated[
        int | None, typer.Option("--maxjobs", min=0, help="Of a DAG: most nodes in the queue at a time.")
    ] = None,
    max_idle: Annotated[
        int | None, typer.Option("--maxidle", min=0, help="Of a DAG: submit no node while so many jobs idle.")
    ] = None,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Submit jobs, with their input files.

    The executable (unless it lies in a folder of system programs, like /bin/sleep), `input` and
    `transfer_input_files` are uploaded. All jobs of the description come into the queue together, or none.

    A DAG becomes one job, DAGMan, with the files that its nodes need; it submits the nodes' jobs. Rescue DAGs
    beside the DAG file are sent too, and the newest is run.
    """
    from birdbath.client import Schedd
    from birdbath.commands.selection import myself
    from birdbath.description import Description, Planner

    if dag or file.suffix.lower() == ".dag":
        planned = _plan_dag(file, owner or myself(url), max_jobs, max_idle)
        if dry_run:
            _show_one(planned, as_json)
            return
        with Schedd(url) as schedd:
            _report(_send_one(schedd, planned, lease), as_json)
        return
    description = Description.read(file)
    planner = Planner(owner or myself(url), os.environ)
    _warn(description)
    jobs, size = _rehearse(description, planner, show=dry_run, as_json=as_json)
    if not dry_run:
        with Schedd(url) as schedd:
            _report(_send(schedd, description, planner, jobs, size, lease), as_json)


def _warn(description: Description) -> None:
    from birdbath.description import vocabulary

    unused = [name for statement in description.statements for name in statement.unused(vocabulary.KNOWN)]
    for name in dict.fromkeys(unused):
        complain(f"warning: {name!r} is not a command known here, and nothing uses it; it is ignored")


def planned_jobs(
    description: Description, planner: Planner, number: Callable[[bool], JobId]
) -> Iterator[PlannedJob]:
    """Every job of the description, planned. `number` gives the next job's number, in a new cluster or not.

    As with `condor_submit`, a cluster goes on over several queue statements as long as they run the same
    program.
    """
    from birdbath.description import DescriptionError

    program: tuple[str, str] | None = None
    for statement in description.statements:
        for row in statement.rows():
            job = number(statement.program() != program)
            program = statement.program()
            yield planner.plan(statement.expand(*job, row))
    if program is None:
        raise DescriptionError("the queue statements come to no jobs")


def _rehearse(description: Description, planner: Planner, *, show: bool, as_json: bool) -> tuple[int, int]:
    """Plan all jobs, before anything is sent: how many there are, and the bytes of all their files. `show`
    prints their ads.
    """
    from birdbath.client import Ad, JobId
    from birdbath.commands.terminal import job_bar

    job = JobId(0, 0)

    def number(new_cluster: bool) -> JobId:
        nonlocal job
        job = JobId(job.cluster + 1, 0) if new_cluster else JobId(job.cluster, job.proc + 1)
        return job

    jobs, size, ads = 0, 0, []
    with job_bar(None) as planned_so_far:
        for jobs, planned in enumerate(planned_jobs(description, planner, number), 1):
            size += planned.upload_size()
            if show:
                ads.append(Ad({"ClusterId": job.cluster, "ProcId": job.proc, **planned.attributes}))
            planned_so_far(jobs)
    if show:
        _show(ads, as_json)
    return jobs, size


def _show(ads: list[Ad], as_json: bool) -> None:
    from birdbath.commands.terminal import print_json_ads, print_long

    print_json_ads(ads) if as_json else print_long(ads)


def _show_one(planned: PlannedJob, as_json: bool) -> None:
    from birdbath.client import Ad

    _show([Ad({"ClusterId": 1, "ProcId": 0, **planned.attributes})], as_json)


def _plan_dag(file: Path, owner: str, max_jobs: int | None, max_idle: int | None) -> PlannedJob:
    from birdbath.commands.dag import plan_dag

    planned = plan_dag(file, owner, max_jobs, max_idle)
    for warning in planned.warnings:
        complain(f"warning: {warning}")
    return planned.job


def _send_one(schedd: Schedd, planned: PlannedJob, lease: int) -> dict[int, int]:
    """Submit one job in a transaction of its own."""
    from birdbath.commands.terminal import transfer_bar

    with transfer_bar(planned.upload_size()) as meter, schedd.transaction(lease) as transaction:
        sender = _Sender(transaction, meter)
        cluster = sender.number(True).cluster
        sender.send(planned)
    return {cluster: 1}


def _send(
    schedd: Schedd, description: Description, planner: Planner, jobs: int, size: int, lease: int
) -> Counter[int]:
    """Submit all jobs in one transaction; returns how many jobs each new cluster has. A bar shows the bytes
    of the files or, when there are none, the jobs that are on their way.
    """
    from birdbath.commands.terminal import job_bar, transfer_bar

    sent: Counter[int] = Counter()
    with ExitStack() as stack:
        meter = stack.enter_context(transfer_bar(size))
        sent_so_far = None if size else stack.enter_context(job_bar(jobs))
        sender = _Sender(stack.enter_context(schedd.transaction(lease)), meter)
        for number, planned in enumerate(planned_jobs(description, planner, sender.number), 1):
            sender.send(planned)
            sent[sender.job.id.cluster] += 1
            if sent_so_far is not None:
                sent_so_far(number)
    return sent


class _Sender:
    """Puts planned jobs into a transaction, one after the other. One template serves for all jobs of a
    cluster.
    """

    job: Job
    _cluster: Cluster
    _template: Ad | None

    def __init__(self, transaction: Transaction, meter: Meter) -> None:
        self._transaction = transaction
        self._meter = meter

    def number(self, new_cluster: bool) -> JobId:
        if new_cluster:
            self._cluster = self._transaction.new_cluster()
            self._template = None
        self.job = self._cluster.new_job()
        return self.job.id

    def send(self, planned: PlannedJob) -> None:
        if self._template is None:
            owner = str(planned.attributes["Owner"])
            self._template = self.job.template(planned.executable, owner=owner, universe=planned.universe)
        ad = self._template.copy()
        ad.update({"ClusterId": self.job.id.cluster, "ProcId": self.job.id.proc, **planned.attributes})
        for name, path in planned.uploads.items():
            self.job.upload(path, name, progress=self._meter.file(name))
        self.job.submit(ad)


def _report(sent: Mapping[int, int], as_json: bool) -> None:
    from birdbath.commands.terminal import print_json, say

    if as_json:
        print_json([{"cluster": cluster, "jobs": jobs} for cluster, jobs in sent.items()])
        return
    for cluster, jobs in sent.items():
        say(f"{jobs} job(s) submitted to cluster {cluster}.")
