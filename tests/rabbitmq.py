"""A RabbitMQ server of the machine's own programs, on free loopback ports, for as long as tests want it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.watched import Watched

ADDRESS = "BIRDBATH_TEST_AMQP_URL"
"""The variable with the address of a RabbitMQ server that tests may use instead of one of their own."""

PLUGINS = "[rabbitmq_amqp1_0]."

PRIVATE = "condor.private"
"""The exchange of which the account `ann` may read what is of ann's jobs."""

_ALL = {"configure": ".*", "write": ".*", "read": ".*"}
_READER = {"configure": "^amq\\.gen-", "write": "^amq\\.gen-", "read": ".*"}
_TOPICS = {"exchange": PRIVATE, "write": "^$", "read": "^job\\.[^.]+\\.ann\\."}
_START_LIMIT = 150.0


def program() -> Path | None:
    """RabbitMQ's start script where Debian puts it, if it is installed.

    Not the one on the PATH, which asks to be root and uses the machine's own data folder.
    """
    script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return script if script.exists() and shutil.which("epmd") else None


class Broker:
    """A broker with a data folder of its own; it may be killed and started again."""

    def __init__(self, folder: Path, certificates: Path | None = None) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self._distribution, self._mapper = free_port(), free_port()
        self._processes: list[Watched] = []
        self._account = "rabbitmq" if os.geteuid() == 0 else None
        if certificates is not None:  # where the broker's account can read them
            for name in ("ca.pem", "server.pem", "server.key"):
                shutil.copy(certificates / name, folder)
        self._tls = certificates is not None
        self._write_configuration()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def url_of(self, account: str) -> str:
        """The URL for an account, whose password is its name."""
        return f"amqp://{account}:{account}@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        return f"amqps://guest:guest@127.0.0.1:{self.tls_port}/"

    def start(self) -> None:
        """Start the broker and wait until it takes connections."""
        if not self._processes:
            self._spawn("epmd", "-address", "127.0.0.1", "-port", str(self._mapper))
        server = self._spawn(str(program()))
        deadline = time.monotonic() + _START_LIMIT
        while not self._accepts():
            if server.ended() or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{(self.folder / 'output').read_text()[-3000:]}")
            time.sleep(0.1)  # it has no other way to say that it is ready

    def kill(self) -> None:
        """Kill the broker with SIGKILL, as a power cut would."""
        self._processes.pop().kill()

    def stop(self) -> None:
        """Stop everything that was started, by its process id."""
        while self._processes:
            self._processes.pop().kill()

    def _accepts(self) -> bool:
        """Whether it answers, and listens for TLS too, which it does a little later."""
        try:
            if self._tls:
                socket.create_connection(("127.0.0.1", self.tls_port), timeout=5).close()
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.settimeout(5)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _spawn(self, *command: str) -> Watched:
        with (self.folder / "output").open("ab") as output:
            process = Watched(
                command,
                cwd=self.folder,
                env=self._environment(),
                user=self._account,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"birdbath-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper),
        }

    def _write_configuration(self) -> None:
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "log.console.level = warning"]
        # Ready at once after it was killed: that there are no other nodes is known.
        lines += ["mnesia_table_loading_retry_limit = 1", "disk_free_limit.absolute = 1MB"]
        if self._tls:
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}"]
            lines += [f"ssl_options.cacertfile = {self.folder}/ca.pem"]
            lines += [f"ssl_options.certfile = {self.folder}/server.pem"]
            lines += [f"ssl_options.keyfile = {self.folder}/server.key"]
            lines += ["ssl_options.verify = verify_none", "ssl_options.fail_if_no_peer_cert = false"]
        lines += [f"load_definitions = {self.folder}/definitions.json"]
        (self.folder / "definitions.json").write_text(json.dumps(_definitions()))
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "enabled_plugins").write_text(PLUGINS + "\n")
        if self._account is not None:
            entry = pwd.getpwnam(self._account)
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)


def _definitions() -> dict[str, Any]:
    """The accounts guest, who may do all, and ann, who may read of the exchange PRIVATE what is ann's."""
    of = {name: {"user": name, "vhost": "/"} for name in ("guest", "ann")}
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": name, "password_hash": _hash(name), "tags": ""} for name in of],
        "permissions": [of["guest"] | _ALL, of["ann"] | _READER],
        "topic_permissions": [of["ann"] | _TOPICS],
    }


def _hash(password: str) -> str:
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


@contextlib.contextmanager
def running(certificates: Path | None = None) -> Iterator[Broker]:
    """Start a broker; stop it and delete its data afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="birdbath-rabbitmq-"))
    broker = Broker(folder, certificates)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)
