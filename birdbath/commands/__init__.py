"""The everyday commands, with the habits of the condor_* tools. They speak SOAP, through `birdbath.client`.

A command's module is light to import: what takes time (zeep, HTCondor's parser, rich) is imported where it is
used, so that `birdbath --help` and the shell's completion are quick.
"""

from __future__ import annotations

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


def register(app: typer.Typer) -> None:
    """Add the everyday commands to `app`."""
    app.command("submit")(submit.submit)
    app.command("recommend")(recommend.recommend)
    app.command("q")(queue.queue)
    app.command("history")(history.history)
    app.command("status")(status.status)
    app.command("hold")(act.hold)
    app.command("release")(act.release)
    app.command("rm")(act.remove)
    app.command("fetch")(fetch.fetch)
    app.command("forward")(forward.forward)
    app.command("listen")(listen.listen)
    app.command("replay")(replay.replay)
    app.command("wsdl")(wsdl.wsdl)
    app.command("clock")(clock.clock)
    app.command("passwd")(credentials.passwd)
    app.command("token")(credentials.token)
    app.command("doctor")(doctor.doctor)
