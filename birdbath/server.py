"""The server: its parts built from the settings, its background work, its listening and its clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import platform
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine

import birdbath
from birdbath import admission, following, guarding
from birdbath.backend import Backend
from birdbath.classads import AdMemory, Constraint, ExpressionLimits, limit_expressions
from birdbath.collector import CollectorSettings
from birdbath.errors import InvalidAd
from birdbath.execution import Processes
from birdbath.federation.view import Federation, build_federation
from birdbath.hosting import Host, Parts
from birdbath.listening import CannotStart, listen, url_of
from birdbath.listening import listeners as open_listeners
from birdbath.pool.htcondor.journal import gateway
from birdbath.pool.htcondor.pool import HTCondorPool
from birdbath.pool.simulated.clock import ClockState, VirtualClock
from birdbath.pool.simulated.description import PoolDescription, PoolIdentity
from birdbath.pool.simulated.description_file import InvalidDescription, load_description
from birdbath.pool.simulated.history import HistoryRetention
from birdbath.pool.simulated.local_runs import LocalLimits, LocalRuns
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.pool.simulated.state import read_clock, save_clock
from birdbath.pool_tables import HTCONDOR, connection_of, pools_of
from birdbath.running import run
from birdbath.schedd import Caller, ScheddContext, ScheddSettings, resume
from birdbath.settings import Settings
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.boots import Boots
from birdbath.store.files import make_directory
from birdbath.store.sandbox import Spool

__all__ = ["CannotStart", "Parts", "listen", "serve", "url_of"]

_log = logging.getLogger(__name__)

RELEASED = datetime(2026, 11, 20, tzinfo=UTC)


def version_string() -> str:
    """`$CondorVersion: ... $`, with the version of the interface that clients look for and Birdbath's own."""
    return f"$CondorVersion: 8.4.12 {RELEASED:%b %d %Y} BuildID: Birdbath-{birdbath.__version__} $"


def platform_string() -> str:
    """`$CondorPlatform: ... $` of the machine that runs the server."""
    return f"$CondorPlatform: {platform.machine()}_{platform.system()} $"


def build(settings: Settings, address: str, alone: bool = True) -> Parts:
    """Build the parts on the database and spool of `settings`; every open transaction's lease is renewed
    once.

    `address` is the `host:port` that the pool's ads name. `alone` says that no federation uses the pool: that
    has written down what it is going to commit there.
    """
    check_expressions(settings)
    try:
        make_directory(settings.folder)
        spool = Spool(settings.spool)
    except OSError as error:
        raise CannotStart(f"Cannot use the home folder {settings.folder}: {error.strerror}") from None
    local = local_runs(settings)
    engine = open_engine(settings.database)
    writer = Writer(engine)
    pool: SimulatedPool | HTCondorPool
    if settings.pool == HTCONDOR:
        pool = _htcondor_pool(settings, engine, writer, spool, address)
    else:
        pool = SimulatedPool(
            engine,
            spool,
            description(settings),
            clock=writer.write_now(lambda unit: _clock(settings, unit)),
            memory=AdMemory(settings.ad_memory_bytes),
            identity=PoolIdentity(settings.schedd_name, address, version_string(), platform_string()),
            local=local,
            history=HistoryRetention(settings.history_max_age, settings.history_max_jobs),
        )
    schedd, collector = _schedd_settings(settings), _collector_settings(settings)
    boots = Boots(engine)
    deferring = settings.durable_at == "commit" and alone and isinstance(pool, SimulatedPool) and boots.tell
    ended = writer.write_now(
        lambda unit: resume(ScheddContext(schedd, pool.queue, Caller("local"), unit), boots, deferring)
    )
    if ended:
        _log.warning("The machine was restarted meanwhile: %d open transactions are over", ended)
    notifier = following.notifier(settings, engine, writer, pool.queue.time)
    backend = Backend(writer, pool.queue, pool.directory, schedd, collector, notifier, deferring)
    return Parts(settings, engine, writer, pool, schedd, backend, notifier, boots)


