"""`birdbath forward`: publish the event log of an existing schedd."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands.shared import guarded
from birdbath.commands.terminal import output

if TYPE_CHECKING:
    from birdbath.events import EventRecord, Form
    from birdbath.notify.forwarding import LogEvents, Publish

BrokerUrl = Annotated[
    str | None,
    typer.Option(
        "--amqp",
        envvar="BIRDBATH_AMQP_URL",
        help="The broker: amqp://user:password@host:5672/vhost, amqps for TLS (?cafile=...), "
        "amqp1 or amqps1 for AMQP 1.0 (?address=...).",
        metavar="URL",
    ),
]
Exchange = Annotated[str, typer.Option(help="The broker's topic exchange.", envvar="BIRDBATH_AMQP_EXCHANGE")]
FormName = Annotated[str, typer.Option("--form", help="cloudevents, text, json, xml or classad.")]


def forward(
    logs: Annotated[
        list[Path],
        typer.Argument(
            help="Event logs: EVENT_LOG of the schedd, or logs of jobs; text, JSON or XML.", metavar="LOG"
        ),
    ],
    amqp: BrokerUrl = None,
    exchange: Exchange = "condor.events",
    form: FormName = "cloudevents",
    places: Annotated[
        Path,
        typer.Option(
            help="Folder that keeps how far each log was forwarded.", envvar="BIRDBATH_FORWARD_PLACES"
        ),
    ] = Path("~/.birdbath/forward"),
    owner: Annotated[
        str | None,
        typer.Option(help="Owner of the jobs; default: as the log says, or whose file it is."),
    ] = None,
    source: Annotated[str, typer.Option(help="URI of the pool, for CloudEvents.")] = "urn:condor:forwarded",
    interval: Annotated[float, typer.Option(help="Seconds between looks at a log.", min=0.05)] = 0.5,
    once: Annotated[bool, typer.Option("--once", help="Forward what is there, and end.")] = False,
) -> None:
    """Publish the events of existing event logs to an AMQP broker, or print them.

    The schedd is not touched: its logs are read, over their rotations, and how far is kept when the broker
    has confirmed. A restart goes on from there. Without --amqp the events are printed. A record that is no
    event is logged and passed over; trouble with one log does not hold up the others.
    """
    _forward(logs, amqp, exchange, form, places, owner, source, interval, once)


@guarded
def _forward(
    logs: list[Path],
    amqp: str | None,
    exchange: str,
    form_name: str,
    places: Path,
    owner: str | None,
    source: str,
    interval: float,
    once: bool,
) -> None:
    from birdbath.events import form
    from birdbath.notify.forwarding import LogEvents, PlaceFile

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it complains of is said once already
    chosen = form(form_name, source)
    folder = places.expanduser()
    events = [LogEvents(log, PlaceFile(folder, log), owner) for log in logs]
    try:
        asyncio.run(_run(events, amqp, exchange, chosen, interval, once))
    finally:
        for log in events:
            log.close()


async def _run(
    logs: list[LogEvents], amqp: str | None, exchange: str, form: Form, interval: float, once: bool
) -> None:
    from birdbath.notify.forwarding import forward
    from birdbath.notify.tasks import end

    publish = _printing(form) if amqp is None else _publisher(amqp, exchange, form)
    tasks = [asyncio.ensure_future(forward(log, publish, interval, once)) for log in logs]
    loop = asyncio.get_running_loop()
    asked: set[asyncio.Task[None]] = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: asked.add(loop.create_task(end(*tasks))))
    try:
        # To the end of the others, when one cannot be read; without `once` only publishing can fail.
        results = await asyncio.gather(*tasks, return_exceptions=once)
    except asyncio.CancelledError:
        await asyncio.gather(*asked)  # until all have ended
    else:
        failures = [result for result in results if isinstance(result, Exception)]
        print(f"birdbath: {sum(n for n in results if isinstance(n, int))} events forwarded", file=sys.stderr)
        for failure in failures[1:]:
            logging.getLogger(__name__).error("%s", failure)
        if failures:
            raise failures[0]


def _printing(form: Form) -> Publish:
    async def publish(events: Sequence[EventRecord]) -> None:
        stream = output()
        for event in events:
            stream.write(form(event).decode(errors="replace").rstrip("\n") + "\n")
        stream.flush()

    return publish


def _publisher(url: str, exchange: str, form: Form) -> Publish:
    from birdbath.notify.amqp.steady import SteadyPublisher
    from birdbath.notify.brokers import check_url

    return SteadyPublisher(check_url(url), exchange, form).publish
