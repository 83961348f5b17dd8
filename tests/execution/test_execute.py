"""`birdbath serve --execute`: jobs as processes of this machine, from a client's view."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.client import Schedd
from tests.client.test_cycle import COMPLETED
from tests.clients.portal import until
from tests.commands.conftest import Run, run
from tests.execution.test_processes import alive, wait_until

__all__ = ["run"]
HELD, RUNNING, REMOVED = 5, 2, 3


class Server:
    """A server that executes, as a process that can be killed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "birdbath", "serve", "--home", str(self._home), "--port", "0"]
        self.process = subprocess.Popen([*command, "--execute"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[4]

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "home")
    yield found
    found.stop()


def submit(run: Run, url: str, description: str) -> int:
    Path("job.sub").write_text(description)
    outcome = run("submit", "job.sub", "--json", url=url)
    assert outcome.exit_code == 0, outcome.stderr
    return int(outcome.stdout.partition(":")[2].partition(",")[0])


def becomes(schedd: Schedd, cluster: int, status: int) -> None:
    until(lambda: schedd.job_ad(cluster, 0)["JobStatus"] == status)


def test_an_uploaded_program_really_runs(run: Run, server: Server, tmp_path: Path) -> None:
    (tmp_path / "tool.sh").write_text("#!/bin/sh\nexpr 6 '*' 7; cat $1; echo made > made.txt; exit 3\n")
    (tmp_path / "in.txt").write_text("input\n")
    text = "executable = tool.sh\narguments = in.txt\ntransfer_input_files = in.txt\noutput = out.txt\n"
    cluster = submit(run, server.url, text + "queue\n")
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, COMPLETED)
        assert schedd.job_ad(cluster, 0)["ExitCode"] == 3
    fetched = run("fetch", str(cluster), "-d", "back", url=server.url)
    assert fetched.exit_code == 0, fetched.stderr
    assert [path.read_text() for path in sorted((tmp_path / "back").rglob("*.txt"))] == [
        "made\n",
        "42\ninput\n",
    ]


ME = "$$"  # the shell's own number


def test_a_program_killed_by_a_signal_and_one_that_is_not_there(run: Run, server: Server) -> None:
    killed = submit(run, server.url, f"executable = /bin/sh\narguments = \"-c 'kill -11 {ME}'\"\nqueue\n")
    missing = submit(run, server.url, "executable = /bin/no-such-program\nqueue\n")
    with Schedd(server.url) as schedd:
        becomes(schedd, killed, COMPLETED)
        ad = schedd.job_ad(killed, 0)
        assert (ad["ExitBySignal"], ad["ExitSignal"]) == (True, 11)
        becomes(schedd, missing, HELD)
        assert schedd.job_ad(missing, 0)["HoldReasonCode"] == 6


def pid_of(cluster: int, tmp_path: Path, other_than: str = "") -> int:
    """The process of a SLEEPER, when it has written it down whole."""

    def written() -> str:
        files = (tmp_path / "home").rglob(f"cluster{cluster}.proc0.subproc0/pid")
        return "".join(file.read_text() for file in files)

    wait_until(lambda: (text := written()).endswith("\n") and text.strip() != other_than)
    return int(written())


SLEEPER = f"executable = /bin/sh\narguments = \"-c 'echo {ME} > pid; exec sleep 1000'\"\nqueue\n"


@pytest.mark.parametrize(("action", "status"), [("hold", HELD), ("rm", REMOVED)])
def test_holding_and_removing_kills(
    run: Run, server: Server, tmp_path: Path, action: str, status: int
) -> None:
    cluster = submit(run, server.url, SLEEPER)
    pid = pid_of(cluster, tmp_path)
    with Schedd(server.url) as schedd:
        assert run(action, str(cluster), url=server.url).exit_code == 0
        wait_until(lambda: not alive(pid))
        assert schedd.job_ad(cluster, 0)["JobStatus"] == status


@pytest.mark.parametrize(
    ("command", "code"), [("allowed_execute_duration", 47), ("allowed_job_duration", 46)]
)
def test_a_program_runs_no_longer_than_it_may(
    run: Run, server: Server, tmp_path: Path, command: str, code: int
) -> None:
    cluster = submit(run, server.url, f"{command} = 2\n{SLEEPER}")
    pid = pid_of(cluster, tmp_path)
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, HELD)
        wait_until(lambda: not alive(pid))
        assert schedd.job_ad(cluster, 0)["HoldReasonCode"] == code


