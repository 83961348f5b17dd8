"""OpenTelemetry spans of SOAP calls, when the extra `opentelemetry` is installed and an endpoint is set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from birdbath.access import Caller
from birdbath.errors import BirdbathError
from birdbath.http.asgi import Scope, header

LAST_SECONDS: Final = 3.0


class TracingNotInstalled(BirdbathError):
    """An endpoint is set, but the library is not there."""


class Tracing:
    """Makes a span of each call, below the caller's own when the request has a traceparent."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("birdbath")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def to(cls, endpoint: str) -> Tracing:
        """Spans are sent to an OTLP endpoint by HTTP, in the background. Raises TracingNotInstalled."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError:
            raise TracingNotInstalled("otlp_endpoint: pip install 'birdbath[opentelemetry]'") from None
        resource = Resource.create({"service.name": "birdbath"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        return cls(provider)

    @contextmanager
    def span(self, operation: str, scope: Scope, caller: Caller) -> Iterator[None]:
        """The span of a call; an exception that passes is recorded in it."""
        from opentelemetry.trace import SpanKind

        parent = header(scope, b"traceparent").decode("latin-1")
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        attributes = {
            "rpc.system": "soap",
            "rpc.method": operation,
            "client.address": caller.address,
            "enduser.id": caller.account or "",
        }
        with self._tracer.start_as_current_span(
            operation, context=context, kind=SpanKind.SERVER, attributes=attributes
        ):
            yield

    def close(self) -> None:
        """Send what is still to be sent, if that takes no longer than LAST_SECONDS."""
        # The library tries again for ten seconds and more when nobody listens, and cannot be told not to.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(LAST_SECONDS)
