"""Traces of workloads: reading them, and what the scheduling community reports of a run."""

from birdbath.traces.records import JobRecord, Trace, TraceError, TraceJob
from birdbath.traces.statistics import Summary, summarize

__all__ = ["JobRecord", "Summary", "Trace", "TraceError", "TraceJob", "summarize"]
