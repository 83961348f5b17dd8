"""A Prosody XMPP server of the machine's own programs, on a loopback port, with accounts and rosters."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.watched import Watched

ADDRESS = "BIRDBATH_TEST_XMPP"
"""The variable with the `host:port` of an XMPP server that tests may use instead of one of their own: for the
domain localhost, with their accounts and rosters (see `running`). BIRDBATH_TEST_XMPP_CA is the file with the
authority of its certificate.
"""
AUTHORITY = "BIRDBATH_TEST_XMPP_CA"
PASSWORD = "secret"
_START_LIMIT = 60.0
_CONFIGURATION = """
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "offline" }}
modules_disabled = {{ "s2s" }}
authentication = "internal_plain"
storage = "internal"
c2s_require_encryption = true
log = {{ info = "{folder}/log" }}
ssl = {{ certificate = "{folder}/server.pem", key = "{folder}/server.key" }}
VirtualHost "localhost"
"""


@dataclass(frozen=True)
class Server:
    """Where a server is, and the file with the authority of its certificate."""

    host: str
    port: int
    authority: str


def given() -> Server | None:
    """The server that the variables name."""
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    host, _, port = address.rpartition(":")
    return Server(host, int(port), os.environ[AUTHORITY])


def program() -> str | None:
    """Prosody, if it is installed."""
    return shutil.which("prosody")


def _write_data(folder: Path, accounts: Sequence[str], rosters: Mapping[str, Sequence[str]]) -> None:
    host = folder / "data" / "localhost"
    for kind in ("accounts", "roster"):
        (host / kind).mkdir(parents=True)
    for name in accounts:
        (host / "accounts" / f"{name}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};\n')
    for name, contacts in rosters.items():
        entry = '["{}@localhost"] = {{ ["subscription"] = "both", ["groups"] = {{}} }}'
        entries = ", ".join(entry.format(contact) for contact in contacts)
        (host / "roster" / f"{name}.dat").write_text(f"return {{ {entries} }};\n")


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@contextlib.contextmanager
def running(
    certificates: Path, accounts: Sequence[str], rosters: Mapping[str, Sequence[str]]
) -> Iterator[Server]:
    """Start a server for the domain localhost, with `accounts`, all with PASSWORD, and the contacts of
    `rosters`, who see each other. Stop it and delete its data afterwards.
    """
    folder, port = Path(tempfile.mkdtemp(prefix="birdbath-prosody-")), free_port()
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name, folder)
    _write_data(folder, accounts, rosters)
    (folder / "prosody.cfg.lua").write_text(_CONFIGURATION.format(folder=folder, port=port))
    account = "prosody" if os.geteuid() == 0 else None
    if account is not None:
        entry = pwd.getpwnam(account)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    with (folder / "output").open("wb") as output:
        process = Watched(
            [str(program()), "--config", str(folder / "prosody.cfg.lua")],
            cwd=folder,
            user=account,
            group=account,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_LIMIT
        while not _accepts(port):
            if process.ended() or time.monotonic() > deadline:
                raise RuntimeError(f"Prosody did not start:\n{(folder / 'output').read_text()[-2000:]}")
            time.sleep(0.05)  # it has no other way to say that it is ready
        yield Server("127.0.0.1", port, str(certificates / "ca.pem"))
    finally:
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)
