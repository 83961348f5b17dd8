"""`birdbath status`: the machines and daemons of the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, guarded

if TYPE_CHECKING:
    from birdbath.client import Ad, AdStream, Collector

STATES = ("Owner", "Claimed", "Unclaimed", "Matched", "Preempting", "Backfill", "Drained")
_STATE_STYLES = {"Claimed": "green", "Owner": "yellow", "Preempting": "magenta", "Drained": "red"}
_ACTIVITY_STYLES = {"Busy": "green", "Suspended": "magenta", "Retiring": "yellow", "Vacating": "magenta"}

# What the views other than the slots show: title and attribute.
_VIEWS: dict[str, tuple[tuple[str, str], ...]] = {
    "schedd": (
        ("Name", "Name"),
        ("Machine", "Machine"),
        ("RunningJobs", "TotalRunningJobs"),
        ("IdleJobs", "TotalIdleJobs"),
        ("HeldJobs", "TotalHeldJobs"),
    ),
    "master": (("Name", "Name"), ("Machine", "Machine"), ("Version", "CondorVersion")),
    "submitters": (
        ("Name", "Name"),
        ("Schedd", "ScheddName"),
        ("RunningJobs", "RunningJobs"),
        ("IdleJobs", "IdleJobs"),
        ("HeldJobs", "HeldJobs"),
    ),
    "any": (("MyType", "MyType"), ("TargetType", "TargetType"), ("Name", "Name")),
}


@guarded
def status(
    which: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only these machines or daemons.")
    ] = None,
    schedd: Annotated[bool, typer.Option("--schedd", "-schedd", help="The Schedds.")] = False,
    master: Annotated[bool, typer.Option("--master", "-master", help="The Masters.")] = False,
    submitters: Annotated[bool, typer.Option("--submitters", "-submitters", help="Users with jobs.")] = False,
    everything: Annotated[bool, typer.Option("--any", "-any", help="Ads of every kind.")] = False,
    constraint: shared.Constraint = None,
    long: shared.Long = False,
    attributes: shared.Attributes = None,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Show the slots of the pool's machines, or its daemons."""
    from birdbath.client import Collector
    from birdbath.commands.selection import both
    from birdbath.commands.terminal import print_ads

    asked = {"schedd": schedd, "master": master, "submitters": submitters, "any": everything}
    views = [f"--{view}" for view, on in asked.items() if on]
    if len(views) > 1:
        raise typer.BadParameter(f"{' and '.join(views)} exclude each other")
    view = views[0].removeprefix("--") if views else "slots"
    with Collector(url) as collector, _query(collector, view, both(_named(which or ()), constraint)) as ads:
        table = _print_slots if view == "slots" else partial(_print_daemons, view=view)
        print_ads(ads, as_json, long, attributes, table)


def _query(collector: Collector, view: str, constraint: str | None) -> AdStream:
    queries = {
        "slots": collector.startd_ads,
        "schedd": collector.schedd_ads,
        "master": collector.master_ads,
        "submitters": collector.submitter_ads,
        "any": collector.any_ads,
    }
    return queries[view](constraint)


def _named(names: Iterable[str]) -> str | None:
    from birdbath.client import literal

    return " || ".join(f"Name == {literal(name)} || Machine == {literal(name)}" for name in names) or None


def _print_daemons(ads: Iterable[Ad], view: str) -> None:
    from birdbath.commands.terminal import Column, print_table

    fields = _VIEWS[view]
    columns = [Column(title, "right" if title.endswith("Jobs") else "left") for title, _ in fields]
    print_table(columns, sorted(tuple(_text(ad, name) for _, name in fields) for ad in ads))


def _text(ad: Ad, name: str) -> str:
    value = ad.get(name)
    return "" if value is None else str(value)


def _print_slots(ads: Iterable[Ad]) -> None:
    from birdbath.commands.terminal import Column, print_table, say

    rows: list[tuple[str, ...]] = []
    totals: dict[str, Counter[str]] = {}
    for ad in ads:
        rows.append(_slot(ad))
        states = totals.setdefault(f"{ad.string('Arch')}/{ad.string('OpSys')}", Counter())
        states[ad.string("State")] += 1
    columns = (
        Column("Name"),
        Column("OpSys"),
        Column("Arch"),
        Column("State", style=_STATE_STYLES),
        Column("Activity", style=_ACTIVITY_STYLES),
        Column("LoadAv", "right"),
        Column("Mem", "right"),
        Column("ActvtyTime", "right"),
    )
    print_table(columns, sorted(rows))
    say()
    titles = ("", "Total", *STATES)
    lines = [_totals(kind, totals[kind]) for kind in sorted(totals)]
    lines.append(_totals("Total", sum(totals.values(), Counter())))
    print_table([Column(title, "right") for title in titles], lines)


def _slot(ad: Ad) -> tuple[str, ...]:
    from birdbath.commands.terminal import duration

    since = ad.integer("EnteredCurrentActivity")
    return (
        ad.string("Name"),
        ad.string("OpSys"),
        ad.string("Arch"),
        ad.string("State"),
        ad.string("Activity"),
        f"{ad.real('LoadAvg'):.3f}",
        str(ad.integer("Memory")),
        duration(ad.integer("ServerTime") - since) if since else "",
    )


def _totals(kind: str, states: Counter[str]) -> tuple[str, ...]:
    return (kind, str(states.total()), *(str(states[state]) for state in STATES))
