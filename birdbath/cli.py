"""The `birdbath` command: it reads the settings, builds the parts, runs them."""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from birdbath import __version__, commands
from birdbath.commands.shared import complain, help_of
from birdbath.errors import BirdbathError

app = typer.Typer(
    name="birdbath",
    help="A SOAP front door for HTCondor-style pools: condorSchedd and condorCollector, built anew.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birdbath {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Options of every command."""


def serve(
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of the database and the spool; made if missing. Default: ~/.birdbath"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. Default: 8080")
    ] = None,
    collector_port: Annotated[int | None, typer.Option(help="A second port, for collector clients.")] = None,
    public_url: Annotated[str | None, typer.Option(help="The address that the WSDL names.")] = None,
    strict: Annotated[
        bool | None, typer.Option("--strict/--lenient", help="Verify declared files, use all status codes.")
    ] = None,
    without_authentication: Annotated[
        bool | None,
        typer.Option(
            "--without-authentication",
            help="Listen on another address than loopback though nobody is asked who he is.",
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="The simulated pool: laptop, campus, grid, or a TOML file; or htcondor, a real one.",
            metavar="NAME|FILE",
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(help="Pool seconds per second, or max: jump from event to event.", metavar="N|max"),
    ] = None,
    execute: Annotated[
        bool | None,
        typer.Option("--execute", help="Run jobs as processes of this machine, shut into their sandboxes."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings; see docs/settings.md for all of them.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the settings are such that it could start.")
    ] = False,
) -> None:
    """Serve condorSchedd and condorCollector on an embedded simulated pool, until SIGTERM or Ctrl-C.

    SIGHUP restarts it: a new program or new settings, and nobody who connects meanwhile is refused. With
    settings that --check finds fault with it goes on as it was, and logs the fault.

    When it is ready, one line with the URLs is printed on standard output; the log goes to standard error.
    """
    # The server's parts take half a second to load, which the everyday commands shall not pay. What is loaded
    # stays: the collector has nothing to look for, until the server lets it.
    gc.disable()
    from birdbath.listening import heed_hangups, heed_the_end_as_first_process, restart

    if not check:
        heed_hangups()
        heed_the_end_as_first_process()
    import uvloop

    from birdbath.server import serve as serve_until_stopped
    from birdbath.settings import load_settings, misspelt
    from birdbath.trial import check as check_settings

    try:
        settings = load_settings(
            config,
            home=home,
            host=host,
            port=port,
            collector_port=collector_port,
            public_url=public_url,
            strict=strict,
            without_authentication=without_authentication,
            pool=pool,
            speed=speed,
            execute=execute,
            log_level=log_level,
        )
        for name, meant in misspelt(os.environ).items():
            complain(f"{name} is no setting; perhaps {meant}")
        if check:
            check_settings(settings)
            typer.echo("birdbath: the settings can be served")
            return
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        for talkative in ("alembic", "spyne", "uvicorn"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        left = uvloop.run(serve_until_stopped(settings, _announce))
        if left:
            restart(left)
    except BirdbathError as error:
        complain(str(error))
        raise typer.Exit(1) from None


def _announce(urls: list[str]) -> None:
    others = f" and {', '.join(urls[1:])}" if urls[1:] else ""
    print(f"Birdbath is ready at {urls[0]}{others} (WSDL: {urls[0]}/condorSchedd.wsdl)", flush=True)


app.command(help=help_of(serve))(serve)
commands.register(app)


def main() -> None:
    """Run the command; when nobody reads what it writes it ends quietly."""
    if sys.stdout is None:  # closed; libraries expect that there is something
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)
