"""What a user sees when something goes wrong: one line, and an exit code that says which kind of trouble it
is.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.fake import SUCCESS, Fake
from tests.clients.conftest import REPOSITORY
from tests.commands.conftest import Run
from tests.ports import free_port

JOB = (
    "<item><item><name>ClusterId</name><type>INTEGER-ATTR</type><value>7</value></item>"
    "<item><name>ProcId</name><type>INTEGER-ATTR</type><value>0</value></item>"
    "<item><name>JobStatus</name><type>INTEGER-ATTR</type><value>2</value></item>"
    "<item><name>Owner</name><type>STRING-ATTR</type><value>alice</value></item>"
    "<item><name>Cmd</name><type>STRING-ATTR</type><value>/bin/[red]x</value></item></item>"
)


def birdbath(
    *words: str, url: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "BIRDBATH_URL": url, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    return subprocess.Popen(
        [sys.executable, "-m", "birdbath", *words], env=environment, stdout=stdout, stderr=stderr
    )


@pytest.mark.parametrize("words", [("q",), ("status",), ("hold", "1"), ("fetch", "1.0"), ("clock",)])
def test_no_server_is_one_line_and_exit_code_3(run: Run, words: tuple[str, ...]) -> None:
    port = free_port()

    outcome = run(*words, url=f"http://127.0.0.1:{port}")

    assert outcome.exit_code == 3
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines() == [outcome.stderr.strip()]
    assert outcome.stderr.startswith(f"birdbath: cannot reach http://127.0.0.1:{port}")


@pytest.mark.parametrize(("words", "operation"), [(("q",), "getJobAds"), (("rm", "1.0", "1.1"), "removeJob")])
def test_a_page_that_is_no_soap_is_exit_code_3(
    run: Run, fake: Fake, words: tuple[str, ...], operation: str
) -> None:
    fake.answer_raw(operation, 503, "<html>down for maintenance</html>")

    outcome = run(*words, url=fake.url)

    assert (outcome.exit_code, outcome.stdout) == (3, "")
    assert "503" in outcome.stderr


def test_a_refusal_is_exit_code_1(run: Run, fake: Fake) -> None:
    fake.answer("getJobAds", "<status><code>FAIL</code><message>Permission denied</message></status>")

    outcome = run("q", url=fake.url)

    assert (outcome.exit_code, outcome.stderr) == (1, "birdbath: Permission denied\n")


def test_a_lost_connection_ends_a_series(run: Run, fake: Fake) -> None:
    fake.answer("holdJob", SUCCESS)
    run("hold", "1.0", url=fake.url)
    fake.hang_up = 1

    outcome = run("hold", "1.0", "1.1", url=fake.url)

    assert outcome.exit_code == 3
    assert outcome.stdout == ""


def test_a_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wsdl").write_text("a file in the way")

    outcome = run("wsdl")

    assert (outcome.exit_code, outcome.stderr) == (1, "birdbath: wsdl: File exists\n")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://host:port", "http://[::1"])
def test_what_is_no_address_is_wrong_usage(run: Run, url: str) -> None:
    outcome = run("q", url=url)

    assert outcome.exit_code == 2
    assert "is not the address of a server" in outcome.stderr


def test_what_is_no_job_is_wrong_usage(run: Run) -> None:
    outcome = run("fetch", "alice")

    assert outcome.exit_code == 2
    assert "expected CLUSTER.PROC" in outcome.stderr


@pytest.mark.parametrize("words", [("--speed", "inf"), ("--speed", "nan"), ("--until", "nan")])
def test_a_clock_is_set_to_numbers(run: Run, words: tuple[str, str]) -> None:
    outcome = run("clock", *words)

    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"birdbath: {words[0]} takes a ")


@pytest.mark.parametrize("words", [("q",), ("clock",), ("submit", "sleep.sub")])
def test_a_password_in_the_address_is_not_shown(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "sleep.sub").write_text("executable = /bin/sleep\nqueue\n")
    port = free_port()

    outcome = run(*words, url=f"http://bob:secret@127.0.0.1:{port}")

    assert outcome.exit_code == 3
    assert outcome.stderr.startswith(f"birdbath: cannot reach http://127.0.0.1:{port}/")


def test_the_account_in_the_address_is_who_one_is(run: Run, fake: Fake) -> None:
    fake.answer("getJobAds", f"<status>{SUCCESS}</status><classAdArray/>")

    outcome = run("q", url=fake.url.replace("://", "://bob%40home:secret@"))

    assert fake.asked[0].findtext("constraint") == 'Owner == "bob@home"'
    assert outcome.stdout.startswith(f"-- Schedd: {fake.url}\n")


@pytest.mark.parametrize("words", [("q",), ("history",), ("status",), ("hold",), ("release",), ("rm",)])
def test_a_constraint_that_is_none_is_wrong_usage(run: Run, fake: Fake, words: tuple[str, ...]) -> None:
    outcome = run(*words, "--constraint", "Owner ==", url=fake.url)

    assert (outcome.exit_code, fake.asked) == (2, [])
    assert "not a ClassAd expression: Owner ==" in outcome.stderr


def test_ctrl_c_ends_quietly_with_130(fake: Fake) -> None:
    fake.silent.clear()
    with birdbath("q", url=fake.url) as process:
        assert fake.reached.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (130, b"", b"birdbath: interrupted\n")


def test_a_reader_that_goes_away_is_no_drama(fake: Fake) -> None:
    fake.answer("getJobAds", f"<status>{SUCCESS}</status><classAdArray>{JOB * 5000}</classAdArray>")
    with birdbath("q", "--long", url=fake.url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (1, b"")


def closed(*words: str) -> subprocess.CompletedProcess[str]:
    """What a command does whose standard output is closed."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "birdbath", *words]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, cwd=REPOSITORY)


