"""Figures for Prometheus, with its client library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class _Figures(Collector):
    def __init__(self, figures: Callable[[], Iterable[Metric]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return self._figures()

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry would collect them to find out their names, before there is a database


class Metrics:
    """What this process has done; and what `figures` tells when it is asked, in a thread."""

    def __init__(self, figures: Callable[[], Iterable[Metric]] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._pools: dict[str, Metrics] = {}
        self._requests = Counter(
            "birdbath_requests", "Requests answered", ["operation", "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "birdbath_request_seconds",
            "Time from a request's body to its reply",
            ["operation"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        # Looking labels up takes longer than counting; operations and outcomes are few.
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        if figures is not None:
            self.registry.register(_Figures(figures))

    def request(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a request; `operation` is empty for one that was not understood."""
        known = self._known.get((operation, outcome))
        if known is None:
            known = self._requests.labels(operation, outcome), self._seconds.labels(operation)
            self._known[operation, outcome] = known
        known[0].inc()
        known[1].observe(seconds)

    def tell_of(self, pools: dict[str, Metrics]) -> None:
        """Tell the figures of several pools, too, with the label `pool`; its own are those of one of them."""
        self._pools = pools

    def text(self) -> bytes:
        """The figures in Prometheus's text format. Reads the database: not on the event loop."""
        if not self._pools:
            return generate_latest(self.registry)
        merged = CollectorRegistry()
        merged.register(_Figures(self._merged))
        return generate_latest(merged)

    def _merged(self) -> Iterable[Metric]:
        """Of the figures that each pool has, one family with the label; the server's other ones as they
        are.
        """
        collected = {
            pool: {metric.name: metric for metric in metrics.registry.collect()}
            for pool, metrics in self._pools.items()
        }
        own = next(found for pool, found in collected.items() if self._pools[pool] is self)
        shared = {name for found in collected.values() if found is not own for name in found}
        merged = {name: metric for name, metric in own.items() if name not in shared}
        for pool, found in collected.items():
            for name in shared & found.keys():
                metric = found[name]
                into = merged.setdefault(name, Metric(name, metric.documentation, metric.type))
                into.samples += [s._replace(labels={**s.labels, "pool": pool}) for s in metric.samples]
        return merged.values()
