"""What a Collector does that its pool does not: identity, lifetimes and admission of daemon ads; queries."""

from birdbath.collector.service import Collector, CollectorSettings

__all__ = ["Collector", "CollectorSettings"]
