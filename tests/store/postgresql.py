"""A PostgreSQL server of the machine's own programs, on a free loopback port, for as long as a test run
lasts.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from birdbath.store import open_engine
from tests.ports import free_port

USER = "birdbath"
_TEMPLATE = "birdbath_template"
# What is tested is not whether PostgreSQL keeps its promises; without syncing it starts in a second.
_OPTIONS = "-h 127.0.0.1 -p {port} -c unix_socket_directories='' -c fsync=off -c max_connections=60"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: on the PATH, or where Debian puts the newest version."""
    on_path = shutil.which("initdb")
    folders = (
        [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class Server:
    """A running server; databases are made from a template that carries the newest schema."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._names = (f"birdbath_{number}" for number in itertools.count())

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self._port}/{database}"

    def execute(self, statement: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(statement)

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host="127.0.0.1", port=self._port, user=USER, dbname=database, autocommit=True)

    def make_template(self) -> None:
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        open_engine(self.url(_TEMPLATE)).dispose()

    def new_database(self, template: str = _TEMPLATE) -> str:
        """The URL of a fresh database."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def _account() -> str | None:
    """The server refuses to run as root, so root lends it another account."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Start a server; stop and delete it afterwards."""
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="birdbath-postgresql-"))
    if account is not None:
        shutil.chown(folder, account)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments],
            check=True,
            user=account,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=240,
        )

    port = free_port()
    try:
        run("initdb", "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        run("pg_ctl", "-w", "-t", "200", "start", "-l", str(folder / "log"), "-o", _OPTIONS.format(port=port))
        try:
            server = Server(port)
            server.make_template()
            yield server
        finally:
            run("pg_ctl", "-w", "-t", "200", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)
