"""`birdbath wsdl`: the WSDL files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from birdbath.commands.shared import guarded

ORIGINAL_ADDRESS = "http://localhost:80"  # of birdbath.soap.wsdl, which is slow to import


@guarded
def wsdl(
    directory: Annotated[Path, typer.Option(help="Where to write them; made if missing.")] = Path("wsdl"),
    address: Annotated[str, typer.Option(help="The address they name.", metavar="URL")] = ORIGINAL_ADDRESS,
) -> None:
    """Write condorSchedd.wsdl, condorCollector.wsdl, birdbathEvents.wsdl, birdbathQueries.wsdl and
    birdbathFederation.wsdl, for clients that are to be generated without a server.
    """
    from birdbath.soap.wsdl import ServiceName
    from birdbath.soap.wsdl import wsdl as written

    directory.mkdir(parents=True, exist_ok=True)
    services: tuple[ServiceName, ...] = (
        "condorSchedd",
        "condorCollector",
        "birdbathEvents",
        "birdbathQueries",
        "birdbathFederation",
    )
    for service in services:
        file = directory / f"{service}.wsdl"
        file.write_bytes(written(service, address))
        typer.echo(str(file))
