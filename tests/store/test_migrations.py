"""The migrations build exactly the schema that `store.tables` describes."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from birdbath.store import open_engine
from birdbath.store.database import MIGRATIONS, SCHEMA_REVISION
from birdbath.store.tables import metadata


def test_the_migrated_schema_is_the_described_one(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/new.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        tables = set(inspect(connection).get_table_names())
    assert tables == {*metadata.tables, "alembic_version"}


def test_the_newest_migration_is_the_one_that_is_looked_for(tmp_path: Path) -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA_REVISION
    url = f"sqlite:///{tmp_path}/new.db"
    for _ in range(2):
        with open_engine(url).connect() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA_REVISION
