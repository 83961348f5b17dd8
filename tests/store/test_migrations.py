"""The migrations build exactly the schema that `store.tables` describes."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from birdbath.store import open_engine
from birdbath.store.database import MIGRATIONS, SCHEMA_REVISION
from birdbath.store.tables import metadata


def test_the_migrated_schema_is_the_described_one(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        tables = set(inspect(connection).get_table_names())
    assert tables == {*metadata.tables, "alembic_version"}


def test_the_newest_migration_is_the_one_that_is_looked_for(engine: Engine) -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA_REVISION
    again = open_engine(engine.url.render_as_string(hide_password=False))
    for opened in (engine, again):
        with opened.connect() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA_REVISION
    again.dispose()
