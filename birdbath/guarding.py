"""What watches over a server, built from its settings: bounds, the trail, figures, health, tracing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from birdbath.http.application import Guard
from birdbath.http.audit import Audit
from birdbath.http.bounds import Traffic, TrafficLimits
from birdbath.http.connection import ConnectionLimits, Connections
from birdbath.http.metrics import Metrics
from birdbath.http.overload import Overload
from birdbath.http.probes import Check, Health, Probes
from birdbath.http.soap_calls import OnceBackend
from birdbath.http.tracing import Tracing
from birdbath.notify.metrics import EventMetrics
from birdbath.pool.base import JobStatus
from birdbath.settings import Settings
from birdbath.store import UnitOfWork
from birdbath.store.tables import jobs, transactions

_STATUSES = {int(status): status.name.lower() for status in JobStatus}
_TRANSACTIONS = select(func.count(), func.coalesce(func.sum(transactions.c.staged_bytes), 0))
_JOBS = select(jobs.c.status, func.count()).where(jobs.c.in_queue).group_by(jobs.c.status)


def connections(settings: Settings) -> Connections:
    """The bounds of connections."""
    return Connections(
        ConnectionLimits(
            header_count=settings.max_headers,
            header_bytes=settings.max_header_bytes,
            header_seconds=settings.header_seconds,
            stall_seconds=settings.stall_seconds,
            connections=settings.max_connections,
            per_client=settings.max_connections_per_client,
        )
    )


def guard(
    settings: Settings,
    engine: Engine,
    backend: OnceBackend,
    events: EventMetrics,
    open_connections: Connections,
    checks: Mapping[str, Check],
) -> Guard:
    """The guard of a server, which also guards `open_connections`. Raises UnusableAuditLog,
    TracingNotInstalled.

    `checks` are looked at by /health/ready, besides the database and the disk.
    """
    traffic = Traffic(
        TrafficLimits(
            settings.max_requests,
            settings.max_requests_per_client,
            settings.max_body_bytes,
            settings.max_requests_per_second,
            settings.max_body_bytes_per_client,
        )
    )
    figures = Figures(engine, settings.spool, traffic, open_connections, events)
    metrics = Metrics(figures)
    health = Health(_checks(settings, backend) | dict(checks))
    audit = Audit(settings.audit_path)
    open_connections.overload = Overload(traffic, audit, metrics)
    return Guard(
        traffic=traffic,
        once_backend=backend,
        audit=audit,
        metrics=metrics,
        tracing=Tracing.to(settings.otlp_endpoint) if settings.otlp_endpoint else None,
        probes=Probes(health, metrics),
    )


def guard_of_pool(
    shared: Guard,
    name: str,
    settings: Settings,
    engine: Engine,
    backend: OnceBackend,
    events: EventMetrics,
    checks: Mapping[str, Check],
) -> Guard:
    """The guard of one of several pools: the bounds and the trail of the server's `shared` one, figures and
    probes of its own.
    """
    metrics = Metrics(PoolFigures(engine, events))
    health = Health(_checks(settings, backend) | dict(checks))
    return replace(
        shared,
        once_backend=backend,
        audit=None if shared.audit is None else shared.audit.of(name),
        metrics=metrics,
        probes=Probes(health, metrics),
    )


def tell_of_all(own: Guard, guards: Mapping[str, Guard]) -> None:
    """Let the metrics and the readiness of `own` tell of the other pools too; `guards` has all, by name."""
    assert own.metrics is not None
    assert own.probes is not None
    own.metrics.tell_of({name: guard.metrics for name, guard in guards.items() if guard.metrics is not None})
    own.probes.tell_of(
        {
            name: guard.probes.health
            for name, guard in guards.items()
            if guard.probes is not None and guard is not own
        }
    )


def _checks(settings: Settings, backend: OnceBackend) -> dict[str, Check]:
    return {
        "database": lambda: _database(backend),
        "disk": lambda: _disk(settings.folder, settings.min_free_bytes),
    }


async def _database(backend: OnceBackend) -> str | None:
    """Whether something can be written, durably: reading would work on a full or read-only disk, too."""

    def write(unit: UnitOfWork) -> None:
        unit.advance("health")

    try:
        await backend.write(write)
    except DBAPIError as error:
        return f"cannot be written: {str(error.orig).strip()}"
    except (OSError, SQLAlchemyError) as error:
        return f"cannot be written: {error}"
    except Exception as error:  # whatever it is, the server is not ready; the background work logs it
        return f"cannot be written: {type(error).__name__}"
    return None


async def _disk(folder: Path, least: int) -> str | None:
    try:
        disk = await asyncio.to_thread(os.statvfs, folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    free = disk.f_bavail * disk.f_frsize
    return f"{free >> 20} MiB free in {folder}; min_free_bytes asks for more" if free < least else None


class PoolFigures:
    """What one pool holds at the moment, for /metrics. Called in a thread."""

    def __init__(self, engine: Engine, events: EventMetrics) -> None:
        self._engine = engine
        self._events = events

    def __call__(self) -> Iterable[Metric]:
        yield from self._followers()
        try:
            yield from self._stored()
        except SQLAlchemyError:
            yield _gauge("birdbath_database_up", "Whether the database could be read", 0)
        else:
            yield _gauge("birdbath_database_up", "Whether the database could be read", 1)

    def _stored(self) -> Iterable[Metric]:
        with self._engine.connect() as connection:
            open_now, staged = connection.execute(_TRANSACTIONS).one()
            by_status = connection.execute(_JOBS).all()
        yield _gauge("birdbath_transactions", "Open transactions", open_now)
        yield _gauge("birdbath_staged_bytes", "Bytes of files staged in open transactions", staged)
        queued = GaugeMetricFamily("birdbath_jobs", "Jobs in the queue", labels=["status"])
        for status, count in by_status:
            queued.add_metric([_STATUSES.get(status, str(status))], count)
        yield queued

    def _followers(self) -> Iterable[Metric]:
        events = self._events
        yield CounterMetricFamily("birdbath_events_written", "Events written", value=events.written)
        for name, text, counts in (
            ("birdbath_events_delivered", "Events delivered", events.delivered),
            ("birdbath_events_retried", "Deliveries tried again", events.retried),
            ("birdbath_events_given_up", "Events given up", events.given_up),
            ("birdbath_events_missed", "Events deleted before their follower got them", events.missed),
        ):
            family = CounterMetricFamily(name, text, labels=["kind"])
            for kind, count in list(counts.items()):
                family.add_metric([kind], count)
            yield family
        followers = GaugeMetricFamily("birdbath_followers", "Followers connected", labels=["kind"])
        for kind, count in list(events.followers.items()):
            followers.add_metric([kind], count)
        yield followers
        lag = GaugeMetricFamily("birdbath_event_lag", "Events still to be delivered", labels=["subscription"])
        for name, behind in events.lag().items():
            lag.add_metric([name], behind)
        yield lag


class Figures(PoolFigures):
    """What the server and its own pool hold at the moment."""

    def __init__(
        self,
        engine: Engine,
        spool: Path,
        traffic: Traffic,
        open_connections: Connections,
        events: EventMetrics,
    ) -> None:
        super().__init__(engine, events)
        self._spool = spool
        self._traffic = traffic
        self._connections = open_connections

    def __call__(self) -> Iterable[Metric]:
        yield from self._now()
        yield from super().__call__()

    def _now(self) -> Iterable[Metric]:
        traffic, connections = self._traffic, self._connections
        yield _gauge("birdbath_requests_in_progress", "Requests being answered", traffic.requests)
        yield _gauge("birdbath_request_body_bytes", "Bytes of bodies in progress", traffic.body_bytes)
        yield _gauge("birdbath_connections", "Open connections", connections.count)
        refused = CounterMetricFamily("birdbath_refused", "Refused for being too many", labels=["what"])
        refused.add_metric(["requests"], traffic.refused)
        refused.add_metric(["connections"], connections.refused)
        yield refused
        try:
            disk = os.statvfs(self._spool)
        except OSError:  # it has gone, or its disk is ill: then the other figures are wanted most
            return
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        yield _gauge("birdbath_spool_free_bytes", "Bytes free on the disk of the spool", free)
        yield _gauge("birdbath_spool_size_bytes", "Bytes of the disk of the spool", size)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