def _htcondor_pool(
    settings: Settings, engine: Engine, writer: Writer, spool: Spool, address: str
) -> HTCondorPool:
    pool = HTCondorPool(
        HTCONDOR,
        engine,
        writer.write_now(lambda unit: gateway(unit, HTCONDOR)),
        spool,
        connection_of(settings),
        address,
        AdMemory(settings.ad_memory_bytes),
        settings.htcondor_timeout,
        settings.htcondor_dagman_config,
        settings.smtp_server is not None and settings.htcondor_event_log is not None,
        settings.htcondor_user_tokens,
        settings.htcondor_signing_key,
        settings.history_max_age,
    )
    writer.write_now(pool.resume)
    return pool


def local_runs(settings: Settings) -> LocalRuns | None:
    """What runs jobs as processes, if the settings want that. Raises CannotStart where it would be unsafe."""
    if not settings.execute:
        return None
    if not (admission.is_asking(settings) or admission.is_loopback(settings.host)):
        raise CannotStart(
            "Refusing to execute jobs: anybody who reaches this server could run programs here. Configure"
            " authentication, or listen on loopback only"
        )
    if settings.speed not in (None, 1.0) or settings.start_time is not None:
        raise CannotStart("Executed jobs take the time they take: no speed and no start_time with execute")
    if not settings.database.startswith("sqlite"):
        raise CannotStart("Jobs are executed by one server only: execute needs SQLite as the database")
    limits = LocalLimits(settings.execute_cpu_time, settings.execute_file_size)
    return LocalRuns(Processes(settings.execute_account), limits)


def description(settings: Settings) -> PoolDescription:
    """The pool's description, with what the settings say otherwise. Raises CannotStart."""
    try:
        described = load_description(settings.pool)
    except InvalidDescription as error:
        raise CannotStart(f"pool: {error}") from None
    given = {"cycle_interval": settings.negotiator_interval, "default_runtime": settings.program_duration}
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(described, uid_domain=settings.uid_domain, **changed)


def _clock(settings: Settings, unit: UnitOfWork) -> VirtualClock:
    """The pool's clock: at normal speed the wall's, unless the pool's time is ahead; else where it stood."""
    wall = time.time()
    start = wall if settings.start_time is None else settings.start_time
    state = read_clock(unit) or ClockState(start)
    if settings.execute:
        state = replace(state, speed=1.0, paused=False)
    if settings.speed is not None:
        state = replace(state, speed=inf if settings.speed == "max" else settings.speed)
    if state.speed == 1.0 and not state.paused and settings.start_time is None:
        state = replace(state, time=max(state.time, wall))
    save_clock(unit, state)

    def keeps(state: ClockState) -> bool:
        """Whether the next start does not begin with the wall's time, or that would be earlier."""
        return state.speed != 1.0 or settings.start_time is not None or state.time > time.time() + 1

    return VirtualClock(state, keeps=keeps)


def check_expressions(settings: Settings) -> None:
    """Raise CannotStart for an expression of the settings that is none."""
    for name in ("soap_leave_in_queue", "collector_requirements"):
        try:
            Constraint(getattr(settings, name))
        except InvalidAd as error:
            raise CannotStart(f"{name}: {error}") from None


