"""A real server in a process of its own, and the programs that the toolkits' tests need."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import AXIS_JARS, GsoapPrograms, build_axis, build_gsoap
from tests.htcondor.differences import CLIENTS as DIFFERENCES
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server
from tests.toolkit import require

CLIENTS = Path(__file__).parent
REPOSITORY = CLIENTS.parent.parent


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Birdbath server with an empty home, which runs the programs that it is given."""
    with running_server(tmp_path_factory.mktemp("home"), "--host", "127.0.0.1", "--execute") as server:
        yield _read_on(server)


@pytest.fixture(scope="session")
def htcondor(htcondor_pool: HTCondorPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Birdbath server in front of a real pool."""
    configuration = str(htcondor_pool.configuration)
    environment = {
        "BIRDBATH_HTCONDOR_CONFIG": configuration,
        "BIRDBATH_HTCONDOR_DAGMAN_CONFIG": configuration,
    }
    home = tmp_path_factory.mktemp("gateway")
    with running_server(home, "--pool", "htcondor", environment=environment) as server:
        yield _read_on(server)


def _read_on(server: ServerProcess) -> str:
    """Its address. Whatever the server prints later must not fill the pipe and stop it."""
    assert server.process.stdout is not None
    threading.Thread(target=server.process.stdout.read, daemon=True).start()
    return server.url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the differences of a real pool."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        reason = DIFFERENCES.get(getattr(item, "originalname", item.name))
        if reason is not None and parameters is not None and parameters.params.get("server") == "htcondor":
            item.add_marker(pytest.mark.xfail(run=False, reason=reason))


@pytest.fixture(params=["simulated", pytest.param("htcondor", marks=[pytest.mark.toolkit, pytest.mark.slow])])
def server(request: pytest.FixtureRequest) -> str:
    """The address of a Birdbath server, in front of each pool in turn."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def payload() -> bytes:
    """A file that is no text: a program for this machine, which as a job is asked to print itself; after what
    it needs come every byte value, line ends, NULs, and no round size.
    """
    return Path("/bin/cat").read_bytes() + bytes(range(256)) * 390 + b"\r\n\r\n\0\0]]>&lt;\xff"


@pytest.fixture
def folder(tmp_path: Path, payload: bytes) -> Path:
    """Where a client finds its `payload.bin` and leaves `fetched.out`."""
    (tmp_path / "payload.bin").write_bytes(payload)
    return tmp_path


@pytest.fixture(scope="session")
def npm_folder() -> Path:
    """The folder of the Node.js programs, with what its lock file names installed."""
    require("nodejs, 20.19 or newer", node_version() >= (20, 19))
    require("npm", shutil.which("npm") is not None)
    folder = CLIENTS / "npm"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".birdbath-lock"
    with (folder / "package.json").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another worker of the same test run may be installing
        if not stamp.exists() or stamp.read_text() != wanted:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=5"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            said = next((line for line in done.stderr.splitlines() if "error" in line), "")
            require(f"the npm packages of {folder} ({said})", done.returncode == 0)
            stamp.write_text(wanted)
    return folder


def node_version() -> tuple[int, ...]:
    """Of the `node` in the PATH; empty when there is none."""
    if shutil.which("node") is None:
        return ()
    shown = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", shown))


@pytest.fixture(scope="session")
def gsoap_programs(simulated: str, tmp_path_factory: pytest.TempPathFactory) -> GsoapPrograms:
    """The C++ programs, generated from the WSDLs that the server serves and compiled."""
    for program, package in (("wsdl2h", "gsoap"), ("soapcpp2", "gsoap"), ("g++", "g++")):
        require(f"{program} (Debian package {package})", shutil.which(program) is not None)
    require("stdsoap2.h (Debian package libgsoap-dev)", Path("/usr/include/stdsoap2.h").exists())
    return build_gsoap(simulated, CLIENTS / "gsoap", tmp_path_factory.mktemp("gsoap"))


@pytest.fixture(scope="session")
def axis_class_path(simulated: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `java -cp` needs to run the Axis client, with stubs from the WSDLs that the server serves."""
    for program in ("java", "javac"):
        require(f"{program} (Debian package default-jdk-headless)", shutil.which(program) is not None)
    require("Axis 1.4 (Debian package libaxis-java)", all(jar.exists() for jar in AXIS_JARS))
    return build_axis(simulated, CLIENTS / "axis", tmp_path_factory.mktemp("axis"))
