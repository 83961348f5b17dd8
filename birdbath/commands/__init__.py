"""The everyday commands, with the habits of the condor_* tools. They speak SOAP, through `birdbath.client`.

A command's module is light to import: what takes time (zeep, HTCondor's parser, rich) is imported where it is
used, so that `birdbath --help` and the shell's completion are quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import typer

from birdbath.commands import (
    act,
    clock,
    credentials,
    doctor,
    fetch,
    forward,
    history,
    listen,
    queue,
    recommend,
    replay,
    status,
    submit,
    wsdl,
)
from birdbath.commands.shared import ShowsAds, help_of

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "submit": submit.submit,
    "recommend": recommend.recommend,
    "q": queue.queue,
    "history": history.history,
    "status": status.status,
    "hold": act.hold,
    "release": act.release,
    "rm": act.remove,
    "fetch": fetch.fetch,
    "forward": forward.forward,
    "listen": listen.listen,
    "replay": replay.replay,
    "wsdl": wsdl.wsdl,
    "clock": clock.clock,
    "passwd": credentials.passwd,
    "token": credentials.token,
    "doctor": doctor.doctor,
}


_SHOWING_ADS: Final = ("q", "history", "status")


def register(app: typer.Typer) -> None:
    """Add the everyday commands to `app`."""
    for name, command in _COMMANDS.items():
        kind = ShowsAds if name in _SHOWING_ADS else None
        app.command(name, cls=kind, help=help_of(command))(command)
