"""The store: tables, migrations, units of work and the event log. It and the pool's clock alone know what time it is."""

from birdbath.store.database import open_engine
from birdbath.store.unit_of_work import UnitOfWork
from birdbath.store.writer import Writer

__all__ = ["UnitOfWork", "Writer", "open_engine"]
