"""The database of `tests.schedd`, for the collector."""

from tests.schedd.conftest import empty_database, writer

__all__ = ["empty_database", "writer"]
