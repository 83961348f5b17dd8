"""One of the servers on a database leads, until it has ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from birdbath.store import open_engine
from birdbath.store.leadership import Leadership
from tests.server_process import REPOSITORY


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    local = f"sqlite:///{tmp_path / 'birdbath.db'}"
    opened = open_engine(local if request.param == "sqlite" else request.getfixturevalue("postgresql_url"))
    yield opened
    opened.dispose()


def test_one_leads_until_it_resigns(engine: Engine) -> None:
    one, other = Leadership(engine), Leadership(engine)
    assert one.try_to_lead()
    assert one.try_to_lead()
    assert not other.try_to_lead()
    one.resign()
    assert other.try_to_lead()
    assert not one.try_to_lead()
    other.resign()


def test_a_leader_that_was_killed_leads_no_more(engine: Engine) -> None:
    leader = (
        "import sys; from birdbath.store import open_engine;"
        "from birdbath.store.leadership import Leadership;"
        "print(Leadership(open_engine(sys.argv[1])).try_to_lead(), flush=True); sys.stdin.read()"
    )
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", leader, url]
    mine = Leadership(engine)
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert not mine.try_to_lead()
        process.kill()
        process.wait()
    while not mine.try_to_lead():
        pass  # PostgreSQL notices in a moment that the connection is gone
    mine.resign()


def test_a_leader_whose_connection_was_dropped_tries_anew(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    leader, other = Leadership(engine), Leadership(engine)
    assert leader.try_to_lead()
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with engine.connect() as connection:
        connection.execute(text(drop))
    while not other.try_to_lead():
        pass
    assert not leader.try_to_lead()
    other.resign()
    engine.dispose()
