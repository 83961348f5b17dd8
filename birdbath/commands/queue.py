"""`birdbath q`: the jobs in the queue."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, guarded

if TYPE_CHECKING:
    from birdbath.client import Ad

RUNNING = 2
LETTERS = {1: "I", 2: "R", 3: "X", 4: "C", 5: "H", 6: ">", 7: "S"}
_WORDS = {4: "completed", 3: "removed", 1: "idle", 2: "running", 5: "held", 7: "suspended"}
STYLES = {"R": "green", "I": "yellow", "H": "red", "C": "blue", "X": "dim", "S": "magenta", ">": "green"}


@guarded
def queue(
    which: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB|CLUSTER|USER", help="Which jobs; your own if you say nothing."),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", "-all", "-allusers", help="The jobs of all users.")
    ] = False,
    held: Annotated[bool, typer.Option("--held", "-hold", help="Only held jobs, with the reason.")] = False,
    constraint: shared.Constraint = None,
    long: shared.Long = False,
    attributes: shared.Attributes = None,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Show the jobs in the queue: your own, or those that are named."""
    from birdbath.client import Schedd
    from birdbath.commands.selection import Selection, both, myself
    from birdbath.commands.terminal import print_ads

    chosen = Selection.of(which or ()).expression()
    if chosen is None and not everybody and constraint is None:
        chosen = f'Owner == "{myself(url)}"'
    wanted = both(both(chosen, constraint), "JobStatus == 5" if held else None)
    with Schedd(url) as schedd, schedd.job_ads(wanted) as ads:
        table = partial(_print_held if held else _print_jobs, url=url)
        print_ads(ads, as_json, long, attributes, table)
        shared.complain_of_missing(ads.missing)


def _print_jobs(ads: Iterable[Ad], url: str) -> None:
    from birdbath.client.wire import without_account
    from birdbath.commands.terminal import Column, print_table, say

    rows: list[tuple[tuple[int, int], tuple[str, ...]]] = []
    states: Counter[int] = Counter()
    for ad in ads:
        states[ad.integer("JobStatus")] += 1
        rows.append((_number(ad), _row(ad)))
    columns = (
        Column("ID", "right"),
        Column("OWNER"),
        Column("SUBMITTED"),
        Column("RUN_TIME", "right"),
        Column("ST", style=STYLES),
        Column("PRI", "right"),
        Column("SIZE", "right"),
        Column("CMD"),
    )
    say(f"-- Schedd: {without_account(url)}")
    print_table(columns, [row for _, row in sorted(rows)])
    say()
    counts = ", ".join(f"{states[number]} {word}" for number, word in _WORDS.items())
    say(f"Total for query: {len(rows)} jobs; {counts}")


def _print_held(ads: Iterable[Ad], url: str) -> None:
    from birdbath.client.wire import without_account
    from birdbath.commands.terminal import Column, print_table, say

    rows = sorted(
        (
            _number(ad),
            (
                job_id(ad),
                ad.string("Owner"),
                day(ad.integer("EnteredCurrentStatus")),
                ad.string("HoldReason"),
            ),
        )
        for ad in ads
    )
    columns = (Column("ID", "right"), Column("OWNER"), Column("HELD_SINCE"), Column("HOLD_REASON"))
    say(f"-- Schedd: {without_account(url)}")
    print_table(columns, [row for _, row in rows])
    say()
    say(f"Total for query: {len(rows)} jobs held")


def _row(ad: Ad) -> tuple[str, ...]:
    from birdbath.commands.terminal import duration

    return (
        job_id(ad),
        ad.string("Owner"),
        day(ad.integer("QDate")),
        duration(run_time(ad)),
        LETTERS.get(ad.integer("JobStatus"), "?"),
        str(ad.integer("JobPrio")),
        f"{ad.integer('ImageSize') / 1024:.1f}",
        command_line(ad),
    )


def command_line(ad: Ad) -> str:
    """What a job runs, without the folder of its program."""
    return f"{os.path.basename(ad.string('Cmd'))} {ad.string('Arguments') or ad.string('Args')}".rstrip()


def run_time(ad: Ad) -> float:
    """Seconds that a job has run, over all its starts."""
    seconds = ad.real("RemoteWallClockTime")
    if ad.integer("JobStatus") == RUNNING and (start := ad.integer("JobCurrentStartDate")):
        seconds += max(0, ad.integer("ServerTime", int(time.time())) - start)
    return seconds


def _number(ad: Ad) -> tuple[int, int]:
    return ad.integer("ClusterId"), ad.integer("ProcId")


def job_id(ad: Ad) -> str:
    """`12.3`, as the commands take it."""
    return f"{ad.integer('ClusterId')}.{ad.integer('ProcId')}"


def day(seconds: int) -> str:
    """Month, day and time, here; empty for no time, `???` for a number that is none, which any job's ad may
    have.
    """
    try:
        return time.strftime("%m/%d %H:%M", time.localtime(seconds)) if seconds else ""
    except (OSError, OverflowError, ValueError):
        return "???"
