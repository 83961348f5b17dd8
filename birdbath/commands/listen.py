"""`birdbath listen`: follow job events to a file, mail, chat, or a service that Apprise reaches."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birdbath.commands.shared import guarded
from birdbath.commands.terminal import output
from birdbath.errors import BirdbathError

if TYPE_CHECKING:
    from birdbath.notify.deliveries import Sink, Source
    from birdbath.notify.filters import Filter
    from birdbath.notify.listener import Listener


_SCHEMES = ("http", "https", "amqp", "amqps", "amqp1", "amqps1")


class ListenUsage(BirdbathError):
    """The options of the command do not fit together."""


@dataclass(frozen=True)
class _From:
    url: str
    exchange: str
    queue: str | None
    unbind: Sequence[str]
    state: Path | None
    topics: Sequence[str]
    constraint: str | None
    filter_file: Path | None


def listen(
    source: Annotated[
        str,
        typer.Argument(
            help="Where events come from: a server (http://...), a broker (amqp://..., amqps://...), or an "
            "AMQP 1.0 peer (amqp1://...?address=..., amqps1://...).",
            envvar="BIRDBATH_LISTEN",
            metavar="URL",
        ),
    ],
    file: Annotated[
        Path | None, typer.Option(help="To this file; '-' is standard output.", rich_help_panel="To")
    ] = None,
    mail: Annotated[
        list[str] | None, typer.Option(help="To this mail address; repeat it.", rich_help_panel="To")
    ] = None,
    chat: Annotated[
        list[str] | None,
        typer.Option(help="To this XMPP contact; repeat it; 'roster': to everybody.", rich_help_panel="To"),
    ] = None,
    apprise: Annotated[
        list[str] | None,
        typer.Option(help="To this Apprise URL (slack://, matrix://, ...); repeat it.", rich_help_panel="To"),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            help="Topic pattern on job.<event>.<owner>.<cluster>.<proc>; repeat it.", rich_help_panel="Which"
        ),
    ] = None,
    constraint: Annotated[
        str | None,
        typer.Option(help="ClassAd constraint on the events.", metavar="EXPR", rich_help_panel="Which"),
    ] = None,
    filter_file: Annotated[
        Path | None,
        typer.Option(
            help='JSON file {"topics": [...], "constraint": "..."}; read again at SIGHUP, and sent back to '
            "the server (feedback mode).",
            rich_help_panel="Which",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option(help="Form in a file: text, json, xml, classad or cloudevents.")
    ] = "text",
    max_size: Annotated[int, typer.Option(help="Rotate the file at so many bytes; 0: never.", min=0)] = 0,
    max_rotations: Annotated[int, typer.Option(help="Rotated files that are kept.", min=0)] = 1,
    digest: Annotated[
        float | None,
        typer.Option(help="One message for all events within so many seconds, not one each.", min=0),
    ] = None,
    exchange: Annotated[
        str, typer.Option(help="The broker's topic exchange.", rich_help_panel="Broker")
    ] = "condor.events",
    queue: Annotated[
        str | None,
        typer.Option(
            help="Durable queue, shared by all who listen on it; default: one that ends with the listener.",
            rich_help_panel="Broker",
        ),
    ] = None,
    unbind: Annotated[
        list[str] | None,
        typer.Option(
            help="Topic pattern that an earlier listener had bound the durable queue by; repeat it.",
            rich_help_panel="Broker",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps the subscription, so that a restart misses nothing.",
            rich_help_panel="Server",
        ),
    ] = None,
    smtp: Annotated[
        str, typer.Option(help="Mail server, host or host:port.", envvar="BIRDBATH_SMTP_SERVER")
    ] = "localhost",
    smtp_tls: Annotated[str, typer.Option(help="starttls (if it can), require, tls or off.")] = "starttls",
    smtp_user: Annotated[
        str | None, typer.Option(envvar="BIRDBATH_SMTP_USER", help="Account at the mail server.")
    ] = None,
    smtp_password: Annotated[
        str | None, typer.Option(envvar="BIRDBATH_SMTP_PASSWORD", help="Better in the variable.")
    ] = None,
    mail_from: Annotated[
        str, typer.Option(help="Sender of the mails.", envvar="BIRDBATH_MAIL_FROM")
    ] = "birdbath@localhost",
    jid: Annotated[
        str | None, typer.Option(help="XMPP account that sends.", envvar="BIRDBATH_XMPP_JID")
    ] = None,
    xmpp_password: Annotated[
        str | None, typer.Option(envvar="BIRDBATH_XMPP_PASSWORD", help="Better in the variable.")
    ] = None,
    xmpp_server: Annotated[
        str | None, typer.Option(help="host:port, where it does not follow from the account.")
    ] = None,
    xmpp_ca_file: Annotated[
        Path | None, typer.Option(help="Certificates that the XMPP server is checked by.")
    ] = None,
) -> None:
    """Follow job events, and put them into a file, mail, chat, or a service.

    Events that did not arrive there are not acknowledged and come again, with the same ids. SIGTERM and
    Ctrl-C end it. A server that asks who calls is given BIRDBATH_TOKEN, or the account in the URL;
    BIRDBATH_CA names a file of the authorities that its certificate is verified by.
    """
    given = _From(source, exchange, queue, unbind or (), state, topic or (), constraint, filter_file)
    sinks: list[Callable[[], Sink]] = []
    if file is not None:
        sinks.append(lambda: _file_sink(file, form, max_size, max_rotations))
    if mail:
        sinks.append(
            lambda: _mail_sink(mail, smtp, smtp_tls, smtp_user, smtp_password, mail_from, digest is not None)
        )
    if chat:
        sinks.append(lambda: _chat_sink(chat, jid, xmpp_password, xmpp_server, xmpp_ca_file))
    if apprise:
        sinks.append(lambda: _apprise_sink(apprise, digest is not None))
    _listen(given, sinks, digest or 0.0)


@guarded
def _listen(given: _From, sinks: Sequence[Callable[[], Sink]], window: float) -> None:
    if len(sinks) != 1:
        raise ListenUsage("Say where to: one of --file, --mail, --chat and --apprise")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for talkative in ("aiormq", "httpx", "slixmpp", "apprise"):  # trouble is told once, by the listener
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    asyncio.run(_run(given, sinks[0], window))


async def _run(given: _From, sink: Callable[[], Sink], window: float) -> None:
    from birdbath.notify.listener import Listener
    from birdbath.notify.tasks import end

    filter = _filter(given)
    made = sink()
    listener = Listener(_source(given, filter), made, filter, window)
    running = asyncio.ensure_future(listener.run())
    loop = asyncio.get_running_loop()
    asked: set[asyncio.Task[None]] = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: asked.add(loop.create_task(end(running))))
    loop.add_signal_handler(signal.SIGHUP, lambda: asked.add(loop.create_task(_change(listener, given))))
    try:
        with suppress(asyncio.CancelledError):
            await running
    finally:
        await made.close()


async def _change(listener: Listener, given: _From) -> None:
    """Read the filter anew; nonsense leaves the one in force alone."""
    try:
        await listener.use(_filter(given))
    except (BirdbathError, OSError) as error:
        logging.getLogger(__name__).error("The filter stays as it was: %s", error)


def _filter(given: _From) -> Filter:
    from birdbath.notify.filters import Filter

    if given.filter_file is None:
        return Filter.of(given.topics, given.constraint)
    if given.topics or given.constraint:
        raise ListenUsage("Either --filter-file, or --topic and --constraint")
    return Filter.from_json(given.filter_file.read_bytes())


def _source(given: _From, filter: Filter) -> Source:
    scheme, _, rest = given.url.partition("://")
    if scheme not in _SCHEMES or not rest.strip("/"):
        raise ListenUsage(f"A source is a URL such as {', '.join(f'{one}://host' for one in _SCHEMES)}")
    is_server = scheme in ("http", "https")
    if given.unbind and (given.queue is None or scheme not in ("amqp", "amqps")):
        raise ListenUsage("--unbind is for a --queue of a broker (amqp://..., amqps://...)")
    if given.queue is not None and is_server:
        raise ListenUsage("--queue is for a broker; what a server keeps for a listener is a --state")
    if given.state is not None and not is_server:
        raise ListenUsage("--state is for a server; what a broker keeps for a listener is a --queue")
    if is_server:
        from birdbath.notify.http_source import HttpSource

        token, authorities = os.environ.get("BIRDBATH_TOKEN"), os.environ.get("BIRDBATH_CA")
        return HttpSource(given.url, filter, given.state, token, authorities)
    from birdbath.notify.brokers import check_url
    from birdbath.notify.brokers import source as broker_source

    return broker_source(check_url(given.url), filter, given.exchange, given.queue, tuple(given.unbind))


def _file_sink(path: Path, form_name: str, max_size: int, max_rotations: int) -> Sink:
    from birdbath.events import form
    from birdbath.notify.sinks.files import FileSink, OutputSink

    chosen = form(form_name, "urn:condor:listener")
    if str(path) == "-":
        return OutputSink(output().buffer, chosen)
    sink = FileSink(path, chosen, max_size, max_rotations)
    sink.open()
    return sink


def _mail_sink(
    to: Sequence[str],
    server: str,
    tls: str,
    user: str | None,
    password: str | None,
    sender: str,
    digest: bool,
) -> Sink:
    from birdbath.notify.sinks.mail import MailServer, MailSink

    if tls not in ("starttls", "require", "tls", "off"):
        raise ListenUsage(f"--smtp-tls is starttls, require, tls or off, not {tls!r}")
    host, port = _server("--smtp", server, 25)
    return MailSink(MailServer(host, port, sender, user, password, tls), to, digest)


def _server(option: str, address: str, default_port: int) -> tuple[str, int]:
    from birdbath.notify.sinks.mail import parse_server

    try:
        return parse_server(address, default_port)
    except ValueError as error:
        raise ListenUsage(f"{option} {error}") from None


def _chat_sink(
    contacts: Sequence[str], jid: str | None, password: str | None, server: str | None, ca_file: Path | None
) -> Sink:
    from birdbath.notify.sinks.chat import ChatAccount, ChatSink, check_address

    if jid is None or password is None:
        raise ListenUsage("Chat needs --jid and --xmpp-password (or BIRDBATH_XMPP_PASSWORD)")
    if "roster" in contacts and len(contacts) > 1:
        raise ListenUsage("--chat roster is everybody on the roster: no contact beside it")
    for address in (jid, *contacts):
        check_address(address)
    host, port = _server("--xmpp-server", server, 5222) if server else (None, 5222)
    account = ChatAccount(jid, password, host, port, str(ca_file) if ca_file else None)
    return ChatSink(account, () if "roster" in contacts else contacts)


def _apprise_sink(urls: Sequence[str], digest: bool) -> Sink:
    from birdbath.notify.sinks.services import AppriseSink

    return AppriseSink(urls, digest)