def _schedd_settings(settings: Settings) -> ScheddSettings:
    return ScheddSettings(
        name=settings.schedd_name,
        uid_domain=settings.uid_domain,
        strict=settings.strict,
        max_transaction_duration=settings.max_soap_transaction_duration,
        leave_in_queue=settings.soap_leave_in_queue,
        max_jobs_submitted=settings.max_jobs_submitted,
        max_jobs_per_owner=settings.max_jobs_per_owner,
        max_jobs_per_submission=settings.max_jobs_per_submission,
        max_transactions_per_owner=settings.max_transactions_per_owner,
        max_staged_bytes=settings.max_staged_bytes,
        max_staged_bytes_per_owner=settings.max_staged_bytes_per_owner,
        min_free_bytes=settings.min_free_bytes,
        max_file_reply=settings.max_file_reply,
        max_query_seconds=settings.max_query_seconds,
        max_reply_bytes=settings.max_reply_bytes,
        queue_all_users_trusted=admission.all_users_trusted(settings),
        queue_super_users=settings.queue_super_users,
        queue_super_user_may_impersonate=settings.queue_super_user_may_impersonate,
        authentication=admission.is_asking(settings),
        private_jobs=settings.private_jobs,
        version_string=version_string(),
        platform_string=platform_string(),
    )


def _collector_settings(settings: Settings) -> CollectorSettings:
    return CollectorSettings(
        strict=settings.strict,
        max_query_seconds=settings.max_query_seconds,
        max_reply_bytes=settings.max_reply_bytes,
        classad_lifetime=settings.classad_lifetime,
        collector_requirements=settings.collector_requirements,
        absent_requirements=settings.absent_requirements,
        version_string=version_string(),
        platform_string=platform_string(),
    )


def advertised_address(settings: Settings, url: str) -> str:
    """The `host:port` that the pool's ads name: of the public URL, else of `url`.

    A server that listens on every address names the machine's own, which other machines can reach.
    """
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    address = url.partition("://")[2]
    if settings.host not in ("0.0.0.0", "::"):
        return address
    with suppress(OSError):
        return f"{socket.gethostbyname(socket.gethostname())}:{address.rpartition(':')[2]}"
    return address


def _allow_many_files() -> None:
    """Raise the limit of open files: connections have one each, and the files of a batch until its sync."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _collect_garbage_seldom() -> None:
    """Let the collector leave alone what start-up made, and look at new objects after 20,000 instead of 700:
    a single call makes hundreds, which go away by themselves when it is answered.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


async def serve(settings: Settings, ready: Callable[[list[str]], None]) -> list[int]:
    """Serve until SIGTERM or SIGINT; `ready` is told the URLs, the first of which is the main one.

    At the end no call is cut off that is answered within seconds; open transactions stay as they are. After
    SIGHUP (see `heed_hangups`), with settings that can be served, the listening sockets stay open, and are
    returned for `restart`; connections wait in them.
    """
    _allow_many_files()
    limit_expressions(ExpressionLimits(settings.max_expression_length, settings.max_expression_cost))
    admission.check_listening(settings)
    tls = admission.tls(settings)
    authentication = admission.authentication(settings)
    each = pools_of(settings)
    listeners = open_listeners(settings)
    urls = [url_of(listener, "https" if tls else "http") for listener in listeners]
    kept = [listener.dup() for listener in listeners]  # Uvicorn closes the others
    pools: dict[str, Parts] = {}
    federation: Federation | None = None
    try:
        for name, of_pool in each.items():
            pools[name] = await asyncio.to_thread(
                build, of_pool, advertised_address(settings, urls[0]), alone=len(each) == 1
            )
        if len(pools) > 1:
            federation = await asyncio.to_thread(_federation, pools)
        _collect_garbage_seldom()
        open_connections = guarding.connections(settings)
        host = Host(pools, authentication, tls, open_connections, federation)
        again = await run(host, open_connections, tls, listeners, lambda: ready(urls))
        return [listener.detach() for listener in kept] if again else []
    finally:
        for listener in listeners + kept:
            listener.close()
        if federation is not None:
            federation.close()
        for parts in pools.values():
            parts.close()


def _federation(pools: dict[str, Parts]) -> Federation:
    own = next(iter(pools.values()))
    backends = {name: parts.backend for name, parts in pools.items()}
    return build_federation(own.settings, own.schedd, _collector_settings(own.settings), backends)
