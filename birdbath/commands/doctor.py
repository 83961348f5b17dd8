"""`birdbath doctor`: is all there that the server needs, and what to do where it is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from birdbath.commands.shared import REFUSED, Json, guarded

_MARKS = {"good": ("ok", "green"), "doubtful": ("!", "yellow"), "bad": ("x", "red")}


@guarded
def doctor(
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings, as for birdbath serve.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of the database and the spool.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    as_json: Json = False,
) -> None:
    """Check settings, disk, database, certificates, credentials, pool and broker, and say what to do.

    Changes nothing. Ends with 1 when something is bad.
    """
    from birdbath.doctor import Verdict, examine
    from birdbath.settings import load_settings

    settings = load_settings(config, home=home, host=host, port=port)
    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            mark, colour = _MARKS[finding.verdict]
            line = f"{typer.style(f'{mark:>2}', fg=colour)}  {finding.part:<15} {finding.seen}"
            typer.echo(line + (f"\n{'':19} -> {finding.advice}" if finding.advice else ""))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(REFUSED)
