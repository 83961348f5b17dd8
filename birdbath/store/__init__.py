"""The store: tables, migrations, units of work and the event log. It and the pool's clock alone know what
time it is.
"""

from birdbath.store.database import UnsafeDatabase, open_engine
from birdbath.store.unit_of_work import TransactionLost, UnitOfWork
from birdbath.store.writer import Writer, WriterClosed

__all__ = ["TransactionLost", "UnitOfWork", "UnsafeDatabase", "Writer", "WriterClosed", "open_engine"]