def test_a_program_begins_at_its_deferral_time(run: Run, server: Server, tmp_path: Path) -> None:
    at = int(time.time()) + 3
    # On a busy machine it may have come before the job has: the window lets the program begin then, too.
    text = f"deferral_time = {at}\ndeferral_window = 60\nexecutable = /bin/date\narguments = +%s\n"
    cluster = submit(run, server.url, f"{text}output = when\nqueue\n")
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, COMPLETED)
    assert run("fetch", str(cluster), url=server.url).exit_code == 0
    assert at <= int(Path("when").read_text()) <= at + 60


@pytest.mark.parametrize("wanted", ["made, missing", "folder/missing"])
def test_output_that_is_not_there_holds_the_job(run: Run, server: Server, wanted: str) -> None:
    text = f"executable = /usr/bin/touch\narguments = made\ntransfer_output_files = {wanted}\nqueue\n"
    cluster = submit(run, server.url, text)
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, HELD)
        ad = schedd.job_ad(cluster, 0)
        assert (ad["HoldReasonCode"], ad["HoldReasonSubCode"]) == (12, 2)
        assert "missing" in ad.string("HoldReason")


def test_what_cannot_be_fetched_does_not_keep_back_the_rest(run: Run, server: Server) -> None:
    Path("tool.sh").write_text("#!/bin/sh\necho a > a; ln -s a link; mkdir made; echo z > z\n")
    cluster = submit(run, server.url, "executable = tool.sh\nqueue\n")
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, COMPLETED)
    fetched = run("fetch", str(cluster), "-d", "back", url=server.url)
    assert (fetched.exit_code, fetched.stdout) == (1, "back/a\nback/z\n")
    assert fetched.stderr.splitlines() == [
        "birdbath: link is not fetched: Not a regular file: link",
        "birdbath: made is not fetched: Not a regular file: made",
    ]
    assert sorted(path.name for path in Path("back").iterdir()) == ["a", "z"]
    with Schedd(server.url) as schedd:
        assert schedd.job_ad(cluster, 0)["JobStatus"] == COMPLETED


def test_output_that_is_there_lets_the_job_end(run: Run, server: Server) -> None:
    text = "executable = /usr/bin/touch\narguments = made\ntransfer_output_files = ./made\nqueue\n"
    cluster = submit(run, server.url, text)
    with Schedd(server.url) as schedd:
        becomes(schedd, cluster, COMPLETED)


def test_after_a_kill_of_the_server_the_job_runs_again(run: Run, server: Server, tmp_path: Path) -> None:
    cluster = submit(run, server.url, SLEEPER)
    first = pid_of(cluster, tmp_path)
    server.stop(signal.SIGKILL)
    wait_until(lambda: not alive(first))
    server.start()
    with Schedd(server.url) as schedd:
        until(lambda: schedd.job_ad(cluster, 0)["NumJobStarts"] == 2)
        second = pid_of(cluster, tmp_path, other_than=str(first))
        server.stop()
        assert not alive(second)
    server.start()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--host", "0.0.0.0", "--without-authentication"], "loopback"),
        (["--speed", "10"], "speed"),
        (["--speed", "max"], "speed"),
    ],
)
def test_it_is_refused_where_it_would_be_dangerous(tmp_path: Path, options: list[str], why: str) -> None:
    command = [sys.executable, "-m", "birdbath", "serve", "--home", str(tmp_path), "--port", "0", "--execute"]
    outcome = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 1
    assert why in outcome.stderr


def test_no_page_of_a_browser_reaches_it(server: Server) -> None:
    import urllib.error
    import urllib.request

    body = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        b'<beginTransaction xmlns="urn:condor"><duration>60</duration></beginTransaction></e:Body>'
        b"</e:Envelope>"
    )
    for headers, status in (
        ({"Content-Type": "text/xml", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/xml", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain", "Origin": server.url}, 415),
        ({"Content-Type": "text/xml", "Host": "evil.example"}, 421),
    ):
        request = urllib.request.Request(server.url, body, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == status
        refused.value.close()


def test_it_is_off_by_default() -> None:
    from birdbath.settings import load_settings

    assert load_settings(None).execute is False
