"""`birdbath replay`: a recorded workload through the simulated pool, and what came of it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import complain, guarded

if TYPE_CHECKING:
    from birdbath.pool.simulated.description import PoolDescription
    from birdbath.traces import Summary, Trace

_ROWS = (
    ("jobs", "jobs", "{:,.0f}"),
    ("processors", "processors", "{:,.0f}"),
    ("makespan", "makespan [s]", "{:,.0f}"),
    ("work", "work [processor s]", "{:,.0f}"),
    ("utilisation", "utilisation", "{:.1%}"),
    ("jobs_per_hour", "jobs per hour", "{:,.1f}"),
    ("mean_wait", "wait, mean [s]", "{:,.1f}"),
    ("median_wait", "wait, median [s]", "{:,.1f}"),
    ("p95_wait", "wait, 95 % [s]", "{:,.1f}"),
    ("max_wait", "wait, longest [s]", "{:,.1f}"),
    ("mean_response", "response, mean [s]", "{:,.1f}"),
    ("mean_slowdown", "slowdown, mean", "{:,.2f}"),
    ("mean_bounded_slowdown", "bounded slowdown, mean", "{:,.2f}"),
)


@guarded
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A trace in the Standard Workload Format (also .gz), or an HTCondor event log.",
        ),
    ],
    pool: Annotated[
        str | None,
        typer.Option(help="The pool: laptop, campus, grid, or a description file. Default: one machine."),
    ] = None,
    processors: Annotated[
        int | None, typer.Option(min=1, help="Of the one machine. Default: what the trace says.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--limit", min=1, help="Replay only so many jobs, the first ones.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Write a Gantt chart and a utilisation curve: .svg, .png or .pdf."),
    ] = None,
    as_json: shared.Json = False,
) -> None:
    """Replay a recorded workload on a simulated pool, as fast as it goes, and report waits and utilisation.

    Nothing is sent to a server. On the one machine jobs are served in the order in which they came, but one
    that fits goes ahead of one that does not; in a `--pool` the negotiator shares it fairly among the users
    of the trace. Where the trace tells how long jobs waited when it was recorded, the same figures are
    printed of that run too.
    """
    from birdbath.commands.terminal import job_bar
    from birdbath.pool.simulated.replay import replay as run
    from birdbath.traces import TraceError, summarize

    trace = _read(file)
    jobs = trace.jobs[:most]
    if not jobs:
        raise TraceError(f"{file}: no job to replay")
    description, total = _pool(pool, processors, trace)
    for reason, count in trace.skipped.items():
        complain(f"left out: {count} line(s): {reason}")
    with tempfile.TemporaryDirectory(prefix="birdbath-replay-") as folder, job_bar(len(jobs)) as progress:
        outcome = run(jobs, description, Path(folder), progress, fair=pool is not None)
    if outcome.unfinished:
        complain(f"warning: {outcome.unfinished} job(s) did not run to their end; does a machine have room?")
    recorded = [record for job in jobs if (record := job.recorded()) is not None]
    summary = summarize(outcome.records, total)
    _print(summary, summarize(recorded, total) if recorded else None, as_json)
    if picture is not None:
        from birdbath.traces.picture import draw

        draw(outcome.records, total, f"{file.name}: {summary.jobs:,} jobs on {total:,} processors", picture)


def _read(file: Path) -> Trace:
    import gzip

    from birdbath.traces import TraceError
    from birdbath.traces.event_log import read_event_log
    from birdbath.traces.workload import read_workload

    name = file.name.removesuffix(".gz")
    if name.endswith(".swf"):
        try:
            with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
                return read_workload(lines, str(file))
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
            raise TraceError(f"{file}: {error}") from None
    if not file.is_file():
        raise TraceError(f"{file}: no such file")
    return read_event_log(file)


def _pool(name: str | None, processors: int | None, trace: Trace) -> tuple[PoolDescription, int]:
    """The pool to replay on, and how many processors it has."""
    from birdbath.pool.simulated.replay import eager, one_machine
    from birdbath.traces import TraceError

    if name is None:
        total = processors or trace.processors or max(job.cpus for job in trace.jobs)
        return one_machine(total), total
    if processors is not None:
        raise TraceError("--processors is for the one machine that there is without --pool")
    from birdbath.pool.simulated.description_file import load_description

    description = load_description(name)
    return eager(description), sum(machine.cpus * machine.count for machine in description.machines)


def _print(simulated: Summary, recorded: Summary | None, as_json: bool) -> None:
    from birdbath.commands.terminal import print_json, say

    if as_json:
        found = {"simulated": asdict(simulated)}
        print_json(found | ({"recorded": asdict(recorded)} if recorded else {}))
        return
    columns = [simulated] if recorded is None else [simulated, recorded]
    say(" " * 24 + "".join(f"{name:>16}" for name in ("simulated", "recorded")[: len(columns)]))
    for attribute, label, form in _ROWS:
        values = (form.format(getattr(summary, attribute)) for summary in columns)
        say(f"{label:<24}" + "".join(f"{value:>16}" for value in values))
