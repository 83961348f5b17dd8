"""`birdbath hold`, `release` and `rm`: acting on jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, REFUSED, complain, complain_of_missing, guarded

if TYPE_CHECKING:
    from birdbath.client import JobId, Schedd

Which = Annotated[
    list[str] | None, typer.Argument(metavar="JOB|CLUSTER|USER", help="12.3 is a job, 12 a cluster.")
]
All = Annotated[bool, typer.Option("--all", "-all", "-a", help="All your own jobs.")]


@dataclass(frozen=True)
class Action:
    """What to do to a job; `fitting` is true for the jobs to which it can be done."""

    done: str
    fitting: str
    carry_out: Callable[[Schedd, JobId], None]


@guarded
def hold(
    which: Which = None,
    everything: All = False,
    constraint: shared.Constraint = None,
    reason: shared.Reason = "via birdbath hold",
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Stop jobs and keep them in the queue until they are released."""
    fitting = "JobStatus != 5 && JobStatus != 4 && JobStatus != 3"
    action = Action("held", fitting, lambda schedd, job: schedd.hold(*job, reason))
    _act(action, which or [], everything, constraint, as_json, url)


@guarded
def release(
    which: Which = None,
    everything: All = False,
    constraint: shared.Constraint = None,
    reason: shared.Reason = "via birdbath release",
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Let held jobs go on."""
    action = Action("released", "JobStatus == 5", lambda schedd, job: schedd.release(*job, reason))
    _act(action, which or [], everything, constraint, as_json, url)


@guarded
def remove(
    which: Which = None,
    everything: All = False,
    constraint: shared.Constraint = None,
    force: Annotated[
        bool,
        typer.Option("--force", "-forcex", help="Do not keep removed jobs in the queue for their output."),
    ] = False,
    reason: shared.Reason = "via birdbath rm",
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Remove jobs."""
    fitting = "true" if force else "JobStatus != 3"
    action = Action("removed", fitting, lambda schedd, job: schedd.remove(*job, reason, force=force))
    _act(action, which or [], everything, constraint, as_json, url)


def _act(
    action: Action, which: list[str], everything: bool, constraint: str | None, as_json: bool, url: str
) -> None:
    """Act on every job that is meant; one that is refused does not keep the others from being done."""
    from birdbath.client import BadReply, ConnectionFailed, Schedd
    from birdbath.commands.terminal import print_json, say
    from birdbath.errors import BirdbathError

    if not (which or everything or constraint):
        raise typer.BadParameter("say which jobs: numbers, users, --constraint or --all")
    results: list[dict[str, str | bool | None]] = []
    with Schedd(url) as schedd:
        jobs, missing = _meant(schedd, action, which, everything, constraint, url)
        for job in jobs:
            error = None
            try:
                action.carry_out(schedd, job)
            except (BadReply, ConnectionFailed):
                raise
            except BirdbathError as refused:
                error = str(refused)
            results.append({"job": str(job), action.done: error is None, "error": error})
            if not as_json:
                say(f"Job {job} {action.done}") if error is None else complain(
                    f"Job {job} not {action.done}: {error}"
                )
    if as_json:
        print_json(results)
    elif not results and not missing:
        complain(f"there is no job to be {action.done}")
    complain_of_missing(missing)
    if not results or any(result["error"] is not None for result in results):
        raise typer.Exit(REFUSED)


def _meant(
    schedd: Schedd, action: Action, which: list[str], everything: bool, constraint: str | None, url: str
) -> tuple[list[JobId], str]:
    """The jobs, and what the server could not look through; first those named one by one: whether they can be
    acted on, the server shall say.
    """
    from birdbath.client import JobId
    from birdbath.commands.selection import Selection, both, myself

    selection = Selection.of(which)
    named: list[JobId] = []
    if constraint is None:
        named = list(selection.jobs)
        selection = Selection(selection.clusters, (), selection.users)
    wanted = both(selection.expression(), constraint)
    if everything:
        wanted = both(f'Owner == "{myself(url)}"', wanted)
    if wanted is None:
        return named, ""
    ads = schedd.job_ads(both(wanted, action.fitting))
    # All are known before the first is acted on: the list would change under our hands.
    found = sorted(JobId(ad.integer("ClusterId"), ad.integer("ProcId")) for ad in ads)
    return named + found, ads.missing
