"""A real HTCondor pool on a free loopback port, of `scripts/htcondor-pool` for as long as tests want it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.htcondor.waiting import pause
from tests.ports import free_port
from tests.toolkit import require

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "htcondor-pool"
NO_REFUSED_JOBS = (
    "SUBMIT_REQUIREMENT_NAMES = Refused",
    "SUBMIT_REQUIREMENT_Refused = TestRefused =!= true",
    'SUBMIT_REQUIREMENT_Refused_REASON = "This pool takes no job with TestRefused"',
)
"""With these a test can have the schedd refuse a job."""


def install() -> str:
    """Unpack HTCondor where that was not done yet; empty, or why it cannot be had."""
    done = subprocess.run([SCRIPT, "install"], capture_output=True, text=True, check=False, timeout=240)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["scripts/htcondor-pool"])[-1]


class HTCondorPool:
    """One pool; what it keeps stays in `folder` over stop and start."""

    domain = "example.org"
    trust_domain = "pool.example.org"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()

    @property
    def collector(self) -> str:
        """COLLECTOR_HOST."""
        return f"127.0.0.1:{self.port}"

    @property
    def configuration(self) -> Path:
        """The file that CONDOR_CONFIG names."""
        return self.folder / "etc" / "condor_config"

    @property
    def signing_key(self) -> Path:
        """The key named POOL, which signs the pool's IDTOKENS."""
        return self.folder / "etc" / "passwords.d" / "POOL"

    @property
    def event_log(self) -> Path:
        """EVENT_LOG of the schedd."""
        return self.folder / "var" / "log" / "EventLog"

    def configure(self, *lines: str) -> None:
        """Add lines to the pool's own configuration, for its next start."""
        path = self.folder / "etc" / "local.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def start(self) -> None:
        """Start it and wait until it takes jobs."""
        self._script("start", str(self.folder))

    def stop(self) -> None:
        """Stop it, by the process id of its master, and wait until it is gone."""
        self._script("stop", str(self.folder))

    def run(self, program: str, *arguments: str) -> str:
        """The standard output of one of the pool's programs."""
        return self._script("run", str(self.folder), program, *arguments)

    def command(self, program: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """One of the pool's programs as its own account would start it, and its environment."""
        lines = self._script("env", str(self.folder))
        path = lines.partition("PATH='")[2].partition(":")[0]
        environment = os.environ | {"CONDOR_CONFIG": str(self.configuration)}
        account = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        return [*(account if os.geteuid() == 0 else ()), f"{path}/{program}", *arguments], environment

    def submit(self, **commands: str) -> int:
        """condor_submit a description with these commands; the cluster."""
        return self.submit_many(1, **commands)

    def submit_many(self, count: int, **commands: str) -> int:
        """condor_submit so many jobs; the cluster."""
        file = self.description(count, **commands)
        return int(self.run("condor_submit", "-terse", str(file)).partition(".")[0])

    def description(self, count: int, **commands: str) -> Path:
        """A file that describes so many jobs, for condor_submit."""
        file = self.folder / "var" / "run" / "description"
        lines = "".join(f"{name} = {value}\n" for name, value in commands.items())
        file.write_text(f"{lines}queue {count}\n")
        return file

    def advertise_machines(self, count: int, name: str, attributes: int = 0) -> None:
        """Tell the collector of so many machines; each has `attributes` more than a few, all of them the
        TestMark `name`.
        """
        more = "".join(f"Attribute{number} = {number}\n" for number in range(attributes))
        ads = (
            f'MyType = "Machine"\nName = "slot1@{name}{number}"\nMachine = "{name}{number}"\nMemory = 1024\n'
            f'MyAddress = "<127.0.0.1:1>"\nState = "Unclaimed"\nTestMark = "{name}"\n{more}'
            for number in range(count)
        )
        file = self.folder / "var" / "run" / "machines"
        file.write_text("\n".join(ads))
        self.run("condor_advertise", "-multiple", "-tcp", "UPDATE_STARTD_AD", str(file))

    def withdraw_machines(self, name: str) -> None:
        """Let the collector forget those again: jobs would be sent to machines that are not there."""
        file = self.folder / "var" / "run" / "machines"
        file.write_text(f'MyType = "Query"\nTargetType = "Machine"\nRequirements = TestMark == "{name}"\n')
        self.run("condor_advertise", "-tcp", "INVALIDATE_STARTD_ADS", str(file))

    def token(self, user: str) -> str:
        """An IDTOKEN, as condor_token_create makes it."""
        return self._script("token", str(self.folder), user).strip()

    def daemon(self, name: str) -> int:
        """The process id of one of its daemons: SCHEDD, COLLECTOR, ..."""
        master = int((self.folder / "var" / "run" / "master.pid").read_text())
        for child in _children(master):
            if any(part.endswith(f"/condor_{name.lower()}") for part in _command(child)):
                return child
        raise LookupError(f"{name} does not run")

    @contextlib.contextmanager
    def frozen(self, *daemons: str) -> Iterator[None]:
        """Let daemons stand still for a while."""
        processes = [self.daemon(name) for name in daemons]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            for process in processes:
                while state_of(process) != "T":  # it may be in the middle of a call
                    pause()
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def _script(self, *arguments: str) -> str:
        environment = os.environ | {"POOL_PORT": str(self.port)}
        done = subprocess.run(
            [SCRIPT, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        if done.returncode != 0:
            raise RuntimeError(f"htcondor-pool {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


def state_of(process: int) -> str:
    """The letter of its state in /proc."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def _children(process: int) -> Sequence[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _command(process: int) -> list[str]:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")


# Reads what only the test run could write, which is never anything: it goes on when that ends, or is killed.
_END = 'read -r _; "$1" stop "$2" && rm -rf "$2"'


def require_htcondor() -> None:
    """See `toolkit.require`; what is missing is installed before, where that can be done."""
    missing = install()
    require(f"HTCondor ({missing})", found=not missing)


@contextlib.contextmanager
def running(*configuration: str, port: int | None = None) -> Iterator[HTCondorPool]:
    """Start a pool with these lines in its configuration, on any port unless one is named. Stop it, and
    delete what it kept, afterwards.
    """
    folder = Path(tempfile.mkdtemp(prefix="birdbath-htcondor-"))
    folder.chmod(0o755)  # the pool is another account's when root runs the tests
    pool = HTCondorPool(folder, port)
    pool.configure(*configuration)
    end = subprocess.Popen(
        ["sh", "-c", _END, "end", SCRIPT, folder], start_new_session=True, stdin=subprocess.PIPE
    )
    try:
        pool.start()
        yield pool
    finally:
        end.communicate(timeout=200)
    if end.returncode != 0:
        raise RuntimeError("The pool could not be stopped")
