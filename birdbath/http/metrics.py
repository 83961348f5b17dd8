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

    def text(self) -> bytes:
        """The figures in Prometheus's text format. Reads the database: not on the event loop."""
        return generate_latest(self.registry)
