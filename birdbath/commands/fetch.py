"""`birdbath fetch`: a job's output, downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands import shared
from birdbath.commands.shared import DEFAULT_URL, REFUSED, complain, guarded

if TYPE_CHECKING:
    from birdbath.client import Ad, FileInfo, JobId, Schedd

REMOVED, COMPLETED = 3, 4


@guarded
def fetch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="12.3, or 12 for 12.0.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Only these files.")] = None,
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where to put them.")] = Path(),
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also what was uploaded for the job.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the job in the queue, with its files.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with downloads that were broken off.")
    ] = False,
    as_json: shared.Json = False,
    url: shared.Url = DEFAULT_URL,
) -> None:
    """Download the output of a job.

    When all the output of a finished job was fetched, the job leaves the queue and its files are deleted on
    the server, unless you say --keep. The output of a job that has not finished is fetched as it is, and the
    job stays. It stays as well when some of its output, a folder or a link, cannot be fetched.
    """
    from birdbath.client import Schedd
    from birdbath.commands.selection import single_job
    from birdbath.commands.terminal import print_json, say

    number = single_job(job)
    with Schedd(url) as schedd:
        ad = schedd.job_ad(*number)
        wanted = _wanted(ad, schedd.list_spool(*number), names or [], everything)
        paths = targets(ad, [info.name for info in wanted], directory)
        refused = _download(schedd, number, wanted, paths, resume)
        wanted = [info for info in wanted if info.name not in refused]
        close = not keep and not names and not refused and ad.integer("JobStatus") in (REMOVED, COMPLETED)
        if close:
            schedd.close_spool(*number)
    if as_json:
        files = [{"name": info.name, "path": str(paths[info.name]), "size": info.size} for info in wanted]
        print_json({"job": str(number), "files": files, "closed": close})
    else:
        for info in wanted:
            say(str(paths[info.name]))
    if refused:
        raise typer.Exit(REFUSED)
    if not wanted and not as_json:
        complain(f"job {number} has no output" if close else f"job {number} has no output yet")


def _wanted(ad: Ad, spool: Iterable[FileInfo], names: list[str], everything: bool) -> list[FileInfo]:
    """The files to fetch: those named, else all but what was uploaded."""
    from birdbath.client.errors import UnknownFile

    files = {info.name: info for info in spool}
    if names:
        if missing := [name for name in names if name not in files]:
            raise UnknownFile(f"the job has no file {', '.join(missing)}")
        return [files[name] for name in names]
    sent = set() if everything else {ad.string("Cmd"), ad.string("In"), *_listed(ad.string("TransferInput"))}
    return [info for name, info in sorted(files.items()) if name not in sent]


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def targets(ad: Ad, names: Iterable[str], directory: Path) -> dict[str, Path]:
    """Where each file goes: below `directory`, at the place its submitter chose, if any.

    The server and whoever submitted the job say these names: none may lead out of the folder. Raises
    `TransferFailed` for a file whose very name would.
    """
    from birdbath.client import TransferFailed
    from birdbath.description import words

    remaps = dict(words.remaps(ad.string("SUBMIT_TransferOutputRemaps")))
    found: dict[str, Path] = {}
    for name in names:
        if not _stays_inside(name) or "/" in name:
            raise TransferFailed(f"the server offers a file called {name!r}, which is not the name of a file")
        moved = remaps.get(name, name)
        found[name] = directory / (moved if _stays_inside(moved) else name)
    return found


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _download(
    schedd: Schedd, job: JobId, files: list[FileInfo], paths: dict[str, Path], resume: bool
) -> set[str]:
    """Download them; the names of those that the server does not give. They do not keep back the others."""
    from birdbath.client import OperationFailed
    from birdbath.commands.terminal import transfer_bar

    refused = set()
    with transfer_bar(sum(info.size for info in files)) as meter:
        for info in files:
            path = paths[info.name]
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                schedd.download(*job, info.name, path, progress=meter.file(info.name), resume=resume)
            except OperationFailed as error:
                complain(f"{info.name} is not fetched: {error}")
                path.with_name(path.name + ".part").unlink(missing_ok=True)
                refused.add(info.name)
    return refused
