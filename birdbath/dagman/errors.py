"""The one error of a DAG."""

from __future__ import annotations

from birdbath.errors import BirdbathError


class DagError(BirdbathError):
    """The DAG cannot be run as it is; the text says which file, which line, and why."""
