"""What serves one pool: its background work, its watch, its door; and the one door of several."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from birdbath import admission, following, guarding
from birdbath.backend import Backend
from birdbath.background import Background
from birdbath.federation.view import Federation
from birdbath.http.application import Guard, HttpApplication, HttpSettings, Routes
from birdbath.http.asgi import Receive, Scope, Send
from birdbath.http.authentication import Authentication
from birdbath.http.clock_routes import ClockRoutes
from birdbath.http.connection import Connections
from birdbath.http.mounting import Mounted, PoolRoutes, mount_of
from birdbath.http.tls import ServerTls
from birdbath.notify import Notifier
from birdbath.pool.htcondor.pool import HTCondorPool
from birdbath.pool.simulated.clock import VirtualClock
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.pool_events import PoolEvents
from birdbath.schedd import ScheddSettings, settle_all
from birdbath.settings import Settings
from birdbath.soap import Bounds
from birdbath.store import Writer
from birdbath.store.boots import Boots
from birdbath.tables import FEDERATION

_log = logging.getLogger(__name__)

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

GIVEN_UP_AFTER = 2.0
"""Seconds that a stopping server leaves to calls which wait for a real pool."""


@dataclass
class Parts:
    """What a pool with its door consists of."""

    settings: Settings
    engine: Engine
    writer: Writer
    pool: SimulatedPool | HTCondorPool
    schedd: ScheddSettings
    backend: Backend
    notifier: Notifier
    boots: Boots

    def close(self) -> None:
        """Give back the database."""
        self.notifier.close()
        self.writer.stop()
        if isinstance(self.pool, SimulatedPool):
            try:
                self.writer.write_now(self.pool.keep_clock)
            except Exception:  # the clock goes on from what was kept before: no event is told of any less
                _log.exception("The time of the pool's clock could not be kept")
        try:
            self.boots.end(self.writer, lambda unit: settle_all(unit, self.pool.queue))
        except Exception:  # the next start after a loss of power ends the open transactions: no more is lost
            _log.exception("What open transactions have staged could not be synced")
        self.pool.close()
        self.writer.close()
        self.engine.dispose()


class Host:
    """Serves the pools of one server, by name, the server's own first."""

    def __init__(
        self,
        pools: Mapping[str, Parts],
        authentication: Authentication,
        tls: ServerTls | None,
        connections: Connections,
        federation: Federation | None = None,
    ) -> None:
        self._pools = pools
        self._federation = federation
        self._authentication = authentication
        self._backgrounds: dict[str, Background] = {}
        guards: dict[str, Guard] = {}
        for name, parts in pools.items():
            background = _background(parts, None if guards else tls)
            self._backgrounds[name] = background
            checks = {"background": background.check}
            if isinstance(parts.pool, HTCondorPool):
                checks["pool"] = parts.pool.trouble
            events = parts.notifier.metrics
            if not guards:
                checks["credentials"] = authentication.check
                guards[name] = guarding.guard(
                    parts.settings, parts.engine, parts.backend, events, connections, checks
                )
            else:
                shared = next(iter(guards.values()))
                guards[name] = guarding.guard_of_pool(
                    shared, name, parts.settings, parts.engine, parts.backend, events, checks
                )
        self._tracing = next(guard.tracing for guard in guards.values())  # the same for all
        self.application: Application = self._door(guards)

    def _door(self, guards: Mapping[str, Guard]) -> Application:
        routes = {name: _routes(parts) for name, parts in self._pools.items()}
        (own, parts), *others = self._pools.items()
        names = list(self._pools) + ([] if self._federation is None else [FEDERATION])
        at_root = self._application(parts, guards[own], "", [*routes[own], PoolRoutes(names)])
        if not others:
            return Mounted(at_root, {own: at_root})
        doors = {
            name: self._application(parts, guards[name], mount_of(name), routes[name])
            for name, parts in self._pools.items()
        }
        told = dict(guards)
        if self._federation is not None:
            told[FEDERATION] = _guard_of(self._federation, guards[own])
            doors[FEDERATION] = self._application(self._federation, told[FEDERATION], mount_of(FEDERATION))
        guarding.tell_of_all(guards[own], told)
        return Mounted(at_root, doors)

    def _application(
        self, parts: Parts | Federation, guard: Guard, mount: str, routes: Sequence[Routes] = ()
    ) -> HttpApplication:
        return HttpApplication(
            parts.backend,
            replace(http_settings(parts.settings), mount=mount),
            authentication=self._authentication,
            routes=routes,
            guard=guard,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The work that the pools do by themselves goes on in the block."""
        async with AsyncExitStack() as stack:
            if self._tracing is not None:
                stack.push_async_callback(asyncio.to_thread, self._tracing.close)
            for name, parts in self._pools.items():
                background = self._backgrounds[name]
                background.start()
                stack.push_async_callback(background.stop)
                await stack.enter_async_context(parts.notifier.running())
            if self._federation is not None:
                await stack.enter_async_context(self._federation.running())
            yield

    def stopping(self) -> None:
        """The server is about to stop: streams end at once, and calls that wait for a real pool are answered
        after `GIVEN_UP_AFTER`.
        """
        for parts in self._pools.values():
            parts.notifier.log.end()
            if isinstance(parts.pool, HTCondorPool):
                asyncio.get_running_loop().call_later(GIVEN_UP_AFTER, parts.pool.give_up)


def _guard_of(federation: Federation, own: Guard) -> Guard:
    return guarding.guard_of_pool(
        own,
        FEDERATION,
        federation.settings,
        federation.engine,
        federation.backend,
        federation.notifier.metrics,
        {"background": federation.check, "pools": federation.check_pools},
    )


def _background(parts: Parts, tls: ServerTls | None) -> Background:
    return Background(
        parts.writer,
        parts.pool,
        parts.schedd,
        parts.settings.abandoned_spool_age,
        tls,
        parts.notifier.tasks.troubles,
        _pool_events(parts),
    )


def _pool_events(parts: Parts) -> PoolEvents | None:
    pool, log = parts.pool, parts.settings.htcondor_event_log
    if log is None or not isinstance(pool, HTCondorPool):
        return None
    return PoolEvents(log, pool.name, pool.gateway, pool.journal)


def _routes(parts: Parts) -> list[Routes]:
    found: list[Routes] = [following.routes(parts.settings, parts.notifier)]
    if isinstance(parts.pool, SimulatedPool) and isinstance(parts.pool.clock, VirtualClock):
        found.append(ClockRoutes(parts.pool, parts.pool.clock, parts.writer))
    return found


def http_settings(settings: Settings) -> HttpSettings:
    """What the settings say of the HTTP side."""
    return HttpSettings(
        public_url=settings.public_url,
        trusted_proxies=settings.trusted_proxies,
        max_request_bytes=settings.max_request_bytes,
        bounds=Bounds(
            settings.max_xml_bytes, settings.max_xml_tags, settings.max_xml_attributes, settings.max_xml_depth
        ),
        body_seconds=settings.body_seconds,
        allowed_hosts=admission.own_hosts(settings),
        allowed_origins=settings.allowed_origins,
    )