def test_a_closed_output_is_no_drama(fake: Fake) -> None:
    fake.answer("getJobAds", f"<status>{SUCCESS}</status><classAdArray>{JOB}</classAdArray>")
    done = closed("q", "--all", "--url", fake.url)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["listen", "forward"])
def test_events_that_nobody_can_read_are_not_taken(tmp_path: Path, command: str) -> None:
    log = REPOSITORY / "tests" / "events" / "data" / "classic" / "signalled.log"
    places = tmp_path / "places"
    words = {
        "listen": ("http://127.0.0.1:9", "--file", "-"),
        "forward": (str(log), "--places", str(places)),
    }
    done = closed(command, *words[command])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not places.exists() or not list(places.iterdir())


def test_a_terminal_gets_colours_and_nothing_else_from_ads(fake: Fake) -> None:
    fake.answer("getJobAds", f"<status>{SUCCESS}</status><classAdArray>{JOB}</classAdArray>")

    shown = on_a_terminal(birdbath_on_terminal("q", url=fake.url))

    assert "\x1b[32mR" in shown  # running, in green
    assert "[red]x" in shown  # markup in an ad is text


def test_a_terminal_is_told_how_many_jobs_are_planned(tmp_path: Path) -> None:
    file = tmp_path / "sleep.sub"
    file.write_text("executable = /bin/sleep\nqueue 1234\n")

    shown = on_a_terminal(birdbath_on_terminal("submit", "--dry-run", str(file), url="http://127.0.0.1:1"))

    assert "1,234 jobs" in shown


def birdbath_on_terminal(*words: str, url: str) -> tuple[subprocess.Popen[bytes], int]:
    terminal, other = pty.openpty()
    process = birdbath(*words, url=url, stdout=other, stderr=other)
    os.close(other)
    return process, terminal


def on_a_terminal(started: tuple[subprocess.Popen[bytes], int]) -> str:
    """All that a process writes to its terminal until it ends."""
    process, terminal = started
    shown = b""
    try:
        while select.select([terminal], [], [], 60)[0]:
            shown += os.read(terminal, 65536)
    except OSError:
        pass  # how Linux says that the other end was closed
    os.close(terminal)
    process.wait(timeout=60)
    return shown.decode()
