"""`birdbath history`: the jobs that have left the queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, guarded

if TYPE_CHECKING:
    from birdbath.client import Ad


@guarded
def history(
    which: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB|CLUSTER|USER", help="Which jobs; all if you say nothing."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-limit", "-match", min=1, help="At most so many jobs.")
    ] = None,
    constraint: shared.Constraint = None,
    long: shared.Long = False,
    attributes: shared.Attributes = None,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Show the jobs that have left the queue, the last that left first."""
    from birdbath.client import Queries
    from birdbath.commands.selection import Selection, both
    from birdbath.commands.terminal import print_ads

    wanted = both(Selection.of(which or ()).expression(), constraint)
    with Queries(url) as queries:
        ads = queries.history(wanted, limit)
        print_ads(ads, as_json, long, attributes, _print_jobs)


def _print_jobs(ads: Iterable[Ad]) -> None:
    from birdbath.commands.queue import LETTERS, STYLES, command_line, day, job_id, run_time
    from birdbath.commands.terminal import Column, duration, print_table

    columns = (
        Column("ID", "right"),
        Column("OWNER"),
        Column("SUBMITTED"),
        Column("RUN_TIME", "right"),
        Column("ST", style=STYLES),
        Column("COMPLETED"),
        Column("CMD"),
    )
    rows = (
        (
            job_id(ad),
            ad.string("Owner"),
            day(ad.integer("QDate")),
            duration(run_time(ad)),
            LETTERS.get(ad.integer("JobStatus"), "?"),
            day(ad.integer("CompletionDate")) or "???",
            command_line(ad),
        )
        for ad in ads
    )
    print_table(columns, list(rows))
