"""`birdbath recommend`: which of several pools a submission would go to."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, guarded

PATH = "/pools/federation/"


@guarded
def recommend(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A submit description, as for birdbath submit.")
    ],
    owner: Annotated[
        str | None, typer.Option(help="Whose jobs these are, if the server lets you say.")
    ] = None,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Say which pool the description's first job would go to, and why; nothing is submitted."""
    from birdbath.client import Federation, JobId
    from birdbath.commands.selection import myself
    from birdbath.commands.submit import planned_jobs
    from birdbath.commands.terminal import print_json, say
    from birdbath.description import Description, Planner

    jobs = planned_jobs(
        Description.read(file), Planner(owner or myself(url), os.environ), lambda new: JobId(1, 0)
    )
    job = next(jobs)
    address = url if "/pools/" in url else urljoin(url, PATH)
    with Federation(address) as federation:
        found = federation.recommend(job.attributes)
    if as_json:
        print_json(asdict(found))
        return
    say(f"{found.pool}: {found.why}")
    for pool in found.pools:
        say(f"  {pool.pool}: {pool.why}")
